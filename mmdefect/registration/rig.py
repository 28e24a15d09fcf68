"""Rigs: the cameras of one station, which of them is the reference, and what the part looks like.

The file is TOML, because people read and mend it; every length is in millimetres and every pixel
counts from the centre of the first. ``docs/rig-file.md`` describes it field by field.
"""

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import RegistrationError
from mmdefect.registration.camera import BrownConrady, Camera, Division, Pose

_LARGEST_SIDE = 1 << 16
_CAMERA = {"size", "focal", "centre", "lens", "rotation", "translation", "through", "points_in"}
_LENSES = ("brown-conrady", "division")


@dataclass(frozen=True)
class Plane:
    """The rig's nominal surface, where no cloud says better.

    Parameters
    ----------
    point : array (3,), float64, mm
        On the plane, in the rig's frame.
    normal : array (3,), float64
        Towards the sensors; of any length but 0.
    """

    point: NDArray[np.float64]
    normal: NDArray[np.float64]

    def __eq__(self, other: object) -> bool:
        """Compare numbers, since arrays do not."""
        return (
            isinstance(other, Plane)
            and np.array_equal(self.point, other.point)
            and np.array_equal(self.normal, other.normal)
        )

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Rig:
    """The cameras of a station.

    Parameters
    ----------
    name : str
    reference : str
        The sensor whose camera's grid the scenes have.
    cameras : dict of str to Camera
        By sensor.
    surface : Plane or Path, optional
        The part's nominal surface: a plane, or a CAD mesh (STL, PLY, OBJ) in the rig's frame, mm.

    Raises
    ------
    RegistrationError
        When the reference has no camera.
    """

    name: str
    reference: str
    cameras: Mapping[str, Camera] = field(default_factory=dict)
    surface: Plane | Path | None = None

    def __post_init__(self) -> None:
        """Refuse a reference without a camera."""
        if self.reference not in self.cameras:
            raise RegistrationError(
                f"the rig {self.name!r} has the reference {self.reference!r}, but cameras only "
                f"for: {', '.join(self.cameras) or 'none'}; add [cameras.{self.reference}]"
            )

    def size_refused(self, name: str, found: tuple[int, int]) -> str | None:
        """Say why a frame cannot be its camera's.

        Parameters
        ----------
        name : str
            The sensor.
        found : (int, int)
            Height and width of its frame in pixels.

        Returns
        -------
        str or None
            None when the size is as promised, or the sensor has no camera here.
        """
        camera = self.cameras.get(name)
        if camera is None or found == (camera.height, camera.width):
            return None
        return (
            f"{found[0]}x{found[1]} pixels (rows x columns) were found, but the rig {self.name!r} "
            f"promises {camera.height}x{camera.width} for {name!r}; record it as it was "
            "calibrated, or correct size in the rig file"
        )


def read_rig(path: str | Path) -> Rig:
    """Read a rig file.

    Parameters
    ----------
    path : str or Path
        TOML.

    Returns
    -------
    Rig

    Raises
    ------
    RegistrationError
        When the file is missing or not as ``docs/rig-file.md`` describes it.
    """
    path = Path(path)
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RegistrationError(
            f"no rig file '{path}' ({error.strerror}); correct the card's [rig] file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RegistrationError(f"the rig file '{path.name}' is not TOML: {error}") from error
    where = path.name
    _known(written, {"name", "reference", "surface", "cameras"}, where)
    cameras = _table(written, "cameras", where)
    return Rig(
        name=str(written.get("name", path.stem)),
        reference=str(written.get("reference", "")),
        cameras={
            name: _camera(_table(cameras, name, where), f"{where}: [cameras.{name}]")
            for name in cameras
        },
        surface=_surface(_table(written, "surface", where), path),
    )


def write_rig(rig: Rig, path: Path) -> None:
    """Write a rig file that ``read_rig`` reads back to the last bit.

    Parameters
    ----------
    rig : Rig
    path : Path
    """
    path.write_text(rig_text(rig), encoding="utf-8")


def rig_text(rig: Rig) -> str:
    """Give what ``write_rig`` writes.

    Parameters
    ----------
    rig : Rig

    Returns
    -------
    str
        TOML.
    """
    lines = [
        "# Lengths in mm, pixels counted from the centre of the first; x_camera = rotation",
        "# · x_rig + translation, with x right, y down and z away from the camera.",
        f"name = {json.dumps(rig.name, ensure_ascii=False)}",
        f'reference = "{rig.reference}"',
    ]
    if isinstance(rig.surface, Plane):
        lines += ["", "[surface]", f"point = {_numbers(rig.surface.point)}"]
        lines += [f"normal = {_numbers(rig.surface.normal)}"]
    elif rig.surface is not None:
        lines += ["", "[surface]", f'mesh = "{rig.surface.as_posix()}"']
    for name, camera in rig.cameras.items():
        lines += ["", f"[cameras.{name}]", *_camera_lines(camera)]
    return "\n".join(lines) + "\n"


def _camera_lines(camera: Camera) -> list[str]:
    """Write one camera's table."""
    lens = camera.lens
    lines = [
        f"size = [{camera.height}, {camera.width}]",
        f"focal = {_numbers([camera.fx, camera.fy])}",
        f"centre = {_numbers([camera.cx, camera.cy])}",
        (
            f'lens = {{ model = "division", kappa = {lens.kappa!r} }}'
            if isinstance(lens, Division)
            else 'lens = { model = "brown-conrady", coefficients = '
            f"{_numbers([lens.k1, lens.k2, lens.p1, lens.p2, lens.k3])} }}"
        ),
        "rotation = [" + ", ".join(map(_numbers, camera.pose.rotation)) + "]",
        f"translation = {_numbers(camera.pose.translation)}",
    ]
    if camera.through:
        lines.append("through = true")
    if camera.points_in != "camera":
        lines.append(f'points_in = "{camera.points_in}"')
    return lines


def _numbers(values: Any) -> str:
    """Write a TOML array of floats that reads back exactly."""
    return "[" + ", ".join(repr(float(value)) for value in values) + "]"


def _known(table: Mapping[str, Any], known: set[str], where: str) -> None:
    """Refuse keys that nobody reads: they are misspelt ones."""
    unknown = sorted(set(table) - known)
    if unknown:
        raise RegistrationError(
            f"{where} has the unknown key {unknown[0]!r}; it may hold: {', '.join(sorted(known))}"
        )


def _table(written: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    """Fetch a table, empty when it is left out."""
    table = written.get(key, {})
    if not isinstance(table, dict):
        raise RegistrationError(f"{where}: {key!r} is {table!r}, but a table was promised")
    return table


def _camera(table: Mapping[str, Any], where: str) -> Camera:
    """Make a camera of its table."""
    _known(table, _CAMERA, where)
    height, width = (int(side) for side in _array(table, "size", (2,), where))
    if not (0 < height <= _LARGEST_SIDE and 0 < width <= _LARGEST_SIDE):
        raise RegistrationError(f"{where}: size is {table['size']}; [height, width] was promised")
    fx, fy = _array(table, "focal", (2,), where)
    if min(fx, fy) <= 0:
        raise RegistrationError(f"{where}: focal is {table['focal']}; positive px were promised")
    cx, cy = _array(table, "centre", (2,), where)
    points_in = table.get("points_in", "camera")
    if points_in not in ("camera", "rig"):
        raise RegistrationError(
            f"{where}: points_in is {points_in!r}; 'camera' or 'rig' was promised"
        )
    rotation = _array(table, "rotation", (3, 3), where) if "rotation" in table else np.eye(3)
    shift = _array(table, "translation", (3,), where) if "translation" in table else np.zeros(3)
    try:
        pose = Pose(rotation, shift)
    except RegistrationError as error:
        raise RegistrationError(f"{where}: {error}") from error
    return Camera(
        height=height,
        width=width,
        fx=float(fx),
        fy=float(fy),
        cx=float(cx),
        cy=float(cy),
        lens=_lens(_table(table, "lens", where), where),
        pose=pose,
        through=bool(table.get("through", False)),
        points_in=points_in,
    )


def _lens(table: Mapping[str, Any], where: str) -> BrownConrady | Division:
    """Make a lens of its table; no table is no distortion."""
    _known(table, {"model", "coefficients", "kappa"}, where)
    model = table.get("model", "brown-conrady")
    if model == "division":
        return Division(float(_array(table, "kappa", (), where)))
    if model != "brown-conrady":
        raise RegistrationError(
            f"{where}: the lens model is {model!r}; there are: {', '.join(sorted(_LENSES))}"
        )
    if "coefficients" not in table:
        return BrownConrady()
    return BrownConrady(*(float(c) for c in _array(table, "coefficients", (5,), where)))


def _surface(table: Mapping[str, Any], path: Path) -> Plane | Path | None:
    """Make the nominal surface; a mesh lies beside the rig file."""
    where = f"{path.name}: [surface]"
    _known(table, {"point", "normal", "mesh"}, where)
    if not table:
        return None
    if "mesh" in table:
        return path.parent / str(table["mesh"])
    point, normal = (_array(table, key, (3,), where) for key in ("point", "normal"))
    if not np.linalg.norm(normal) > 0:
        raise RegistrationError(f"{where}: the normal is 0; a direction was promised")
    return Plane(point, normal)


def _array(
    table: Mapping[str, Any], key: str, shape: tuple[int, ...], where: str
) -> NDArray[np.float64]:
    """Fetch finite numbers of a promised shape."""
    try:
        array = np.asarray(table[key], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        array = np.full((1,), math.nan)
    if array.shape != shape or not np.isfinite(array).all():
        wanted = "x".join(map(str, shape)) + " finite numbers" if shape else "a finite number"
        raise RegistrationError(
            f"{where}: {key} is {table.get(key)!r}; {wanted} were promised"
            if shape
            else f"{where}: {key} is {table.get(key)!r}; {wanted} was promised"
        )
    return array
