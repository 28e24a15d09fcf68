"""One frame of a DICOM file, from its first byte to its values."""

import zlib
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from numpy.typing import NDArray

from mmdefect.arrays import check_bytes, check_declared, check_frame, silent_log
from mmdefect.dicom._pixels import coded_pixels, plain_pixels
from mmdefect.dicom._raster import PIXELS, PLAIN, read_raster
from mmdefect.dicom._values import values_of
from mmdefect.errors import SensorError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_DEFLATED = "1.2.840.10008.1.2.1.99"
_UNDEFINED = 0xFFFFFFFF


class _Clamped:
    """A file that is never read beyond its end, whatever length is asked for."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream, self._size = stream, size

    def read(self, count: int = -1) -> bytes:
        """Read up to `count` bytes; nobody but who inflates asks for all."""
        if count is None or count < 0:
            raise SensorError("is deflated behind an unusual header, which is not read; export it")
        return self._stream.read(min(count, max(self._size - self._stream.tell(), 0)))

    def seek(self, place: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._stream.seek(place, whence)

    def tell(self) -> int:
        """Tell the place."""
        return self._stream.tell()


def read_dicom(path: Path, max_bytes: int, frame: int | None = None) -> NDArray[Any]:
    """Read a DICOM or DICONDE file.

    Parameters
    ----------
    path : Path
        The file.
    max_bytes : int
        Limit of the declared size in bytes.
    frame : int, optional
        Read this one of several.

    Returns
    -------
    ndarray (y, x) or (y, x, 3)
        Values after rescaling: float64 where the file rescales or pads, else as stored.

    Raises
    ------
    SensorError
        When pydicom or a decoder is not installed, the file is none, declares too much, holds
        several frames and none was named, or what it holds is no plain grey or colour.
    """
    size = path.stat().st_size
    with path.open("rb") as file, silent_log("pydicom"):
        stream: Any = _inflated(_Clamped(file, size), size, max_bytes)
        head = _head(stream)
        count = int(head.get("NumberOfFrames") or 1)
        if frame is None and count != 1:
            raise SensorError(f"holds {count} frames, but one was promised; name one by frame = N")
        index = frame or 0
        check_frame(index, count)
        raster, tag, length = read_raster(head, stream)
        check_declared((raster.rows, raster.columns, raster.channels), raster.dtype, max_bytes)
        syntax = str(head.file_meta.TransferSyntaxUID)
        if length == _UNDEFINED or syntax not in PLAIN:
            stored = coded_pixels(stream, head, raster, index, count)
        else:
            stored = plain_pixels(stream, raster, PLAIN[syntax], head, (index, count, length))
        if PIXELS[tag]:
            return stored
        return values_of(stored, head, raster, index)


def _head(stream: Any) -> "Dataset":
    """Parse everything before the pixels."""
    try:
        import pydicom
    except ImportError as error:
        raise SensorError(
            "is a DICOM file, which pydicom parses, but it is not installed; "
            "pip install 'mmdefect[dicom]'"
        ) from error
    stream.seek(0)
    head: Dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=True)
    if not str(getattr(head.file_meta, "TransferSyntaxUID", "")):
        raise SensorError("says no transfer syntax, but a DICOM file was promised; is it one?")
    return head


def _inflated(stream: _Clamped, size: int, max_bytes: int) -> Any:
    """Inflate a deflated file within the limit; others are left as they are."""
    head = stream.read(2048)
    mark = head.find(b"\x02\x00\x10\x00UI")
    length = int.from_bytes(head[mark + 6 : mark + 8], "little")
    syntax = head[mark + 8 : mark + 8 + length]
    group = head.find(b"\x02\x00\x00\x00UL\x04\x00")
    if mark < 0 or group < 0 or syntax.rstrip(b"\0 ") != _DEFLATED.encode():
        return stream
    start = group + 12 + int.from_bytes(head[group + 8 : group + 12], "little")
    stream.seek(start)
    unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(stream.read(size), max_bytes + 1)
    check_bytes(len(unpacked), max_bytes)
    stream.seek(0)
    plain = b"1.2.840.10008.1.2.1".ljust(length, b"\0")
    return BytesIO(stream.read(start).replace(syntax, plain, 1) + unpacked)
