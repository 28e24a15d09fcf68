"""Frames of a rig's sensors, brought onto the reference camera's grid.

* ``camera``, ``rig`` and ``halcon`` say where every sensor stands and how its lens bends light.
* ``placing`` registers captures by a rig, through the surface that its scanner saw (``sheet``,
  ``surface``) or the rig's nominal one (``nominal``).
* ``part`` lays a cloud onto a reference part.
* ``resample`` serves sensors that share one field of view, pixel on pixel.
"""

from mmdefect.registration.camera import BrownConrady, Camera, Division, Pose
from mmdefect.registration.halcon import read_halcon
from mmdefect.registration.part import Alignment, Bounds, align_to_part
from mmdefect.registration.resample import resample, to_scene
from mmdefect.registration.rig import Plane, Rig, read_rig, rig_text, write_rig

__all__ = [
    "Alignment",
    "Bounds",
    "BrownConrady",
    "Camera",
    "Division",
    "Plane",
    "Pose",
    "Rig",
    "align_to_part",
    "read_halcon",
    "read_rig",
    "resample",
    "rig_text",
    "to_scene",
    "write_rig",
]
