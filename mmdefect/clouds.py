"""Point clouds of PLY and PCD files, in the order of the file.

Open3D reads both, but a truncated file it completes with whatever lay in memory, and it forgets
the rows and columns of an organised cloud. Whoever wants to notice the first must parse the
header; the rest is then one call of NumPy. So the headers are parsed here, and Open3D serves the
tests as an independent opinion.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.arrays import check_bytes, check_declared
from mmdefect.errors import SensorError

_HEADER_LINES = 1000
_AXES = ("x", "y", "z")
_PLY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2",
    "ushort": "u2", "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_PLY_ORDER = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}
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
        layout = (_ply_layout if path.suffix.lower() == ".ply" else _pcd_layout)(stream)
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
        return _by_field(_unpack_lzf(stream.read(packed), unpacked), layout.point, count)
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


def _ply_layout(stream: IO[bytes]) -> _Layout:
    """Parse the header of a PLY file, whose first element must be the vertices.

    Range scanners tell the rows and columns of their vertices as ``obj_info``.
    """
    lines = _header(stream, "end_header")
    notes = {words[1]: words[2] for words in lines if words[0] == "obj_info" and len(words) == 3}
    lines = [words for words in lines if words[0] != "obj_info"]
    if [words[0] for words in lines[:3]] != ["ply", "format", "element"]:
        raise SensorError("does not begin as a PLY file does; correct the suffix")
    encoding, element = lines[1][1], lines[2]
    if encoding not in _PLY_ORDER or element[1] != "vertex":
        raise SensorError(
            f"is {encoding} PLY that begins with {element[1]!r}, but vertices in one of "
            f"{', '.join(_PLY_ORDER)} were promised; save the vertices first"
        )
    fields = []
    for words in lines[3:]:
        if words[0] != "property":
            break
        if words[1] not in _PLY_TYPES:
            raise SensorError(
                f"has the property {' '.join(words[1:])!r} in its vertices, but numbers were "
                "promised; save the points without lists"
            )
        fields.append((words[2], _PLY_ORDER[encoding] + _PLY_TYPES[words[1]]))
    point = _with_axes(np.dtype(fields))
    count = int(element[2])
    sides = [notes.get(side, "") for side in ("num_rows", "num_cols")]
    organised = all(side.isdecimal() for side in sides)
    shape = tuple(map(int, sides)) if organised else (count,)
    return _Layout(encoding.split("_")[0], shape if math.prod(shape) == count else (count,), point)


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
        raise SensorError(
            f"has points with the fields {', '.join(names)}, but x, y and z were promised; "
            "save the coordinates under these names"
        )
    return point


def _by_field(packed: bytes, point: np.dtype[Any], count: int) -> NDArray[np.float64]:
    """Read coordinates that are stored field after field, (point, 3)."""
    columns, start = {}, 0
    for name in point.names or ():
        if name in _AXES:
            columns[name] = np.frombuffer(packed, point[name], count, start).astype(np.float64)
        start += point[name].itemsize * count
    return np.stack([columns[axis] for axis in _AXES], axis=-1)


def _unpack_lzf(packed: bytes, promised: int) -> bytes:
    """Unpack an LZF stream to the promised number of bytes, and no further.

    A control byte below 32 announces that many bytes plus one as they are; any other one repeats
    earlier output, its upper three bits being the length (7: more follows) and the lower five,
    with the next byte, the distance.
    """
    unpacked = bytearray()
    position = 0
    while position < len(packed) and len(unpacked) <= promised:
        control = packed[position]
        position += 1
        if control < 32:
            unpacked += packed[position : position + control + 1]
            position += control + 1
            continue
        length = control >> 5
        if length == 7:
            length += packed[position]
            position += 1
        start = len(unpacked) - ((control & 31) << 8) - packed[position] - 1
        position += 1
        if start < 0:
            break
        pattern = unpacked[start : start + length + 2]
        unpacked += (pattern * (length + 2))[: length + 2]
    if len(unpacked) != promised:
        raise SensorError(
            f"packs {len(unpacked)} bytes instead of the {promised} that it declares; "
            "record the cloud again"
        )
    return bytes(unpacked)
