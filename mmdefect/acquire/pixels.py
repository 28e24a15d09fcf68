"""Pixel formats: from a camera's bytes to the counts it meant, exactly.

* Formats go by their names and codes in the Pixel Format Naming Convention. A code tells the
  pixel's size in bits, so a table of names, widths and channels is all there is to know.
* A buffer that does not hold what its width, height and format promise is damaged: it is refused,
  never cut, padded or wrapped around.
* Counts stay counts: 12 bits come out as 0–4095 in 16-bit integers. What one count is worth is the
  card's business.
* Mosaics are made into colour where colour is asked for, by the mean of the nearest pixels of each
  colour: nothing sharper, because a measured defect must not be the filter's invention.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import AcquisitionError


class PixelFormat(NamedTuple):
    """How the pixels of a format lie.

    ``bits`` of one channel as stored, ``depth`` of them that count; ``channels`` in the order
    ``order``; ``way`` is ``plain`` (bytes), ``lsb`` (packed, least significant bit first: 10p, 12p)
    or ``gige`` (two pixels in three bytes, the low bits in the middle one).
    """

    name: str
    code: int
    dtype: str
    depth: int
    order: str = ""
    way: str = "plain"
    planar: bool = False

    @property
    def channels(self) -> int:
        """How many channels a pixel has."""
        return max(len(self.order), 1)

    @property
    def bits(self) -> int:
        """Bits of a pixel as stored."""
        return (self.code >> 16) & 0xFF


def _table() -> dict[str, PixelFormat]:
    """Write the known formats down."""
    formats = [
        PixelFormat("Mono8", 0x01080001, "u1", 8),
        PixelFormat("Mono10", 0x01100003, "u2", 10),
        PixelFormat("Mono12", 0x01100005, "u2", 12),
        PixelFormat("Mono14", 0x01100025, "u2", 14),
        PixelFormat("Mono16", 0x01100007, "u2", 16),
        PixelFormat("Mono10Packed", 0x010C0004, "u2", 10, way="gige"),
        PixelFormat("Mono12Packed", 0x010C0006, "u2", 12, way="gige"),
        PixelFormat("Mono10p", 0x010A0046, "u2", 10, way="lsb"),
        PixelFormat("Mono12p", 0x010C0047, "u2", 12, way="lsb"),
        PixelFormat("RGB8", 0x02180014, "u1", 8, "rgb"),
        PixelFormat("BGR8", 0x02180015, "u1", 8, "bgr"),
        PixelFormat("RGBa8", 0x02200016, "u1", 8, "rgba"),
        PixelFormat("BGRa8", 0x02200017, "u1", 8, "bgra"),
        PixelFormat("RGB10", 0x02300018, "u2", 10, "rgb"),
        PixelFormat("BGR10", 0x02300019, "u2", 10, "bgr"),
        PixelFormat("RGB12", 0x0230001A, "u2", 12, "rgb"),
        PixelFormat("BGR12", 0x0230001B, "u2", 12, "bgr"),
        PixelFormat("RGB16", 0x02300033, "u2", 16, "rgb"),
        PixelFormat("Coord3D_A32f", 0x012000BD, "f4", 32),
        PixelFormat("Coord3D_B32f", 0x012000BE, "f4", 32),
        PixelFormat("Coord3D_C32f", 0x012000BF, "f4", 32),
        PixelFormat("Coord3D_ABC32f", 0x026000C0, "f4", 32, "abc"),
        PixelFormat("Coord3D_ABC32f_Planar", 0x026000C1, "f4", 32, "abc", planar=True),
        PixelFormat("Coord3D_A16", 0x011000B6, "u2", 16),
        PixelFormat("Coord3D_B16", 0x011000B7, "u2", 16),
        PixelFormat("Coord3D_C16", 0x011000B8, "u2", 16),
        PixelFormat("Coord3D_ABC16", 0x023000B9, "u2", 16, "abc"),
        PixelFormat("Coord3D_ABC16_Planar", 0x023000BA, "u2", 16, "abc", planar=True),
        PixelFormat("Confidence8", 0x010800C6, "u1", 8),
        PixelFormat("Confidence16", 0x011000C7, "u2", 16),
        PixelFormat("Confidence32f", 0x012000C8, "f4", 32),
    ]
    for place, tile in enumerate(("GR", "RG", "GB", "BG")):
        formats += [
            PixelFormat(f"Bayer{tile}8", 0x01080008 + place, "u1", 8),
            PixelFormat(f"Bayer{tile}10", 0x0110000C + place, "u2", 10),
            PixelFormat(f"Bayer{tile}12", 0x01100010 + place, "u2", 12),
            PixelFormat(f"Bayer{tile}16", 0x0110002E + place, "u2", 16),
        ]
    return {known.name: known for known in formats}


FORMATS = _table()
_BY_CODE = {known.code: known for known in FORMATS.values()}


def pixel_format(told: str | int) -> PixelFormat:
    """Find a format.

    Parameters
    ----------
    told : str or int
        Its name, or its code.

    Returns
    -------
    PixelFormat

    Raises
    ------
    AcquisitionError
        When it is none that is read here.
    """
    found = FORMATS.get(told) if isinstance(told, str) else _BY_CODE.get(told)
    if found is None:
        name = told if isinstance(told, str) else f"0x{told:08X}"
        raise AcquisitionError(
            f"the camera sends the pixel format {name}, which is not read here; set its "
            f"PixelFormat to one of {', '.join(sorted(FORMATS))}"
        )
    return found


def counts_of(
    body: bytes | memoryview | NDArray[np.uint8],
    told: str | int,
    size: tuple[int, int],
    padding: int = 0,
    *,
    big_endian: bool = False,
) -> NDArray[Any]:
    """Read an image out of a buffer.

    Parameters
    ----------
    body : bytes
        The image's part of the buffer.
    told : str or int
        The pixel format.
    size : (int, int)
        Rows and columns, px.
    padding : int
        Bytes after each row that mean nothing.
    big_endian : bool
        Whether counts of several bytes begin with the highest.

    Returns
    -------
    ndarray (y, x) or (y, x, channel)
        A copy, in the machine's byte order: uint8, uint16 or float32.

    Raises
    ------
    AcquisitionError
        When the format is not known, or the buffer does not hold such an image.
    """
    known = pixel_format(told)
    rows, columns = size
    stored = np.frombuffer(body, np.uint8)
    if rows <= 0 or columns <= 0 or padding < 0:
        raise AcquisitionError(f"an image of {rows}x{columns} pixels was announced; is it set up?")
    if known.way != "plain":
        needed, line = -(-rows * columns * known.bits // 8), 0
        if padding:
            raise AcquisitionError(f"rows of {known.name} with padding are not read; set it to 0")
    else:
        line = columns * known.bits // 8
        needed = rows * (line + padding) - padding
    if stored.size < needed:
        raise AcquisitionError(
            f"{rows}x{columns} pixels of {known.name} take {needed} bytes, but {stored.size} came"
        )
    if known.way != "plain":
        return _unpacked(stored[:needed], known, rows * columns).reshape(rows, columns)
    if padding:
        whole = np.concatenate([stored[:needed], np.zeros(padding, np.uint8)])
        stored = np.ascontiguousarray(whole.reshape(rows, line + padding)[:, :line]).ravel()
    order = ">" if big_endian else "<"
    flat = stored[: rows * line].view(np.dtype(order + known.dtype))
    return _arranged(flat, known, rows, columns)


def _arranged(flat: NDArray[Any], known: PixelFormat, rows: int, columns: int) -> NDArray[Any]:
    """Bring plain counts to rows, columns and channels, in the machine's byte order."""
    count = known.channels
    image: NDArray[Any]
    if known.planar:
        image = np.moveaxis(flat.reshape(count, rows, columns), 0, -1)
    elif count > 1:
        image = flat.reshape(rows, columns, count)
    else:
        image = flat.reshape(rows, columns)
    return np.array(image, dtype=image.dtype.newbyteorder("="), order="C")


def _unpacked(stored: NDArray[np.uint8], known: PixelFormat, count: int) -> NDArray[np.uint16]:
    """Take packed counts apart."""
    if known.way == "gige":
        triples = np.zeros((-(-count // 2), 3), np.uint16)
        triples.reshape(-1)[: stored.size] = stored
        low = known.depth - 8
        mask = (1 << low) - 1
        first = triples[:, 0] << low | (triples[:, 1] & mask)
        second = triples[:, 2] << low | (triples[:, 1] >> 4 & mask)
        return np.stack([first, second], axis=1).reshape(-1)[:count].astype(np.uint16)
    bits = np.unpackbits(stored, bitorder="little")[: count * known.depth]
    weights = 1 << np.arange(known.depth, dtype=np.uint32)
    return (bits.reshape(count, known.depth) @ weights).astype(np.uint16)


def color_of(counts: NDArray[Any], told: str) -> NDArray[Any]:
    """Give the colour image that a format holds.

    Parameters
    ----------
    counts : ndarray (y, x) or (y, x, channel)
    told : str
        The format's name.

    Returns
    -------
    ndarray (y, x, 3) or (y, x)
        Red, green, blue in the same type; grey stays one channel; alpha is left out.
    """
    known = pixel_format(told)
    if known.name.startswith("Bayer"):
        return demosaiced(counts, known.name[5:7])
    if known.order[:3] == "bgr":
        return np.ascontiguousarray(counts[..., 2::-1])
    return np.ascontiguousarray(counts[..., :3]) if known.channels > 1 else counts


def demosaiced(mosaic: NDArray[Any], tile: str) -> NDArray[Any]:
    """Make a mosaic into colour: each colour is the mean of its nearest pixels.

    Parameters
    ----------
    mosaic : ndarray (y, x)
        Integers.
    tile : str
        Colours of its first two pixels in the first row: ``RG``, ``GR``, ``GB`` or ``BG``.

    Returns
    -------
    ndarray (y, x, 3)
        Red, green, blue, in the same type, means rounded to the nearest count.
    """
    from scipy.ndimage import convolve

    rows, columns = np.indices(mosaic.shape)
    red_row = 0 if "R" in tile else 1
    first_red = tile.index("R") if "R" in tile else 1 - tile.index("B")
    red = (rows % 2 == red_row) & (columns % 2 == first_red)
    blue = (rows % 2 != red_row) & (columns % 2 != first_red)
    cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    square = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    planes = [
        convolve(np.where(mask, mosaic, 0).astype(np.float64), kernel, mode="mirror")
        for mask, kernel in ((red, square), (~(red | blue), cross), (blue, square))
    ]
    return np.floor(np.stack(planes, axis=-1) + 0.5).astype(mosaic.dtype)
