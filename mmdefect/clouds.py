"""Point clouds of PLY and PCD files, in the order of the file, and in its rows where it tells them.

Open3D reads both, but a truncated file it completes with whatever lay in memory, and it forgets
the rows and columns of an organised cloud. Whoever wants to notice the first must parse the
header; the rest is then one call of NumPy. So the headers are parsed here, and Open3D serves the
tests as an independent opinion.

* PLY has no word for rows of its own. Range scanners write ``obj_info num_rows`` and a grid of
  indices that leaves out holes; Photoneo writes width and height as a comment and an element;
  PCL as the camera's viewport. Each is believed where it fits the number of points.
* PCD says WIDTH and HEIGHT, and packs its fields by LZF (``mmdefect.lzf``).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.arrays import check_bytes, check_declared
from mmdefect.errors import SensorError
from mmdefect.lzf import unpack_lzf
from mmdefect.mesh_files.ply import Column, Header, read_columns, read_header

_HEADER_LINES = 1000
_AXES = ("x", "y", "z")
_MOST_SIDE = 1e9
_SIDES = (
    r"\b(?:num_rows|rows|height)\b\s*[:=]?\s*(\d{1,9})\b",
    r"\b(?:num_cols|columns|cols|width)\b\s*[:=]?\s*(\d{1,9})\b",
)
_SIDE_FIELDS = (
    ("frame_height", "frame_width"),
    ("height", "width"),
    ("viewporty", "viewportx"),
)
_PCD_ENCODINGS = ("ascii", "binary", "binary_compressed")


@dataclass(frozen=True)
class _Layout:
    """How the points lie in a file: encoding, lengths, and the fields of one point."""

    encoding: str
    shape: tuple[int, ...]
    point: np.dtype[Any]

    @property
    def columns(self) -> list[int]:
        """Where x, y, z stand among the words of one line."""
        fields = [self.point[name] for name in self.point.names or ()]
        starts = np.cumsum([0, *(math.prod(field.shape) for field in fields)])
        return [int(starts[(self.point.names or ()).index(axis)]) for axis in _AXES]


def read_cloud(path: Path, max_bytes: int) -> NDArray[np.float64]:
    """Read a PLY or PCD file.

    Parameters
    ----------
    path : Path
        The file; its suffix says which of the two it is.
    max_bytes : int
        Limit of the declared size in bytes.

    Returns
    -------
    ndarray (point, 3) or, where the file tells its rows, (y, x, 3), float64
        Coordinates x, y, z as stored; other fields are skipped, NaN points are kept.

    Raises
    ------
    SensorError
        When the header is not understood, declares too much, or more than the file holds.
    """
    with path.open("rb") as stream:
        if path.suffix.lower() == ".ply":
            return _read_ply(stream, path.stat().st_size, max_bytes)
        layout = _pcd_layout(stream)
        check_declared((*layout.shape, 3), np.dtype(np.float64), max_bytes)
        points = _points(stream, layout, path.stat().st_size - stream.tell(), max_bytes)
        return points.reshape(*layout.shape, 3)


def _points(stream: IO[bytes], layout: _Layout, held: int, max_bytes: int) -> NDArray[np.float64]:
    """Read the coordinates that follow the header, (point, 3)."""
    count = math.prod(layout.shape)
    if layout.encoding == "ascii":
        least = 2 * count * len(layout.point.names or ())
        _check_held(least - 1, held)
        table = np.loadtxt(stream, usecols=layout.columns, max_rows=count, ndmin=2)
        if len(table) != count:
            raise SensorError(
                f"declares {count} points, but holds {len(table)}; record the cloud again"
            )
        return table
    declared = count * layout.point.itemsize
    if layout.encoding == "binary_compressed":
        packed, unpacked = np.frombuffer(stream.read(8), "<u4").tolist()
        _check_held(packed, held - 8)
        if unpacked != declared:
            raise SensorError(
                f"declares {count} points of {layout.point.itemsize} bytes, but packs {unpacked} "
                "bytes; record the cloud again"
            )
        check_bytes(unpacked, max_bytes)
        return _by_field(unpack_lzf(stream.read(packed), unpacked), layout.point, count)
    _check_held(declared, held)
    cloud: NDArray[Any] = np.frombuffer(stream.read(declared), layout.point)
    return np.stack([cloud[axis].astype(np.float64) for axis in _AXES], axis=-1)


def _check_held(declared: int, held: int) -> None:
    """Refuse a file that holds fewer bytes than its header declares."""
    if declared > held:
        raise SensorError(
            f"declares {declared} bytes of points, but holds {held}; "
            "the file was cut off: record the cloud again"
        )


def _header(stream: IO[bytes], last: str) -> list[list[str]]:
    """Read a text header up to the line that begins with `last`, as words."""
    lines: list[list[str]] = []
    for _ in range(_HEADER_LINES):
        words = stream.readline(1024).decode("latin-1").split()
        if words and not words[0].startswith(("#", "comment")):
            lines.append(words)
            if words[0] == last:
                return lines
    raise SensorError(f"has no header that ends with {last!r}; record the cloud again")


def _read_ply(stream: IO[bytes], size: int, max_bytes: int) -> NDArray[np.float64]:
    """Read the vertices of a PLY file, (point, 3) or (y, x, 3)."""
    header = read_header(stream)
    vertices = next((each for each in header.elements if each.name == "vertex"), None)
    if vertices is None:
        raise SensorError(
            f"holds {', '.join(each.name for each in header.elements) or 'nothing'}, but vertices "
            "were promised; save the vertices too"
        )
    kinds = {one.name: one.kind for one in vertices.fields if not one.count_kind}
    if not set(_AXES) <= set(kinds):
        raise SensorError(_without_axes([one.name for one in vertices.fields]))
    check_declared((vertices.count, 3), np.dtype(np.float64), max_bytes)
    single = {each.name for each in header.elements if each.count == 1 and not each.has_lists}
    wanted = {"vertex", "range_grid"} | single
    read = read_columns(stream, header, wanted, size - stream.tell())
    axes = [read["vertex"][axis].values for axis in _AXES]
    points = np.stack(axes, axis=-1, dtype=np.float64)
    shape = _rows_of(header, {name: read[name] for name in single if name in read})
    if "range_grid" in read and shape is not None:
        return _on_grid(points, read["range_grid"], shape, max_bytes)
    organised = shape is not None and shape[0] > 1 and math.prod(shape) == len(points)
    return points.reshape(*shape, 3) if shape and organised else points


def _rows_of(header: Header, single: dict[str, dict[str, Column]]) -> tuple[int, int] | None:
    """Find the rows and columns that a PLY file tells of its points; one row is a list."""
    for notes in (header.notes, [" ".join(header.notes)]):
        for note in notes:
            found = [re.search(pattern, note, re.IGNORECASE) for pattern in _SIDES]
            if found[0] and found[1]:
                return int(found[0][1]), int(found[1][1])
    for rows, columns in _SIDE_FIELDS:
        for fields in single.values():
            if rows in fields and columns in fields:
                sides = [float(fields[name].values[0]) for name in (rows, columns)]
                if all(0 < side < _MOST_SIDE for side in sides):
                    return int(sides[0]), int(sides[1])
    return None


def _on_grid(
    points: NDArray[np.float64], grid: dict[str, Column], shape: tuple[int, int], max_bytes: int
) -> NDArray[np.float64]:
    """Put points where a range grid has their index, NaN where it has none."""
    check_declared((*shape, 3), np.dtype(np.float64), max_bytes)
    if len(grid) != 1:
        raise SensorError("has a range grid of several fields, but indices alone were promised")
    (indices,) = grid.values()
    places = indices.values.astype(np.int64)
    misplaced = (places < 0) | (places >= len(points))
    if indices.counts.size != math.prod(shape) or indices.counts.max(initial=0) > 1:
        raise SensorError(
            f"has a range grid of {indices.counts.size} places, but {shape[0]} rows of {shape[1]} "
            "with one point each were promised; save the cloud again"
        )
    if misplaced.any():
        raise SensorError(
            f"names {int(misplaced.sum())} points in its range grid that are not among its "
            f"{len(points)}; save the cloud again"
        )
    cloud = np.full((indices.counts.size, 3), np.nan)
    cloud[indices.counts == 1] = points[places]
    return cloud.reshape(*shape, 3)


def _pcd_layout(stream: IO[bytes]) -> _Layout:
    """Parse the header of a PCD file."""
    said = {words[0]: words[1:] for words in _header(stream, "DATA")}
    names, sizes, kinds = said["FIELDS"], said["SIZE"], said["TYPE"]
    counts = said.get("COUNT", ["1"] * len(names))
    width, height = int(said["WIDTH"][0]), int(said["HEIGHT"][0])
    encoding = said["DATA"][0]
    if width * height != int(said["POINTS"][0]) or encoding not in _PCD_ENCODINGS:
        raise SensorError(
            f"declares {width} x {height} points, {said['POINTS'][0]} in all, as {encoding!r}; "
            f"promised were as many in one of {', '.join(_PCD_ENCODINGS)}: save the cloud again"
        )
    fields = []
    for position, field in enumerate(zip(names, sizes, kinds, counts, strict=True)):
        name, size, kind, count = field
        unique = name if name in _AXES else f"{position} {name}"
        fields.append((unique, f"<{kind.lower()}{size}", (int(count),) if count != "1" else ()))
    point = _with_axes(np.dtype(fields))
    return _Layout(encoding, (height, width) if height > 1 else (width,), point)


def _with_axes(point: np.dtype[Any]) -> np.dtype[Any]:
    """Refuse points without one real number for each of x, y and z."""
    names = point.names or ()
    if any(axis not in names or point[axis].kind not in "iuf" for axis in _AXES):
        raise SensorError(_without_axes(names))
    return point


def _without_axes(names: Sequence[str]) -> str:
    """Say that points have no coordinates."""
    return (
        f"has points with the fields {', '.join(names)}, but x, y and z were promised; "
        "save the coordinates under these names"
    )


def _by_field(packed: bytes, point: np.dtype[Any], count: int) -> NDArray[np.float64]:
    """Read coordinates that are stored field after field, (point, 3)."""
    columns, start = {}, 0
    for name in point.names or ():
        if name in _AXES:
            columns[name] = np.frombuffer(packed, point[name], count, start).astype(np.float64)
        start += point[name].itemsize * count
    return np.stack([columns[axis] for axis in _AXES], axis=-1)
