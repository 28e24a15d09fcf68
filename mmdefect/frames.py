"""The one door through which files of frames and masks come in.

* Whatever a decoding library raises or warns about leaves here as one kind of error, which names
  the file: a caller needs to know neither the libraries nor their moods.
* Sizes are checked before anything is allocated; see ``mmdefect.arrays``.
* Values leave as they were stored, in the machine's byte order. What they mean is the sensor
  adapter's business.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.arrays import MAX_BYTES, check_frame, opaque, read_npy, read_npz
from mmdefect.bags import Packed, read_bag
from mmdefect.clouds import read_cloud
from mmdefect.dicom import read_dicom
from mmdefect.errors import SensorError
from mmdefect.hdf5 import read_hdf5
from mmdefect.images import decode_image, read_image, read_tiff

_PLAIN: dict[str, Callable[[Path, int], NDArray[Any]]] = {
    ".png": read_image,
    ".jpg": read_image,
    ".jpeg": read_image,
    ".bmp": read_image,
    ".ply": read_cloud,
    ".pcd": read_cloud,
}
_STACKED: dict[str, Callable[[Path, int, int | None], NDArray[Any]]] = {
    ".tif": read_tiff,
    ".tiff": read_tiff,
    ".npy": read_npy,
    ".dcm": read_dicom,
    ".dicom": read_dicom,
    ".dic": read_dicom,
}
_KEYED: dict[str, Callable[[Path, int, str | None, int | None], NDArray[Any]]] = {
    ".npz": read_npz,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".nc": read_hdf5,
    ".nxs": read_hdf5,
}
_MOST_CHANNELS = 4


def _read_zdf(path: Path, max_bytes: int, key: str | None, frame: int | None) -> NDArray[Any]:
    """Read a Zivid capture, which is netCDF-4; the alpha of its colours is no measurement."""
    array = read_hdf5(path, max_bytes, key, frame)
    colours = array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 4
    return opaque(array) if colours else array


def _read_bag(path: Path, max_bytes: int, key: str | None, frame: int | None) -> NDArray[Any]:
    """Read an image of a ROS 2 bag, packed or not."""
    found = read_bag(path, max_bytes, key, frame)
    return decode_image(BytesIO(found.body), max_bytes) if isinstance(found, Packed) else found


_KEYED |= {".zdf": _read_zdf, ".db3": _read_bag}


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file's name before every SensorError that is raised inside.

    Parameters
    ----------
    path : Path
        The file in hand.
    """
    try:
        yield
    except SensorError as error:
        raise SensorError(f"{path}: {error}") from error.__cause__


def read_array(
    path: Path,
    *,
    key: str | None = None,
    frame: int | None = None,
    max_bytes: int = MAX_BYTES,
) -> NDArray[Any]:
    """Read a file of numbers, whatever its format.

    Parameters
    ----------
    path : Path
        PNG, JPEG, BMP, TIFF, npy, npz, HDF5, netCDF-4, Zivid, DICOM, PLY, PCD or a ROS 2 bag,
        by suffix.
    key : str, optional
        Name of the array in an npz, HDF5 or netCDF-4 file that holds several; a bag's topic.
    frame : int, optional
        Which frame of a file that holds several, counted from 0: a page of a TIFF, a frame of
        DICOM, a message of a topic, a place along the first of three or more axes of an array.
        Only that one is read.
    max_bytes : int
        Largest size that the file may declare, in bytes.

    Returns
    -------
    ndarray
        Real numbers as stored, in the machine's byte order: images (y, x) or (y, x, channel),
        clouds (point, 3) or (y, x, 3), arrays in their own shape.

    Raises
    ------
    SensorError
        When the file is missing, empty, damaged, of an unknown format, declares too much, or
        holds anything but one array of real numbers.
    """
    path = Path(path)
    with naming(path):
        check_file(path)
        suffix = path.suffix.lower()
        if suffix not in _KEYED and key is not None:
            raise SensorError(f"has no named arrays, but key {key!r} was asked for; leave key out")
        if suffix in _PLAIN and frame:
            check_frame(frame, 1)
        with decoding(suffix):
            if suffix in _PLAIN:
                array = _PLAIN[suffix](path, max_bytes)
            elif suffix in _STACKED:
                array = _STACKED[suffix](path, max_bytes, frame)
            else:
                array = _KEYED[suffix](path, max_bytes, key, frame)
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def read_mask(
    path: Path, *, key: str | None = None, max_bytes: int = MAX_BYTES
) -> NDArray[np.bool_]:
    """Read where a part is defective.

    Parameters
    ----------
    path : Path
        An image or array of one channel, or of several equal ones.
    key : str, optional
        As in `read_array`.
    max_bytes : int
        As in `read_array`.

    Returns
    -------
    ndarray (y, x), bool
        True where the stored value is above 0.

    Raises
    ------
    SensorError
        As in `read_array`, and when channels differ.
    """
    array = read_array(path, key=key, max_bytes=max_bytes)
    with naming(path):
        mask: NDArray[np.bool_] = single_channel(array) > 0
    return mask


def single_channel(array: NDArray[Any]) -> NDArray[Any]:
    """Reduce an image of equal channels to one.

    Parameters
    ----------
    array : ndarray (y, x), (y, x, channel) or (channel, y, x)
        The last axis is taken for the channels if it is at most 4 long, else the first.

    Returns
    -------
    ndarray (y, x)
        The channel.

    Raises
    ------
    SensorError
        When the channels differ, or there are no rows and columns.
    """
    if array.ndim == 2:
        return array
    if array.ndim != 3:
        raise SensorError(
            f"holds an array of shape {array.shape}, but rows and columns were promised; "
            "save one image in the file"
        )
    channels = np.moveaxis(array, -1, 0) if array.shape[-1] <= _MOST_CHANNELS else array
    first: NDArray[Any] = channels[0]
    equal_nan = array.dtype.kind == "f"
    if not all(np.array_equal(first, other, equal_nan=equal_nan) for other in channels[1:]):
        raise SensorError(
            f"holds {len(channels)} channels that differ, but one was promised; "
            "a false-colour picture is no measurement: export the counts instead; name one "
            "image of a stack by frame = N"
        )
    return first


def check_file(path: Path) -> None:
    """Refuse what cannot be a file of numbers before any library sees it.

    Parameters
    ----------
    path : Path

    Raises
    ------
    SensorError
        When it is missing, no regular file, of an unknown suffix, or empty.
    """
    known = sorted(_PLAIN.keys() | _STACKED.keys() | _KEYED.keys())
    if not path.exists():
        raise SensorError("is not there, but a frame was promised; correct the path or the card")
    if not path.is_file():
        raise SensorError("is no regular file, but a frame was promised; name the file itself")
    if path.suffix.lower() not in known:
        raise SensorError(
            f"ends with {path.suffix!r}, but one of {', '.join(known)} is read; convert the file"
        )
    if path.stat().st_size == 0:
        raise SensorError("is empty, but a frame was promised; record or copy it again")


@contextmanager
def decoding(suffix: str) -> Iterator[None]:
    """Turn whatever a library raises into SensorError, and keep its warnings in.

    Parameters
    ----------
    suffix : str
        The kind of file that was promised, for the message.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except SensorError:
        raise
    except Exception as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise SensorError(
            f"could not be decoded ({said[0]}), but an intact {suffix} file was promised; "
            "record or copy it again"
        ) from error
