"""The small file that says where a robot's hand or a turntable was in each view."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmdefect.calibration._toml import parsed
from mmdefect.calibration.motion import KINDS, turned
from mmdefect.errors import CalibrationError, RegistrationError
from mmdefect.registration import Pose

_LARGEST = 1e6
_PLACES = {"rotation", "quaternion", "translation"}


def read_motion(path: str | Path) -> tuple[str, dict[str, Pose]]:
    """Read the poses of a robot's flange, or the angles of a turntable.

    Parameters
    ----------
    path : str or Path
        TOML: ``kind``, and a table ``[views.NAME]`` a view, with ``translation`` in mm and
        ``rotation`` (three rows) or ``quaternion`` (x, y, z, w) from the flange's frame into the
        base's, or with ``angle`` in degrees.

    Returns
    -------
    str, dict of str to Pose
        The kind, and by view what ``calibrate_motion`` takes.

    Raises
    ------
    CalibrationError
        When the file is missing or says something else.
    """
    path = Path(path)
    said = parsed(path, "motion")
    kind, views = said.get("kind"), said.get("views")
    if (
        not isinstance(kind, str)
        or kind not in KINDS
        or not isinstance(views, dict)
        or set(said) != {"kind", "views"}
    ):
        raise CalibrationError(
            f"{path.name}: has kind {kind!r} and holds {', '.join(said) or 'nothing'}; kind, one "
            f"of {', '.join(KINDS)}, and a table [views.NAME] a view were promised"
        )
    return kind, {
        view: _pose(one, kind, f"{path.name}: [views.{view}]") for view, one in views.items()
    }


def _pose(table: Any, kind: str, where: str) -> Pose:
    """Read one view's pose."""
    if not isinstance(table, dict):
        raise CalibrationError(f"{where} is {table!r}; a table was promised")
    if kind == "turntable":
        if set(table) != {"angle"}:
            raise CalibrationError(f"{where} holds {', '.join(table)}; angle was promised")
        return turned(float(_numbers(table, "angle", (), where)))
    if "translation" not in table or len(table) != 2 or not set(table) <= _PLACES:
        raise CalibrationError(
            f"{where} holds {', '.join(table) or 'nothing'}; translation and either rotation or "
            "quaternion were promised"
        )
    try:
        return Pose(_rotation(table, where), _numbers(table, "translation", (3,), where))
    except RegistrationError as error:
        raise CalibrationError(f"{where}: {error}") from error


def _rotation(table: Mapping[str, Any], where: str) -> Any:
    """Read a rotation in either form."""
    if "rotation" in table:
        matrix = _numbers(table, "rotation", (3, 3), where)
        left, stretch, right = np.linalg.svd(matrix)
        return left @ right if np.abs(stretch - 1).max() < 1e-3 else matrix
    from scipy.spatial.transform import Rotation

    quaternion = _numbers(table, "quaternion", (4,), where)
    if abs(np.linalg.norm(quaternion) - 1) > 1e-3:
        raise CalibrationError(f"{where}: the quaternion's length is not 1; give x, y, z, w")
    return Rotation.from_quat(quaternion).as_matrix()


def _numbers(table: Mapping[str, Any], key: str, shape: tuple[int, ...], where: str) -> Any:
    """Fetch numbers of a promised shape and a sensible size."""
    try:
        numbers = np.asarray(table[key], dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = np.full((1,), np.nan)
    if numbers.shape != shape or not (np.abs(numbers) <= _LARGEST).all():
        wanted = " x ".join(map(str, shape)) or "one"
        raise CalibrationError(
            f"{where}: {key} is {table[key]!r:.80}; {wanted} number(s) were promised"
        )
    return numbers
