"""Frames of a rig's sensors, brought onto the reference camera's grid.

* ``camera`` and ``rig`` say where every sensor stands and how its lens bends light.
* ``resample`` serves sensors that share one field of view, pixel on pixel.
"""

from mmdefect.registration.camera import BrownConrady, Camera, Division, Pose
from mmdefect.registration.resample import resample, to_scene
from mmdefect.registration.rig import Plane, Rig, read_rig, write_rig

__all__ = [
    "BrownConrady",
    "Camera",
    "Division",
    "Plane",
    "Pose",
    "Rig",
    "read_rig",
    "resample",
    "to_scene",
    "write_rig",
]
