"""PLY files: their header, and any of their elements in the order of the file.

* Elements are records of numbers, some with lists; faces are one element among others, and a
  scanner adds its own (camera, frame, range grid). All are read by one walk.
* A count in a header is held against the bytes that follow before anything is allocated for it,
  and a list may not reach beyond them.
* Comments are kept: some scanners tell the rows and columns of their points nowhere else.
"""

from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import SensorError
from mmdefect.jit import compiled, inlined

_HEADER_LINES = 1000
_MOST_LINE = 1024
_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2",
    "ushort": "u2", "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass(frozen=True)
class Field:
    """A property: its name, its type, and for a list the type of its count."""

    name: str
    kind: str
    count_kind: str = ""


@dataclass(frozen=True)
class Element:
    """A kind of record: how many there are, and their fields."""

    name: str
    count: int
    fields: tuple[Field, ...]

    @property
    def has_lists(self) -> bool:
        """Whether its records are of different lengths."""
        return any(one.count_kind for one in self.fields)

    def least(self, text: bool) -> int:
        """Give the fewest bytes that one record takes."""
        if text:
            return max(2 * len(self.fields) - 1, 1)
        return sum(np.dtype(one.count_kind or one.kind).itemsize for one in self.fields)


@dataclass(frozen=True)
class Header:
    """What a PLY file says of itself.

    Attributes
    ----------
    order : {"", "<", ">"}
        Empty for text.
    elements : tuple of Element
        In the order of the file.
    notes : tuple of str
        Comments and ``obj_info``.
    """

    order: str
    elements: tuple[Element, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """The values of one field, record by record.

    Attributes
    ----------
    values : ndarray (value,)
    counts : ndarray (record,), int64
        How many values each record has; all 1 where the field is no list.
    """

    values: NDArray[Any]
    counts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


def read_header(stream: IO[bytes]) -> Header:
    """Read the header of a PLY file.

    Parameters
    ----------
    stream : binary file
        At its start; left at the first record.

    Returns
    -------
    Header

    Raises
    ------
    SensorError
        When it is no such header.
    """
    lines, notes = _lines(stream)
    if not lines or lines[0] != ["ply"] or len(lines) < 2 or lines[1][0] != "format":
        raise SensorError("does not begin as a PLY file does; correct the suffix")
    encoding = lines[1][1] if len(lines[1]) > 1 else "none"
    if encoding not in _ORDERS:
        raise SensorError(
            f"is {encoding} PLY, but one of {', '.join(_ORDERS)} was promised; save it so"
        )
    found: list[tuple[str, int, list[Field]]] = []
    for words in lines[2:-1]:
        if words[0] == "element" and len(words) == 3 and words[2].isdecimal():
            found.append((words[1], int(words[2]), []))
        elif words[0] == "property" and found:
            found[-1][2].append(_field(words))
        else:
            raise SensorError(
                f"says {' '.join(words)[:80]!r} in its header, but an element or a property was "
                "promised; save the file again"
            )
    elements = tuple(Element(name, count, tuple(fields)) for name, count, fields in found)
    return Header(_ORDERS[encoding], elements, tuple(notes))


def _lines(stream: IO[bytes]) -> tuple[list[list[str]], list[str]]:
    """Read the header's lines as words, and what its comments say."""
    lines: list[list[str]] = []
    notes: list[str] = []
    for _ in range(_HEADER_LINES):
        text = stream.readline(_MOST_LINE).decode("latin-1")
        words = text.split()
        if words and words[0] in ("comment", "obj_info"):
            notes.append(" ".join(words[1:]))
        elif words:
            lines.append(words)
            if words[0] == "end_header":
                return lines, notes
    raise SensorError("has no header that ends with 'end_header'; record the cloud again")


def _field(words: list[str]) -> Field:
    """Understand one property."""
    kinds = words[2:-1] if words[1:2] == ["list"] else words[1:-1]
    if len(kinds) != (2 if words[1:2] == ["list"] else 1) or not set(kinds) <= set(_TYPES):
        raise SensorError(
            f"has the property {' '.join(words[1:])[:80]!r}, but numbers or a list of numbers were "
            "promised; save the file again"
        )
    count_kind = _TYPES[kinds[0]] if len(kinds) == 2 else ""
    return Field(words[-1], _TYPES[kinds[-1]], count_kind)


def read_columns(
    stream: IO[bytes], header: Header, wanted: set[str], held: int
) -> dict[str, dict[str, Column]]:
    """Read the wanted elements.

    Parameters
    ----------
    stream : binary file
        At the first record.
    header : Header
        As from ``read_header``.
    wanted : set of str
        Names of elements; those after the last wanted one are not read.
    held : int
        Bytes from here to the end of the file.

    Returns
    -------
    dict of str to dict of str to Column
        The fields of each wanted element that is there.

    Raises
    ------
    SensorError
        When the file holds less than its header declares, or lists that do not fit.
    """
    last = max((i for i, each in enumerate(header.elements) if each.name in wanted), default=-1)
    elements = header.elements[: last + 1]
    declared = sum(each.count * each.least(not header.order) for each in elements)
    if declared - (0 if header.order else 1) > held:
        raise SensorError(
            f"declares {declared} bytes of points, but holds {held}; "
            "the file was cut off: record the cloud again"
        )
    columns: dict[str, dict[str, Column]] = {}
    for element in elements:
        before = stream.tell()
        read = _text if not header.order else (_ragged if element.has_lists else _records)
        found = read(stream, header, element, held)
        held -= stream.tell() - before
        if element.name in wanted:
            columns[element.name] = found
    return columns


def _records(stream: IO[bytes], header: Header, element: Element, held: int) -> dict[str, Column]:
    """Read records of one length."""
    record = np.dtype(
        [(f"{place}", header.order + one.kind) for place, one in enumerate(element.fields)]
    )
    size = element.count * record.itemsize
    stored = stream.read(size)
    _check_whole(element, len(stored) == size)
    table: NDArray[Any] = np.frombuffer(stored, record)
    ones = np.ones(element.count, np.int64)
    return {one.name: Column(table[f"{i}"], ones) for i, one in enumerate(element.fields)}


def _ragged(stream: IO[bytes], header: Header, element: Element, held: int) -> dict[str, Column]:
    """Read records of different lengths."""
    start = stream.tell()
    stored = np.frombuffer(stream.read(held), np.uint8)
    sizes = [np.dtype(one.kind).itemsize for one in element.fields]
    places, counts, end = _places(element, stored, sizes, header.order == ">")
    stream.seek(start + end)
    columns = {}
    for place, one in enumerate(element.fields):
        kind = np.dtype(header.order + one.kind)
        values = _gathered(stored, places[place], counts[place], kind.itemsize).view(kind)
        columns[one.name] = Column(values, counts[place])
    return columns


def _text(stream: IO[bytes], header: Header, element: Element, held: int) -> dict[str, Column]:
    """Read records written as text, one a line."""
    if not element.has_lists:
        table = np.loadtxt(stream, max_rows=element.count, ndmin=2) if element.count else None
        width = len(element.fields)
        _check_whole(element, table is None or table.shape == (element.count, width))
        ones = np.ones(element.count, np.int64)
        none = np.empty((0, width))
        rows = none if table is None else table
        return {one.name: Column(rows[:, i], ones) for i, one in enumerate(element.fields)}
    words = np.fromstring(stream.read(held).decode("ascii"), sep=" ")
    places, counts, _ = _places(element, words, [1] * len(element.fields), False)
    columns = {}
    for place, one in enumerate(element.fields):
        values = _gathered(words, places[place], counts[place], 1)
        columns[one.name] = Column(values, counts[place])
    return columns


def _places(
    element: Element, stored: NDArray[Any], sizes: list[int], big: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Tell where the values of each field begin and how many there are, (field, record)."""
    text = stored.dtype.kind == "f"
    count_sizes = [
        (1 if text else np.dtype(one.count_kind).itemsize) if one.count_kind else 0
        for one in element.fields
    ]
    shape = len(sizes), element.count
    places, counts = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    end = int(_walk(stored, np.array(count_sizes), np.array(sizes), big, places, counts))
    _check_whole(element, end >= 0)
    return places, counts, end


def _gathered(
    stored: NDArray[Any], places: NDArray[np.int64], counts: NDArray[np.int64], size: int
) -> NDArray[Any]:
    """Put the values of one field one after the other."""
    out = np.empty(int(counts.sum()) * size, stored.dtype)
    _gather(stored, places, counts, size, out)
    return out


def _check_whole(element: Element, whole: bool) -> None:
    """Refuse an element that the file does not hold whole."""
    if not whole:
        raise SensorError(
            f"declares {element.count} of {element.name!r}, but does not hold them all; "
            "the file was cut off or damaged: record the cloud again"
        )


@inlined
def _count(stored: Any, place: int, size: int, big: bool) -> int:
    """Read a count of ``size`` bytes, or one number of a text."""
    total = 0
    for k in range(size):
        byte = stored[place + (k if big else size - 1 - k)]
        if not 0 <= byte < 4294967296.0:
            return -1
        total = total * 256 + int(byte)
    return total


@compiled
def _walk(stored: Any, count_sizes: Any, sizes: Any, big: bool, places: Any, counts: Any) -> int:
    """Walk over records; give the place after the last, -1 where they reach beyond the end."""
    place, end = 0, stored.size
    for record in range(places.shape[1]):
        for k in range(places.shape[0]):
            count = 1
            if count_sizes[k] > 0:
                if place + count_sizes[k] > end:
                    return -1
                count = _count(stored, place, count_sizes[k], big)
                place += count_sizes[k]
            if count < 0 or count > (end - place) // sizes[k]:
                return -1
            places[k, record] = place
            counts[k, record] = count
            place += count * sizes[k]
    return place


@compiled
def _gather(stored: Any, places: Any, counts: Any, size: int, out: Any) -> None:
    """Copy the values of every record behind each other."""
    made = 0
    for record in range(places.size):
        for k in range(counts[record] * size):
            out[made] = stored[places[record] + k]
            made += 1
