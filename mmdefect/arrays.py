"""What every reader of frames checks first, and NumPy's own files.

* The size that a header declares is compared with the limit before anything of that size is
  allocated: a file of a few hundred bytes can declare hundreds of gigabytes.
* Files that hold their values uncompressed must hold as many bytes as they declare, so a
  truncated file is noticed before it is read.
* Compressed streams are measured with a bounded buffer before a library inflates them, because
  zlib multiplies a hostile stream by up to 1,032.
* Nothing is unpickled.

The functions raise ``SensorError`` without a file's name; ``mmdefect.frames`` adds it.
"""

import logging
import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import SensorError

MAX_BYTES = 1 << 30
"""Largest frame that is read unless the caller says otherwise: 1 GiB."""

ZLIB_RATIO = 1032
"""Most bytes that one byte of a deflate stream becomes."""


def check_declared(shape: tuple[int, ...], dtype: np.dtype[Any], max_bytes: int) -> None:
    """Refuse an array by what its header declares, before it is allocated.

    Parameters
    ----------
    shape : tuple of int
        Declared lengths.
    dtype : dtype
        Declared type of the values.
    max_bytes : int
        Limit in bytes.

    Raises
    ------
    SensorError
        When the values are no real numbers, there are none, or they exceed the limit.
    """
    if dtype.kind not in "biuf":
        raise SensorError(
            f"holds values of type {dtype}, but real numbers were promised; "
            "save the frame as a plain array of integers or floats"
        )
    declared = math.prod(shape) * dtype.itemsize
    if declared <= 0:
        raise SensorError(
            f"declares an array of shape {shape}, but a frame has values; record the frame again"
        )
    check_bytes(declared, max_bytes)


def check_bytes(declared: int, max_bytes: int) -> None:
    """Refuse a number of bytes that exceeds the limit.

    Parameters
    ----------
    declared : int
        Bytes that a header declares.
    max_bytes : int
        Limit in bytes.

    Raises
    ------
    SensorError
        When the limit is exceeded.
    """
    if declared > max_bytes:
        raise SensorError(
            f"declares {declared} bytes, but at most {max_bytes} bytes are read; "
            "if the file is what you expect, raise max_bytes"
        )


def check_frame(frame: int, held: int) -> None:
    """Refuse a frame that a file does not hold.

    Parameters
    ----------
    frame : int
        The wanted one, counted from 0.
    held : int
        How many the file holds.

    Raises
    ------
    SensorError
        When there are not as many.
    """
    if not 0 <= frame < held:
        raise SensorError(
            f"holds {held} frames, counted from 0, but frame {frame} was asked for; correct frame"
        )


def frame_shape(shape: tuple[int, ...], frame: int) -> tuple[int, ...]:
    """Give the shape of one frame of a stack.

    Parameters
    ----------
    shape : tuple of int
        Of the stack; its first axis counts the frames.
    frame : int
        The wanted one, counted from 0.

    Returns
    -------
    tuple of int

    Raises
    ------
    SensorError
        When there are no three axes, or no such frame.
    """
    if len(shape) < 3:
        raise SensorError(
            f"holds an array of shape {shape}, but frame {frame} of a stack was asked for; leave "
            "frame out"
        )
    check_frame(frame, shape[0])
    return shape[1:]


def check_inflated(packed: bytes, promised: int) -> None:
    """Refuse a zlib stream that inflates to more than its header promised.

    Parameters
    ----------
    packed : bytes
        The stream.
    promised : int
        Bytes it may inflate to; no more than one byte beyond that is allocated.

    Raises
    ------
    SensorError
        When it inflates to more.
    """
    if len(zlib.decompressobj().decompress(packed, promised + 1)) > promised:
        raise SensorError(
            f"holds a compressed block that inflates beyond the {promised} bytes it declares; "
            "do not trust this file"
        )


def opaque(pixels: NDArray[Any]) -> NDArray[Any]:
    """Drop the last channel when it says that every pixel is opaque.

    Parameters
    ----------
    pixels : ndarray (y, x, channel)
        Grey or colour, the last channel being alpha.

    Returns
    -------
    ndarray (y, x) or (y, x, channel)

    Raises
    ------
    SensorError
        When a pixel is transparent.
    """
    alpha = pixels[..., -1]
    opaque = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1.0
    if not (alpha == opaque).all():
        raise SensorError(
            f"is transparent in {int((alpha != opaque).sum())} pixels, but a frame is opaque; "
            "mark pixels without a measurement by one value and name it as hole"
        )
    return pixels[..., 0] if pixels.shape[-1] == 2 else pixels[..., :-1]


@contextmanager
def silent_log(name: str) -> Iterator[None]:
    """Switch a library's log off: what is wrong with a file is said once, as an error.

    Parameters
    ----------
    name : str
        The library's name.
    """
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def read_npy(path: Path, max_bytes: int, frame: int | None = None) -> NDArray[Any]:
    """Read a NumPy ``.npy`` file.

    Parameters
    ----------
    path : Path
        The file.
    max_bytes : int
        Limit of the declared size in bytes.
    frame : int, optional
        Read this one along the first of three or more axes.

    Returns
    -------
    ndarray
        The array as stored.

    Raises
    ------
    SensorError
        When the header declares too much, anything but real numbers, or another number of bytes
        than the file holds.
    """
    with path.open("rb") as stream:
        return _read_npy(stream, path.stat().st_size, max_bytes, frame)


def read_npz(
    path: Path, max_bytes: int, key: str | None = None, frame: int | None = None
) -> NDArray[Any]:
    """Read one array of a NumPy ``.npz`` archive.

    Parameters
    ----------
    path : Path
        The archive.
    max_bytes : int
        Limit of the declared size in bytes.
    key : str, optional
        The array's name; may be left out when the archive holds one array.
    frame : int, optional
        Read this one along the first of three or more axes.

    Returns
    -------
    ndarray
        The array as stored.

    Raises
    ------
    SensorError
        When the array is not there or declares too much, as in `read_npy`.
    """
    with zipfile.ZipFile(path) as archive:
        members = {
            member.filename.removesuffix(".npy"): member
            for member in archive.infolist()
            if member.filename.endswith(".npy")
        }
        member = members[choose(sorted(members), key)]
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise SensorError(
                f"compresses by method {member.compress_type}, but NumPy stores or deflates; "
                "save it with numpy.savez or numpy.savez_compressed"
            )
        with archive.open(member) as stream:
            return _read_npy(stream, member.file_size, max_bytes, frame)


def choose(names: list[str], key: str | None) -> str:
    """Choose one array among the names that a file holds.

    Parameters
    ----------
    names : list of str
        Arrays in the file.
    key : str or None
        The wanted name; None when the file is promised to hold one array.

    Returns
    -------
    str
        A member of `names`.

    Raises
    ------
    SensorError
        When no array goes by that name, or no name was given and there is not exactly one.
    """
    listed = ", ".join(names[:20]) or "none"
    if key is None and len(names) != 1:
        raise SensorError(
            f"holds {len(names)} arrays ({listed}), but one was promised; name one by key"
        )
    if key is not None and key not in names:
        raise SensorError(f"holds no array named {key!r}; there are: {listed}; correct key")
    return names[0] if key is None else key


def _read_npy(stream: IO[bytes], size: int, max_bytes: int, frame: int | None) -> NDArray[Any]:
    """Read an array in NumPy's format from a stream of `size` bytes."""
    version = np.lib.format.read_magic(stream)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise SensorError(
            f"is in version {version} of NumPy's format, which only structured arrays need; "
            "save a plain array of integers or floats"
        )
    shape, fortran, dtype = readers[version](stream)
    check_declared(shape if frame is None else frame_shape(shape, frame), dtype, max_bytes)
    declared, held = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if declared != held:
        raise SensorError(
            f"declares {declared} bytes of values, but holds {held}; "
            "the file was cut off or written twice: record the frame again"
        )
    if frame is not None and not fortran:
        values = math.prod(shape[1:])
        stream.seek(frame * values * dtype.itemsize, 1)
        held_values: NDArray[Any] = np.frombuffer(stream.read(values * dtype.itemsize), dtype)
        return held_values.reshape(shape[1:])
    check_declared(shape, dtype, max_bytes)
    stream.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array if frame is None else array[frame]
