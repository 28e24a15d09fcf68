"""Cameras as HALCON writes them, and as MVTec 3D-AD ships them in ``camera_parameters.json``.

Lengths on the sensor are metres there. ``area_scan_division`` undistorts a position on the sensor
by u / (1 + kappa · |u|²), kappa in 1/m²; in normalised coordinates that is kappa · focus².
"""

import json
import math
from pathlib import Path
from typing import Any

from mmdefect.errors import RegistrationError
from mmdefect.registration.camera import Camera, Division

_LARGEST_FILE = 1 << 20
_LARGEST_SIDE = 1 << 16
_DIVISION = "area_scan_division"
_NUMBERS = ("focus", "kappa", "sx", "sy", "cx", "cy", "image_width", "image_height")


def read_halcon(path: str | Path) -> Camera:
    """Read a camera from HALCON's parameters.

    Parameters
    ----------
    path : str or Path
        JSON with ``camera_type``, ``focus`` (m), ``kappa`` (1/m²), ``sx``, ``sy`` (m), ``cx``,
        ``cy``, ``image_width`` and ``image_height`` (px).

    Returns
    -------
    Camera
        With the identity pose: its own frame is the rig's.

    Raises
    ------
    RegistrationError
        When the file is missing or not as described.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise RegistrationError(
                f"'{path.name}' has {path.stat().st_size} bytes; a camera's parameters in at "
                f"most {_LARGEST_FILE} were promised"
            )
        written = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RegistrationError(
            f"no camera file '{path}' ({error.strerror}); correct the path"
        ) from error
    except (ValueError, RecursionError) as error:
        raise RegistrationError(f"'{path.name}' is not JSON: {error}") from error
    kind = written.get("camera_type") if isinstance(written, dict) else None
    if kind != _DIVISION:
        raise RegistrationError(
            f"'{path.name}' has the camera_type {kind!r}, but {_DIVISION!r} was promised; "
            "calibrate with that model, or write the camera into a rig file"
        )
    return _camera(written, path.name)


def _camera(written: dict[str, Any], where: str) -> Camera:
    """Make a camera of the parsed parameters."""
    numbers = {}
    for name in _NUMBERS:
        value: Any = written.get(name)
        if type(value) not in (int, float) or not math.isfinite(value):
            raise RegistrationError(f"'{where}': {name} is {value!r}; a finite number was promised")
        numbers[name] = float(value)
    sides = [numbers["image_height"], numbers["image_width"]]
    if not all(0 < side <= _LARGEST_SIDE and side == int(side) for side in sides) or not all(
        numbers[name] > 0 for name in ("focus", "sx", "sy")
    ):
        raise RegistrationError(
            f"'{where}': focus, sx and sy in metres above 0 and whole sides of an image were "
            f"promised, but {written} was found; is it a telecentric camera?"
        )
    focus = numbers["focus"]
    return Camera(
        height=int(sides[0]),
        width=int(sides[1]),
        fx=focus / numbers["sx"],
        fy=focus / numbers["sy"],
        cx=numbers["cx"],
        cy=numbers["cy"],
        lens=Division(numbers["kappa"] * focus**2),
    )
