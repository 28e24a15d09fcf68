"""OpenCV, fetched where it is needed: whoever only inspects does without it."""

from typing import Any

from mmdefect.errors import CalibrationError

_NEEDED = ("calibrateHandEye", "aruco", "findChessboardCornersSB")


def opencv() -> Any:
    """Fetch OpenCV.

    Returns
    -------
    module
        ``cv2``, of a version that has what calibration needs.

    Raises
    ------
    CalibrationError
        When it is not installed, or is a version that dropped these functions.
    """
    try:
        import cv2
    except ImportError as error:
        raise CalibrationError(
            f"targets are found by OpenCV, which cannot be imported ({error}); "
            "run pip install 'mmdefect[rig]'"
        ) from error
    lacking = [name for name in _NEEDED if not hasattr(cv2, name)]
    if lacking:
        raise CalibrationError(
            f"OpenCV {cv2.__version__} is installed, which lacks {', '.join(lacking)}; versions "
            "4.8 to below 5 have it: run pip install 'mmdefect[rig]'"
        )
    return cv2
