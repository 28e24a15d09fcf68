"""What the numbers of a 3D camera mean: scale, offset, holes, unit and coordinate system.

The GenICam naming convention (SFNC, Scan 3D Control) has a node for each. They are read from the
camera and applied as they stand; what is not understood is refused by its name, because a cloud in
the wrong unit or axes looks like any other cloud.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import AcquisitionError

_MILLIMETRES = {"Millimeter": 1.0, "Inch": 25.4}
_AXES = "ABC"
_REFERENCE = (
    "RotationX",
    "RotationY",
    "RotationZ",
    "TranslationX",
    "TranslationY",
    "TranslationZ",
)


@dataclass(frozen=True)
class Axis:
    """One coordinate: value = count · ``scale`` + ``offset``; ``hole`` is the count of no value."""

    scale: float = 1.0
    offset: float = 0.0
    hole: float | None = None


@dataclass(frozen=True)
class Scan3d:
    """What the coordinates of a camera mean.

    Parameters
    ----------
    unit : str
        ``Millimeter`` or ``Inch``.
    system : str
        ``Cartesian``.
    reference : str
        ``Anchor`` (the camera's own axes) or ``Transformed`` (those given by ``pose``).
    output : str
        Which coordinates come, e.g. ``CalibratedABC_Grid``.
    axes : tuple of Axis
        A, B and C: x, y and z.
    pose : dict of str to float
        RotationX … (degrees) and TranslationX … (in ``unit``), from the anchor's axes to the
        transformed ones.
    """

    unit: str
    system: str = "Cartesian"
    reference: str = "Anchor"
    output: str = ""
    axes: tuple[Axis, Axis, Axis] = (Axis(), Axis(), Axis())
    pose: dict[str, float] | None = None

    def told(self) -> str:
        """Tell it in a line."""
        scales = ", ".join(f"{axis.scale:g}" for axis in self.axes)
        offsets = ", ".join(f"{axis.offset:g}" for axis in self.axes)
        pose = ", ".join(f"{name} {value:g}" for name, value in (self.pose or {}).items() if value)
        return (
            f"{self.system}, {self.reference}, {self.output or 'no output mode told'}, in "
            f"{self.unit}; scale {scales}, offset {offsets}"
            + (f"; anchor to transformed: {pose}" if pose else "")
        )

    def written(self) -> dict[str, Any]:
        """Tell it as what JSON can hold; a hole that is NaN as text."""
        told = asdict(self)
        told["axes"] = list(told["axes"])
        for axis in told["axes"]:
            if axis["hole"] is not None and np.isnan(axis["hole"]):
                axis["hole"] = "NaN"
        return told


def read_scan3d(node: Any, prefix: str = "Scan3d") -> Scan3d:
    """Read the nodes of a camera.

    Parameters
    ----------
    node : callable
        From a node's name to the node, None when there is no such node or it cannot be read.
    prefix : str
        ``Scan3d``, or ``ChunkScan3d`` for what came with one frame.

    Returns
    -------
    Scan3d

    Raises
    ------
    AcquisitionError
        When the unit or the system is not known here.
    """
    unit, system = _text(node, prefix, "DistanceUnit"), _text(node, prefix, "CoordinateSystem")
    if unit not in _MILLIMETRES:
        raise AcquisitionError(
            f"the camera's Scan3dDistanceUnit is {unit or 'not told'}, but one of "
            f"{', '.join(_MILLIMETRES)} was promised; set it on the camera"
        )
    if system not in ("Cartesian", ""):
        raise AcquisitionError(
            f"the camera's Scan3dCoordinateSystem is {system}, but Cartesian was promised; set it "
            "on the camera"
        )
    first, second, third = (_axis(node, prefix, name) for name in _AXES)
    return Scan3d(
        unit,
        system or "Cartesian",
        _text(node, prefix, "CoordinateSystemReference") or "Anchor",
        _text(node, prefix, "OutputMode"),
        (first, second, third),
        _pose(node, prefix),
    )


def _text(node: Any, prefix: str, name: str) -> str:
    found = node(prefix + name)
    return "" if found is None else str(found.value)


def _axis(node: Any, prefix: str, name: str) -> Axis:
    """Read what is told of one coordinate."""
    selector = node(prefix + "CoordinateSelector")
    if selector is not None:
        selector.value = f"Coordinate{name}"
    scale, offset = node(prefix + "CoordinateScale"), node(prefix + "CoordinateOffset")
    flag, hole = node(prefix + "InvalidDataFlag"), node(prefix + "InvalidDataValue")
    marked = flag is not None and bool(flag.value)
    if marked and hole is None:
        raise AcquisitionError(
            "the camera marks holes (Scan3dInvalidDataFlag), but does not tell how: "
            "Scan3dInvalidDataValue cannot be read"
        )
    return Axis(
        1.0 if scale is None else float(scale.value),
        0.0 if offset is None else float(offset.value),
        float(hole.value) if marked else None,
    )


def _pose(node: Any, prefix: str) -> dict[str, float] | None:
    """Read how the transformed axes stand to the anchor's."""
    selector = node(prefix + "CoordinateReferenceSelector")
    pose = {}
    for name in _REFERENCE if selector is not None else ():
        selector.value = name
        value = node(prefix + "CoordinateReferenceValue")
        if value is not None:
            pose[name] = float(value.value)
    return pose or None


def points_of(counts: Sequence[NDArray[Any]], scan3d: Scan3d) -> NDArray[np.float32]:
    """Bring coordinates to an organised cloud.

    Parameters
    ----------
    counts : sequence of three ndarray (y, x)
        A, B and C as the camera counted.
    scan3d : Scan3d

    Returns
    -------
    ndarray (y, x, 3), float32, mm
        x, y and z, computed in float64; NaN in all three where one of them is a hole.

    Raises
    ------
    AcquisitionError
        When the three are not of one size.
    """
    if len(counts) != 3 or len({plane.shape for plane in counts}) != 1:
        raise AcquisitionError(
            f"{len(counts)} coordinates of the sizes {[c.shape for c in counts]} came, but three "
            "of one size were promised; set Scan3dOutputMode to CalibratedABC_Grid"
        )
    millimetres = _MILLIMETRES[scan3d.unit]
    points = np.empty((*counts[0].shape, 3), np.float64)
    holes = np.zeros(counts[0].shape, bool)
    for place, (plane, axis) in enumerate(zip(counts, scan3d.axes, strict=True)):
        points[..., place] = (plane.astype(np.float64) * axis.scale + axis.offset) * millimetres
        holes |= ~np.isfinite(points[..., place])
        if axis.hole is not None and not np.isnan(axis.hole):
            holes |= plane == (np.float32(axis.hole) if plane.dtype.kind == "f" else axis.hole)
    points[holes] = np.nan
    return points.astype(np.float32)
