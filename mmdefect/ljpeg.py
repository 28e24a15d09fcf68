"""Lossless JPEG (process 14), the packing of many radiographs.

The decoders one can install are licensed otherwise, or end the process over a damaged frame. The
format is small: Huffman codes of the differences to a predicted value. So it is decoded here, by a
compiled loop in which every read is held against the end of the stream. There, ``0 +`` makes a
signed number of one without sign.

References
----------
.. [1] ITU-T Recommendation T.81, 1992, annex H; tables and codes as in annexes B, C and F.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import SensorError
from mmdefect.jit import compiled, inlined

_LOOK = 16
_LONGEST = 16
_BROKEN, _SHORT = -1, -2


@dataclass
class _Stream:
    """What the markers of a stream say."""

    rows: int = 0
    columns: int = 0
    precision: int = 0
    channels: list[int] = field(default_factory=list)
    tables: dict[int, NDArray[np.uint16]] = field(default_factory=dict)
    restart: int = 0
    chosen: list[int] = field(default_factory=list)
    predictor: int = 0
    shift: int = 0
    start: int = 0


def decode_lossless(packed: bytes) -> NDArray[np.uint16]:
    """Decode a lossless JPEG stream.

    Parameters
    ----------
    packed : bytes
        From the start of the image on; one scan of all channels.

    Returns
    -------
    ndarray (y, x, channel), uint16

    Raises
    ------
    SensorError
        When it is no such stream, is damaged, or ends before its last pixel.
    """
    said = _markers(packed)
    if said.restart % max(said.columns, 1):
        raise SensorError(
            "packs codes that restart within a row, which is not read; export it otherwise"
        )
    tables = np.zeros((len(said.channels), 1 << _LOOK), np.uint16)
    for place, table in enumerate(said.chosen):
        if table not in said.tables:
            raise SensorError(
                f"packs codes of the Huffman table {table}, which it never told; copy it again"
            )
        tables[place] = said.tables[table]
    out = np.empty((said.rows, said.columns, len(said.channels)), np.uint16)
    settings = np.array(
        [said.start, said.predictor, said.precision, said.shift, said.restart // said.columns]
    )
    status = int(_decode(np.frombuffer(packed, np.uint8), settings, tables, out))
    if status < 0:
        said_so = "ends before its last pixel" if status == _SHORT else "holds a code that is none"
        raise SensorError(f"packs a lossless JPEG that {said_so}; copy the file again")
    return out << np.uint16(said.shift)


def _markers(packed: bytes) -> _Stream:
    """Read the markers up to the scan."""
    said = _Stream()
    place = 2
    while packed[:2] == b"\xff\xd8" and place + 4 <= len(packed) and packed[place] == 0xFF:
        marker = packed[place + 1]
        length = int.from_bytes(packed[place + 2 : place + 4], "big")
        body = packed[place + 4 : place + 2 + length]
        if marker == 0xFF:
            place += 1
            continue
        if marker == 0xC3:
            _frame(said, body)
        elif marker == 0xC4:
            _tables(said, body)
        elif marker == 0xDD and len(body) == 2:
            said.restart = int.from_bytes(body, "big")
        elif marker == 0xDA:
            _scan(said, body)
            said.start = place + 2 + length
            return said
        place += 2 + length
    raise SensorError("packs no lossless JPEG scan, though the file says so; copy it again")


def _frame(said: _Stream, body: bytes) -> None:
    """Read the frame header."""
    if len(body) < 6 or len(body) != 6 + 3 * body[5] or not 2 <= body[0] <= 16:
        raise SensorError("packs a lossless JPEG with a damaged frame header; copy it again")
    said.precision = body[0]
    said.rows, said.columns = (int.from_bytes(body[k : k + 2], "big") for k in (1, 3))
    said.channels = list(body[6::3])
    if not said.rows or not said.columns or not 1 <= len(said.channels) <= 4:
        raise SensorError("packs a lossless JPEG without pixels; copy the file again")
    if len(said.channels) > 1 and set(body[7::3]) != {0x11}:
        raise SensorError("packs channels of unlike size, which is not read; export it otherwise")


def _scan(said: _Stream, body: bytes) -> None:
    """Read the scan header, which must name all channels."""
    count = len(said.channels)
    if (
        not count
        or len(body) != 4 + 2 * count
        or list(body[1 : 1 + 2 * count : 2]) != said.channels
    ):
        raise SensorError(
            "packs its channels in several scans or in another order, which is not read; export "
            "it with interleaved channels"
        )
    said.chosen = [byte >> 4 for byte in body[2 : 2 + 2 * count : 2]]
    said.predictor, said.shift = body[-3], body[-1] & 15
    if not 1 <= said.predictor <= 7 or said.shift >= said.precision:
        raise SensorError(f"uses the predictor {said.predictor}, but 1 to 7 were promised")


def _tables(said: _Stream, body: bytes) -> None:
    """Read Huffman tables as look-ups from 16 bits to length and category."""
    while len(body) >= 17:
        counts, kind = body[1:17], body[0]
        total = sum(counts)
        symbols = body[17 : 17 + total]
        if len(symbols) < total or any(symbol > _LONGEST for symbol in symbols):
            raise SensorError("packs a Huffman table that is none; copy the file again")
        said.tables[kind & 15] = _look_up(counts, symbols)
        body = body[17 + total :]


def _look_up(counts: bytes, symbols: bytes) -> NDArray[np.uint16]:
    """Give length << 8 | category for every 16 bits that a code begins."""
    table = np.zeros(1 << _LOOK, np.uint16)
    code, place = 0, 0
    for length, count in enumerate(counts, 1):
        for symbol in symbols[place : place + count]:
            first = code << _LOOK - length
            if first >= 1 << _LOOK:
                raise SensorError("packs a Huffman table with too many codes; copy the file again")
            table[first : first + (1 << _LOOK - length)] = length << 8 | symbol
            code += 1
        place += count
        code <<= 1
    return table


@inlined
def _filled(stream: Any, place: int, bits: int, held: int, made_up: int) -> tuple[int, ...]:
    """Hold 33 bits at least; beyond a marker or the end they are zeros, and counted."""
    while held <= 32:
        byte = 0 + stream[place] if place < stream.size else -1
        if byte == 0xFF and (place + 1 >= stream.size or stream[place + 1] != 0):
            byte = -1
        if byte >= 0:
            place += 2 if byte == 0xFF else 1
        bits = (bits << 8 | max(byte, 0)) & 0xFFFFFFFFFF
        held += 8
        made_up += 8 if byte < 0 else 0
    return place, bits, held, made_up


@inlined
def _predicted(out: Any, y: int, x: int, c: int, fresh: int, predictor: int, first: int) -> Any:
    """Predict a value from its neighbours left, above and left above."""
    if y == fresh:
        return first if x == 0 else 0 + out[y, x - 1, c]
    above = 0 + out[y - 1, x, c]
    if x == 0:
        return above
    left, corner = 0 + out[y, x - 1, c], 0 + out[y - 1, x - 1, c]
    if predictor == 1:
        return left
    if predictor == 2:
        return above
    if predictor == 3:
        return corner
    if predictor == 4:
        return left + above - corner
    if predictor == 5:
        return left + ((above - corner) >> 1)
    if predictor == 6:
        return above + ((left - corner) >> 1)
    return (left + above) >> 1


@inlined
def _restarted(stream: Any, place: int) -> int:
    """Find the place behind the next restart marker."""
    while place + 1 < stream.size:
        if stream[place] == 0xFF and 0xD0 <= stream[place + 1] <= 0xD7:
            return place + 2
        place += 1
    return int(stream.size)


@inlined
def _step(bits: int, held: int, size: int) -> int:
    """Give the difference that the next bits tell, of a category."""
    if size == 16:
        return 32768
    if size == 0:
        return 0
    step = (bits >> (held - size)) & ((1 << size) - 1)
    return step - (1 << size) + 1 if step < 1 << (size - 1) else step


@compiled
def _decode(stream: Any, settings: Any, tables: Any, out: Any) -> int:
    """Decode all pixels; give 0, or a negative number where the stream does not hold them."""
    place, predictor, rows = settings[0], settings[1], settings[4]
    first = 1 << (settings[2] - settings[3] - 1)
    bits, held, made_up, fresh = 0, 0, 0, 0
    for y in range(out.shape[0]):
        if rows > 0 and y > 0 and y % rows == 0:
            place = _restarted(stream, place)
            bits, held, made_up, fresh = 0, 0, 0, y
        for x in range(out.shape[1]):
            for c in range(out.shape[2]):
                place, bits, held, made_up = _filled(stream, place, bits, held, made_up)
                code = 0 + tables[c, (bits >> (held - 16)) & 0xFFFF]
                size = code & 255
                taken = (code >> 8) + (0 if size == 16 else size)
                if code == 0 or made_up > held - taken:
                    return _SHORT if made_up > 0 else _BROKEN
                step = _step(bits, held - (code >> 8), size)
                held -= taken
                guess = _predicted(out, y, x, c, fresh, predictor, first)
                out[y, x, c] = (guess + step) & 0xFFFF
    return 0
