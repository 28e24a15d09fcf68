"""What a JPEG, JPEG-LS or JPEG 2000 stream declares, before a decoder believes it.

A decoder allocates what the stream says, not what the file around it says. So the first frame
header is found here, in a bounded walk over the markers, and held against the promised size. A
stream without its end is refused, because CharLS waits for the rest of a JPEG-LS stream for ever.
"""

from mmdefect.errors import SensorError

_J2K = b"\xff\x4f\xff\x51"
_END, _MOST_PADDING = b"\xff\xd9", 64
_MOST_TILES = 4096
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD9)}


def check_coded(packed: bytes, rows: int, columns: int, channels: int) -> None:
    """Refuse a stream that declares another size than the file around it.

    Parameters
    ----------
    packed : bytes
        A JPEG, JPEG-LS or JPEG 2000 stream.
    rows, columns, channels : int
        What was promised.

    Raises
    ------
    SensorError
        When it declares another size, or is no such stream.
    """
    whole = packed.startswith(_J2K) or packed[-_MOST_PADDING:].rstrip(b"\0").endswith(_END)
    if not whole:
        raise SensorError(
            "packs a frame without its end, but a whole JPEG stream was promised; it was cut off: "
            "copy the file again"
        )
    found = _j2k(packed) if packed.startswith(_J2K) else _jpeg(packed)
    if found != (rows, columns, channels):
        raise SensorError(
            f"packs a frame of {found[0]} rows, {found[1]} columns and {found[2]} channels, but "
            f"{rows}, {columns} and {channels} were promised; copy the file again"
        )


def _jpeg(packed: bytes) -> tuple[int, int, int]:
    """Walk over the markers to the frame header of a JPEG or JPEG-LS stream."""
    place = 2
    while packed[:2] == b"\xff\xd8" and place + 9 < len(packed) and packed[place] == 0xFF:
        marker = packed[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in _ALONE:
            place += 2
        elif marker in _FRAMES:
            rows = int.from_bytes(packed[place + 5 : place + 7], "big")
            columns = int.from_bytes(packed[place + 7 : place + 9], "big")
            return rows, columns, packed[place + 9]
        else:
            place += 2 + int.from_bytes(packed[place + 2 : place + 4], "big")
    raise SensorError(
        f"packs a frame that begins with {packed[:4].hex(' ')}, but a JPEG or JPEG 2000 stream "
        "with a frame header was promised; copy the file again"
    )


def _j2k(packed: bytes) -> tuple[int, int, int]:
    """Read the size of a JPEG 2000 stream, whose tiles must be few."""
    sides = [int.from_bytes(packed[k : k + 4], "big") for k in range(8, 40, 4)]
    x1, y1, x0, y0, tile_x, tile_y, start_x, start_y = sides
    tiles_x = -(-(x1 - start_x) // max(tile_x, 1))
    tiles_y = -(-(y1 - start_y) // max(tile_y, 1))
    if not (0 < tiles_x * tiles_y <= _MOST_TILES and start_x <= x0 < x1 and start_y <= y0 < y1):
        raise SensorError(
            f"packs JPEG 2000 in {tiles_x} x {tiles_y} tiles that do not cover it, or are too many "
            f"(at most {_MOST_TILES}); copy the file again"
        )
    return y1 - y0, x1 - x0, int.from_bytes(packed[40:42], "big")
