"""PNG, JPEG, BMP and TIFF as arrays of the values that were stored.

* Among PNG, JPEG and BMP the first bytes decide, not the suffix: cameras name files carelessly,
  and nothing is lost by reading what is there.
* Pillow keeps 8 of the 16 bits of a colour PNG. It is asked twice, for the high and for the low
  bytes, which together are the stored counts.
* Checksums of all chunks of a PNG are compared, which Pillow leaves out when it decodes: a frame
  damaged on its way would be taken for a defect, or hide one.
* tifffile decodes TIFF, because it keeps every type and channel; Pillow decodes what tifffile
  leaves to a further library (LZW above all), where it keeps all bits.
* Nothing is rotated: a mask knows nothing of the orientation that a camera noted.
"""

import math
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.arrays import (
    check_bytes,
    check_declared,
    check_frame,
    check_inflated,
    opaque,
    silent_log,
)
from mmdefect.errors import SensorError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_OPAQUE = {mode: mode for mode in ("L", "RGB", "I;16", "I;16B", "I", "F")} | {"1": "L", "P": "RGB"}
_TRANSPARENT = {"1": "LA", "L": "LA", "LA": "LA", "P": "RGBA", "RGB": "RGBA", "RGBA": "RGBA"}
_ALPHA = (1, 2)
_DEFLATE = (8, 32946)
_PLAIN_COMPRESSIONS = (1, 32773, *_DEFLATE)
_MIN_IS_BLACK, _RGB, _PALETTE, _YCBCR = 1, 2, 3, 6
_ORIENTATION_TAG = 274
_MOST_PAGES = 1000


def read_image(path: Path, max_bytes: int) -> NDArray[Any]:
    """Read a PNG, JPEG or BMP file.

    Parameters
    ----------
    path : Path
        The file.
    max_bytes : int
        Limit of the declared size in bytes.

    Returns
    -------
    ndarray (y, x) or (y, x, channel), uint8 or uint16
        Stored values; palettes are expanded, fully opaque alpha is dropped.

    Raises
    ------
    SensorError
        When the image declares too much, is of another kind, or is partly transparent.
    """
    with path.open("rb") as stream:
        return decode_image(stream, max_bytes)


def decode_image(stream: IO[bytes], max_bytes: int) -> NDArray[Any]:
    """Decode a PNG, JPEG or BMP that lies in a file or within another format.

    Parameters
    ----------
    stream : binary stream
        Holds the image from its start on.
    max_bytes : int
        As in `read_image`.

    Returns
    -------
    ndarray (y, x) or (y, x, channel), uint8 or uint16
        As from `read_image`.

    Raises
    ------
    SensorError
        As in `read_image`; Pillow's own errors pass.
    """
    image = _open(stream)
    rawmode = str(image.tile[0][3]) if image.tile else ""
    if rawmode in ("RGB;16B", "RGBA;16B"):
        return _deep_colour(image, stream, max_bytes)
    if rawmode == "LA;16B":
        raise SensorError("holds 16-bit grey with alpha, which is not read; save it without alpha")
    return _pixels(image, max_bytes)


def _open(stream: IO[bytes]) -> "ImageFile":
    """Open an image by its first bytes, without reading pixels; a PNG must be undamaged."""
    from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin

    start = stream.read(4)
    stream.seek(0)
    if start.startswith(b"\x89PNG"):
        PngImagePlugin.PngImageFile(stream).verify()
        stream.seek(0)
        return PngImagePlugin.PngImageFile(stream)
    if start.startswith(b"\xff\xd8"):
        return JpegImagePlugin.JpegImageFile(stream)
    if start.startswith(b"BM"):
        return BmpImagePlugin.BmpImageFile(stream)
    raise SensorError(
        f"begins with the bytes {start.hex(' ')}, but PNG, JPEG or BMP was promised; "
        "correct the suffix or record the frame again"
    )


def _pixels(image: "ImageFile", max_bytes: int) -> NDArray[Any]:
    """Decode an image whose type Pillow keeps."""
    from PIL import ImageMode

    transparent = image.has_transparency_data
    mode = (_TRANSPARENT if transparent else _OPAQUE).get(image.mode)
    if mode is None:
        raise SensorError(
            f"holds pixels of kind {image.mode}{' with transparency' * transparent}, but grey, "
            "RGB or a palette was promised; convert the image where it is recorded"
        )
    layout = ImageMode.getmode(mode)
    shape = (image.height, image.width, len(layout.bands))
    check_declared(shape, np.dtype(layout.typestr), max_bytes)
    pixels = np.array(image if mode == image.mode else image.convert(mode))
    return opaque(pixels) if transparent else pixels


def _deep_colour(image: "ImageFile", stream: IO[bytes], max_bytes: int) -> NDArray[Any]:
    """Decode 16-bit colour as its high and its low bytes."""
    if "transparency" in image.info:
        raise SensorError(
            "names a transparent colour in 16-bit RGB, which is not read; save it without"
        )
    shape = (image.height, image.width, len(image.getbands()))
    check_declared(shape, np.dtype(np.uint16), max_bytes)
    high = np.array(image).astype(np.uint16)
    stream.seek(0)
    again = _open(stream)
    again.tile = [tile._replace(args=f"{image.mode};16L") for tile in again.tile]
    pixels = high << 8 | np.array(again)
    return opaque(pixels) if image.mode == "RGBA" else pixels


def read_tiff(path: Path, max_bytes: int, frame: int | None = None) -> NDArray[Any]:
    """Read a TIFF file.

    Parameters
    ----------
    path : Path
        The file.
    max_bytes : int
        Limit of the declared size in bytes.
    frame : int, optional
        Read this page of a stack, thumbnails not counted; the others may be of another kind.

    Returns
    -------
    ndarray (y, x), (y, x, channel) or, of several pages, (page, y, x)
        Stored values; thumbnails are skipped, fully opaque alpha is dropped.

    Raises
    ------
    SensorError
        When the file declares too much, is cut off, or is encoded as neither tifffile nor Pillow
        reads without loss.
    """
    from tifffile import TiffFile

    with path.open("rb") as stream, silent_log("tifffile"), TiffFile(stream) as tiff:
        count = _behind_one_page(tiff)
        if count > 1:
            return _unlisted(stream, tiff.pages[0].aspage(), (count, frame), max_bytes)
        pages = _pages(tiff) if frame is None else [_chosen_page(tiff, frame)]
        first = pages[0]
        if first.dtype is None or any(
            (page.shape, page.dtype) != (first.shape, first.dtype) for page in pages
        ):
            raise SensorError(
                f"holds {len(pages)} images of unlike or unknown kinds, but one frame was "
                "promised; name one of a stack by frame = N"
            )
        check_declared((len(pages), *first.shape), first.dtype, max_bytes)
        for page in pages:
            _check_segments(page, path.stat().st_size, max_bytes)
        if first.photometric in (_MIN_IS_BLACK, _RGB) and first.compression in _PLAIN_COMPRESSIONS:
            arrays = [_page(page) for page in pages]
            return arrays[0] if len(arrays) == 1 else np.stack(arrays)
        if len(pages) > 1:
            raise SensorError(
                f"holds {len(pages)} pages in compression {first.compression}, which are read "
                "uncompressed or deflated only; save them so, or name one by frame = N"
            )
        return _by_pillow(stream, first, max_bytes)


def _pages(tiff: Any) -> list[Any]:
    """Give all pages but thumbnails."""
    pages = [page.aspage() for page in islice(tiff.pages, _MOST_PAGES + 1)]
    if len(pages) > _MOST_PAGES:
        raise SensorError(
            f"holds more than {_MOST_PAGES} pages, or pages in a circle, but one frame was "
            "promised; name one by frame = N"
        )
    return [page for page in pages if not page.is_reduced] or pages


def _behind_one_page(tiff: Any) -> int:
    """Count the frames that a single page stands for, as in large stacks of ImageJ."""
    pages = list(islice(tiff.pages, 2))
    if len(pages) != 1:
        return len(pages[:1])
    if tiff.is_imagej:
        return int((tiff.imagej_metadata or {}).get("images", 1))
    told = (tiff.shaped_metadata or [{}])[0].get("shape") or (1,)
    return int(math.prod(map(int, told)) // max(pages[0].aspage().size, 1))


def _unlisted(
    stream: IO[bytes], page: Any, chosen: tuple[int, int | None], max_bytes: int
) -> NDArray[Any]:
    """Read a frame that lies behind the one page, one after the other."""
    count, frame = chosen
    if frame is None:
        raise SensorError(f"holds {count} frames, but one was promised; name one by frame = N")
    check_frame(frame, count)
    check_declared(page.shape, page.dtype, max_bytes)
    stream.seek(0, 2)
    last = page.dataoffsets[0] + count * page.nbytes
    if page.compression != 1 or not page.is_contiguous or last > stream.tell():
        raise SensorError(
            f"holds {count} frames behind one page, of which the last ends at byte {last} of "
            f"{stream.tell()}, but uncompressed frames were promised; save each in its own page"
        )
    stream.seek(page.dataoffsets[0] + frame * page.nbytes)
    stored: NDArray[Any] = np.frombuffer(
        stream.read(page.nbytes), page.dtype.newbyteorder(page.parent.byteorder)
    )
    return stored.reshape(page.shape)


def _chosen_page(tiff: Any, frame: int) -> Any:
    """Give one page, thumbnails not counted."""
    whole = -1
    for page in islice(tiff.pages, 2 * frame + _MOST_PAGES):
        whole += not page.aspage().is_reduced
        if whole == frame:
            return page.aspage()
    check_frame(frame, whole + 1)
    raise AssertionError("a frame that is there was found")


def _check_segments(page: Any, file_bytes: int, max_bytes: int) -> None:
    """Refuse strips and tiles that are missing, lie beyond the file's end, or inflate too far."""
    places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    promised = math.prod(page.chunked)
    found = sum(0 < size <= file_bytes - offset for offset, size in places)
    if found < promised:
        raise SensorError(
            f"promises {promised} strips or tiles, but {found} lie whole in the file; "
            "it was cut off or damaged: record the frame again"
        )
    values = math.prod(page.chunks)
    segment_bytes = (values if page.is_tiled else min(values, page.size)) * page.dtype.itemsize
    check_bytes(segment_bytes, max_bytes)
    if page.compression in _DEFLATE:
        for offset, size in places:
            page.parent.filehandle.seek(offset)
            check_inflated(page.parent.filehandle.read(size), segment_bytes)


def _page(page: Any) -> NDArray[Any]:
    """Decode a page by tifffile, channels last."""
    pixels: NDArray[Any] = page.asarray(maxworkers=1)
    if page.samplesperpixel > 1 and page.planarconfig == 2:
        pixels = np.moveaxis(pixels, 0, -1)
    return opaque(pixels) if set(page.extrasamples) & set(_ALPHA) else pixels


def _by_pillow(stream: IO[bytes], page: Any, max_bytes: int) -> NDArray[Any]:
    """Decode a page by Pillow, provided that it keeps all bits and turns nothing."""
    from PIL.TiffImagePlugin import TiffImageFile

    if page.photometric not in (_MIN_IS_BLACK, _RGB, _PALETTE, _YCBCR):
        raise SensorError(
            f"stores {page.photometric.name}, in which the values are no counts of light; "
            "save it as MINISBLACK or RGB"
        )
    if page.tags.valueof(_ORIENTATION_TAG, 1) != 1:
        raise SensorError(
            "is compressed and asks to be turned, but frames are not turned; save it without the "
            "orientation tag"
        )
    stream.seek(0)
    image = TiffImageFile(stream)
    image.seek(page.index)
    pixels = _pixels(image, max_bytes)
    if pixels.dtype.itemsize < page.dtype.itemsize:
        raise SensorError(
            f"holds {page.dtype} in compression {page.compression.name}, of which only "
            f"{pixels.dtype} can be read; save it uncompressed or deflated"
        )
    sign_lost = {pixels.dtype.kind, page.dtype.kind} == {"i", "u"}
    if sign_lost and pixels.dtype.itemsize == page.dtype.itemsize:
        return pixels.view(page.dtype)
    return pixels
