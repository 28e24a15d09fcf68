"""Pixels of one frame of a DICOM file, as stored: plain, or by the decoder of their packing."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mmdefect.arrays import check_bytes
from mmdefect.coded import check_coded
from mmdefect.dicom._raster import Raster
from mmdefect.errors import SensorError
from mmdefect.ljpeg import decode_lossless

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_LOSSLESS = {"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"}
_RLE = "1.2.840.10008.1.2.5"
_DECODERS = {
    _RLE: ("pydicom", "dicom"),
    "1.2.840.10008.1.2.4.50": ("pillow", "dicom"),
    "1.2.840.10008.1.2.4.51": ("pylibjpeg", "dicom-gpl"),
    "1.2.840.10008.1.2.4.80": ("pyjpegls", "dicom"),
    "1.2.840.10008.1.2.4.81": ("pyjpegls", "dicom"),
    "1.2.840.10008.1.2.4.90": ("pylibjpeg", "dicom"),
    "1.2.840.10008.1.2.4.91": ("pylibjpeg", "dicom"),
    "1.2.840.10008.1.2.4.201": ("pylibjpeg", "dicom"),
    "1.2.840.10008.1.2.4.202": ("pylibjpeg", "dicom"),
    "1.2.840.10008.1.2.4.203": ("pylibjpeg", "dicom"),
}
_RLE_RATIO = 64


def plain_pixels(
    stream: Any,
    raster: Raster,
    order: Literal["<", ">"],
    head: "Dataset",
    place: tuple[int, int, int],
) -> NDArray[Any]:
    """Read a frame that is stored pixel by pixel.

    Parameters
    ----------
    stream : binary file
        At the value of the pixels.
    raster : Raster
        What was promised of one frame.
    order : {"<", ">"}
        Of the bytes.
    head : pydicom.Dataset
        What stands before the pixels.
    place : tuple of int
        The wanted frame, how many there are, and the bytes that all of them take.

    Returns
    -------
    ndarray (y, x) or (y, x, 3)

    Raises
    ------
    SensorError
        When the file holds fewer bytes than it declares, or plain colours other than RGB.
    """
    index, count, length = place
    photometric = str(head.PhotometricInterpretation)
    if raster.channels == 3 and photometric != "RGB":
        raise SensorError(f"stores plain {photometric}, but RGB was promised; export it so")
    if length < raster.size * count:
        raise SensorError(
            f"declares {count} frames of {raster.size} bytes, but {length} bytes of pixels; "
            "the header is damaged: export the image again"
        )
    stream.seek(index * raster.size, 1)
    held = stream.read(raster.size)
    if len(held) != raster.size:
        raise SensorError(
            f"declares {raster.size} bytes in frame {index}, but holds {len(held)}; "
            "the file was cut off: copy it again"
        )
    pixels = np.frombuffer(held, raster.dtype.newbyteorder(order)).astype(raster.dtype)
    if raster.channels == 1:
        return _own_bits(pixels, raster).reshape(raster.rows, raster.columns)
    if int(head.get("PlanarConfiguration", 0)) == 1:
        planes = pixels.reshape(3, raster.rows, raster.columns)
        return _own_bits(np.ascontiguousarray(np.moveaxis(planes, 0, -1)), raster)
    return _own_bits(pixels, raster).reshape(raster.rows, raster.columns, 3)


def _own_bits(pixels: NDArray[Any], raster: Raster) -> NDArray[Any]:
    """Remove bits around the value, which once held overlays."""
    if pixels.dtype.kind == "f":
        return pixels
    spare = pixels.dtype.itemsize * 8
    left, right = spare - 1 - raster.high, spare - raster.bits
    return pixels if not right else (pixels << left) >> right


def coded_pixels(
    stream: Any, head: "Dataset", raster: Raster, index: int, count: int
) -> NDArray[Any]:
    """Decode a frame that is packed."""
    from pydicom.encaps import get_frame

    syntax = str(head.file_meta.TransferSyntaxUID)
    if syntax not in _LOSSLESS and syntax not in _DECODERS:
        raise SensorError(
            f"is packed by {head.file_meta.TransferSyntaxUID.name}, which is not read; export it "
            "uncompressed or by lossless JPEG, JPEG-LS or JPEG 2000"
        )
    offsets = None
    if "ExtendedOffsetTable" in head and "ExtendedOffsetTableLengths" in head:
        offsets = head.ExtendedOffsetTable, head.ExtendedOffsetTableLengths
    packed = get_frame(stream, index, number_of_frames=count, extended_offsets=offsets)
    if syntax == _RLE:
        check_bytes(raster.size, _RLE_RATIO * len(packed))
    else:
        check_coded(packed, raster.rows, raster.columns, raster.channels)
    if syntax in _LOSSLESS:
        pixels = decode_lossless(packed)
        shaped = pixels[..., 0] if raster.channels == 1 else pixels
        return shaped.astype(raster.dtype)
    return _by_decoder(packed, head, raster)


def _by_decoder(packed: bytes, head: "Dataset", raster: Raster) -> NDArray[Any]:
    """Let the decoder of a packing have one frame."""
    from pydicom.dataset import Dataset
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import get_decoder

    uid = head.file_meta.TransferSyntaxUID
    plugin, extra = _DECODERS[str(uid)]
    decoder = get_decoder(uid)
    if plugin not in decoder.available_plugins:
        raise SensorError(
            f"is packed by {uid.name}, whose decoder ({plugin}) is not installed; "
            f"pip install 'mmdefect[{extra}]'"
        )
    alone = Dataset()
    for element in head.group_dataset(0x0028):
        alone.add(element)
    alone.file_meta = head.file_meta
    alone.NumberOfFrames = 1
    alone.PixelData = encapsulate([packed])
    pixels: NDArray[Any] = decoder.as_array(alone, decoding_plugin=plugin)[0]
    shape = (raster.rows, raster.columns, 3)[: 3 if raster.channels == 3 else 2]
    if pixels.shape != shape:
        raise SensorError(f"decodes to the shape {pixels.shape}, but {shape} was promised")
    return pixels
