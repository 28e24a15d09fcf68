"""Where the cameras and projectors of a rig stand, found from views of a known target.

A registration can be no better than its rig file, so this room measures what it writes: every
number comes with its standard deviation, views that do not fit are named, and views that do not
say enough are refused.

* ``target`` describes a target, ``drawing`` prints it, ``sighting`` finds it in frames.
* ``intrinsics`` solves one camera, ``rig`` several together, all by ``_bundle``; ``projector``
  reads a projector's picture of the target in a camera's.
* ``motion`` ties a robot's hand or a turntable to the rig.
* ``check`` tells whether a rig still holds; ``folder`` does either on files, ``report`` tells it.
"""

from mmdefect.calibration.check import RigCheck, check_rig
from mmdefect.calibration.drawing import write_target
from mmdefect.calibration.folder import calibrate_folder, check_folder, write_fit
from mmdefect.calibration.intrinsics import CameraFit, Outlier, calibrate_camera
from mmdefect.calibration.motion import Motion, calibrate_motion, turned
from mmdefect.calibration.motion_file import read_motion
from mmdefect.calibration.projector import projector_sighting
from mmdefect.calibration.report import check_rows, check_text, fit_rows, fit_text
from mmdefect.calibration.rig import RigFit, SensorFit, calibrate_rig
from mmdefect.calibration.sighting import Sighting, sight, sight_file
from mmdefect.calibration.target import Target, read_target, target_text

__all__ = [
    "CameraFit",
    "Motion",
    "Outlier",
    "RigCheck",
    "RigFit",
    "SensorFit",
    "Sighting",
    "Target",
    "calibrate_camera",
    "calibrate_folder",
    "calibrate_motion",
    "calibrate_rig",
    "check_folder",
    "check_rig",
    "check_rows",
    "check_text",
    "fit_rows",
    "fit_text",
    "projector_sighting",
    "read_motion",
    "read_target",
    "sight",
    "sight_file",
    "target_text",
    "turned",
    "write_fit",
    "write_target",
]
