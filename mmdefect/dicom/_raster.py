"""What a DICOM header promises of its pixels, held against what follows it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mmdefect.errors import SensorError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PLAIN: dict[str, Literal["<", ">"]] = {
    "1.2.840.10008.1.2": "<",
    "1.2.840.10008.1.2.1": "<",
    "1.2.840.10008.1.2.1.99": "<",
    "1.2.840.10008.1.2.2": ">",
}
"""Byte order of the transfer syntaxes that store pixels as they are."""
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
PIXELS = {0x7FE00010: "", 0x7FE00008: "f4", 0x7FE00009: "f8"}
"""Tags of elements that hold pixels, and the type where it is no integer."""


@dataclass(frozen=True)
class Raster:
    """What a header promises of one frame's pixels.

    Attributes
    ----------
    rows, columns : int
    channels : int
        1 for grey, 3 for colour.
    dtype : dtype
        Of a stored pixel, in the machine's byte order.
    bits, high : int
        How many bits of it are the value, and the place of the highest.
    """

    rows: int
    columns: int
    channels: int
    dtype: np.dtype[Any]
    bits: int
    high: int

    @property
    def size(self) -> int:
        """Bytes of one frame."""
        return self.rows * self.columns * self.channels * self.dtype.itemsize


def read_raster(head: "Dataset", stream: Any) -> tuple[Raster, int, int]:
    """Hold what the header says of its pixels against the element that follows it.

    Parameters
    ----------
    head : pydicom.Dataset
        What stands before the pixels.
    stream : binary file
        At the element of the pixels; left at its value.

    Returns
    -------
    Raster
    int
        The element's tag, a key of ``PIXELS``.
    int
        Its declared length in bytes.

    Raises
    ------
    SensorError
        When there are no pixels, or of a kind that is not read.
    """
    syntax = str(head.file_meta.TransferSyntaxUID)
    order = ">" if PLAIN.get(syntax) == ">" else "<"
    start = stream.read(8)
    tag = int.from_bytes(start[:4], "little" if order == "<" else "big")
    if order == "<":  # group and element are two numbers
        tag = (tag & 0xFFFF) << 16 | tag >> 16
    if tag not in PIXELS or len(start) < 8:
        raise SensorError("holds no pixels, but an image was promised; export the image itself")
    implicit = syntax == "1.2.840.10008.1.2"
    length = start[4:] if implicit else stream.read(4)
    photometric = str(head.get("PhotometricInterpretation", "none")).strip()
    channels = int(head.get("SamplesPerPixel", 1))
    if channels != {**dict.fromkeys(_GREY, 1), **dict.fromkeys(_COLOUR, 3)}.get(photometric):
        raise SensorError(
            f"holds {channels} channels of {photometric}, but one of {', '.join(_GREY)} or three "
            f"of {', '.join(_COLOUR)} were promised; export it so"
        )
    bits, kind = int(head.get("BitsAllocated", 0)), PIXELS[tag]
    if not kind and bits not in (8, 16, 32):
        raise SensorError(f"allocates {bits} bits a pixel, but 8, 16 or 32 were promised")
    signed = int(head.get("PixelRepresentation", 0)) == 1
    dtype = np.dtype(kind or f"{'i' if signed else 'u'}{bits // 8}")
    stored = int(head.get("BitsStored", bits))
    high = int(head.get("HighBit", stored - 1))
    if not kind and not 0 < stored <= high + 1 <= bits:
        raise SensorError(
            f"stores {stored} bits up to bit {high} of {bits}, which is no place for a value; "
            "the header is damaged: export the image again"
        )
    raster = Raster(int(head.Rows), int(head.Columns), channels, dtype, stored, high)
    return raster, tag, int.from_bytes(length, "little" if order == "<" else "big")
