"""Where the cameras and projectors of a rig stand, found from views of a known target.

A registration can be no better than its rig file, so this room measures what it writes: every
number comes with its standard deviation, views that do not fit are named, and views that do not
say enough are refused.

* ``target`` describes a target, ``drawing`` prints it, ``sighting`` finds it in frames.
* ``intrinsics`` solves one camera; ``_bundle`` does the solving.
"""

from mmdefect.calibration.drawing import write_target
from mmdefect.calibration.intrinsics import CameraFit, Outlier, calibrate_camera
from mmdefect.calibration.sighting import Sighting, sight, sight_file
from mmdefect.calibration.target import Target, read_target, target_text

__all__ = [
    "CameraFit",
    "Outlier",
    "Sighting",
    "Target",
    "calibrate_camera",
    "read_target",
    "sight",
    "sight_file",
    "target_text",
    "write_target",
]
