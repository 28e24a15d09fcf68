"""Scans of area detectors in HDF5 with their own flats and darks: NXtomo and Data Exchange.

Radiographs of a scan lie in one stack, with frames of the open beam and of the closed shutter in
it (NXtomo, told apart by a key) or beside it (Data Exchange). Their means are made one frame at a
time, so that a scan larger than memory gives a frame all the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.arrays import check_frame
from mmdefect.errors import SensorError
from mmdefect.hdf5 import follow, read_dataset

_PROJECTION, _FLAT, _DARK = 0, 1, 2
_MOST_PLACES = 100
_WHERE = ("instrument/detector", "tomo_entry/instrument/detector")


@dataclass(frozen=True)
class Radiograph:
    """One projection of a scan.

    Attributes
    ----------
    counts : ndarray (y, x)
        As stored.
    flat, dark : float64 array (y, x)
        Means of the frames of the open beam and without a beam.
    """

    counts: NDArray[Any]
    flat: NDArray[np.float64]
    dark: NDArray[np.float64]


def read_radiograph(path: Path, max_bytes: int, frame: int | None = None) -> Radiograph:
    """Read one projection with the flat and dark of its scan.

    Parameters
    ----------
    path : Path
        An HDF5 file in the layout of NXtomo or of Data Exchange.
    max_bytes : int
        Limit of the declared size in bytes of one frame.
    frame : int, optional
        Which projection, counted from 0 among the projections alone; may be left out when the
        scan holds one.

    Returns
    -------
    Radiograph

    Raises
    ------
    SensorError
        When the file has another layout, lacks flats or darks, or holds several projections and
        none was named.

    References
    ----------
    .. [1] NeXus International Advisory Committee: application definition NXtomo.
    .. [2] De Carlo et al.: Scientific Data Exchange: a schema for HDF5-based storage of raw and
       analyzed data, Journal of Synchrotron Radiation 21, 2014.
    """
    import h5py

    size = path.stat().st_size
    with h5py.File(path, "r") as file:
        found = _nxtomo(file, size, max_bytes) or _exchange(file)
        if found is None:
            raise SensorError(
                "holds neither exchange/data with data_white and data_dark (Data Exchange) nor "
                "instrument/detector with data and image_key (NXtomo), but a scan with its own "
                "flats and darks was promised; name the counts by key, and flat and dark as files"
            )
        places = found[0]
        for name, ones in zip(("projections", "flats", "darks"), found, strict=True):
            if not ones:
                raise SensorError(f"holds a scan without {name}, but some were promised; add them")
        if frame is None and len(places) != 1:
            raise SensorError(
                f"holds {len(places)} frames of the part, but one was promised; name one by "
                "frame = N"
            )
        check_frame(frame or 0, len(places))
        counts = _read(places[frame or 0], size, max_bytes)
        flat, dark = (_mean(ones, size, max_bytes) for ones in found[1:])
    if not counts.shape == flat.shape == dark.shape:
        raise SensorError(
            f"holds projections of shape {counts.shape}, flats of {flat.shape} and darks of "
            f"{dark.shape}, but frames of one detector were promised; record the scan again"
        )
    return Radiograph(counts, flat, dark)


Places = list[tuple[Any, int]]


def _nxtomo(file: Any, size: int, max_bytes: int) -> tuple[Places, Places, Places] | None:
    """Find the frames of an NXtomo scan by their keys."""
    import h5py

    for entry in list(file)[:_MOST_PLACES]:
        for where in _WHERE:
            frames = follow(file, f"{entry}/{where}/data")
            keys = follow(file, f"{entry}/{where}/image_key")
            if not isinstance(frames, h5py.Dataset) or not isinstance(keys, h5py.Dataset):
                continue
            kinds = read_dataset(keys, size, max_bytes)
            if kinds.ndim != 1 or len(frames.shape or ()) != 3 or len(kinds) != frames.shape[0]:
                raise SensorError(
                    f"holds frames of shape {frames.shape} with keys of shape {kinds.shape}, but "
                    "one key a frame was promised; record the scan again"
                )
            kind_of = (np.flatnonzero(kinds == kind) for kind in (_PROJECTION, _FLAT, _DARK))
            projections, flats, darks = ([(frames, int(i)) for i in each] for each in kind_of)
            return projections, flats, darks
    return None


def _exchange(file: Any) -> tuple[Places, Places, Places] | None:
    """Find the frames of a Data Exchange scan by their names."""
    import h5py

    found: list[Places] = []
    for name in ("data", "data_white", "data_dark"):
        frames = follow(file, f"exchange/{name}")
        if not isinstance(frames, h5py.Dataset):
            return None
        if len(frames.shape or ()) != 3:
            raise SensorError(
                f"holds exchange/{name} of shape {frames.shape}, but frames (frame, y, x) were "
                "promised; record the scan again"
            )
        _check_axes(frames)
        found.append([(frames, place) for place in range(min(frames.shape[0], 1_000_000))])
    return found[0], found[1], found[2]


def _check_axes(frames: Any) -> None:
    """Refuse frames that lie in another order than frame, y, x."""
    told = frames.attrs.get("axes", "")
    axes = (told.decode("latin-1") if isinstance(told, bytes) else str(told)).split(":")
    if len(axes) == 3 and axes[1:] != ["y", "x"]:
        raise SensorError(
            f"orders {frames.name} by {':'.join(axes)}, but frames with y:x last were promised; "
            "save the scan so"
        )


def _read(place: tuple[Any, int], size: int, max_bytes: int) -> NDArray[Any]:
    """Read one frame."""
    return read_dataset(place[0], size, max_bytes, place[1])


def _mean(places: Iterable[tuple[Any, int]], size: int, max_bytes: int) -> NDArray[np.float64]:
    """Average frames, one in memory at a time."""
    total, count = None, 0
    for place in places:
        one = _read(place, size, max_bytes).astype(np.float64)
        total = one if total is None else total + one
        count += 1
    if total is None:
        raise AssertionError("an empty list of frames was refused before")
    mean: NDArray[np.float64] = total / count
    return mean
