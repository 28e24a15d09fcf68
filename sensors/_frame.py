"""What the sensor adapters share: options checked, counts scaled, frames labelled.

Options are checked when an adapter is made, because they come from a card and the error should
name the card's word, not the first file. An unknown unit is refused, never guessed.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.errors import CardError, SensorError
from mmdefect.frames import naming, read_array

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
KEYED = (".npz", ".h5", ".hdf5", ".nc", ".nxs", ".db3")
ARRAYS = (".npy", *KEYED)
MILLIMETRES = {"m": 1000.0, "cm": 10.0, "mm": 1.0, "um": 0.001, "relative": 1.0}
"""Length of each unit in mm; a relative length stays what it is."""


def check_unit(unit: object, known: Iterable[str]) -> str:
    """Refuse a unit that the adapter does not know.

    Parameters
    ----------
    unit : object
        The card's word.
    known : iterable of str
        Units the adapter converts.

    Returns
    -------
    str
        The unit.

    Raises
    ------
    CardError
        When it is none of them.
    """
    if not isinstance(unit, str) or unit not in known:
        raise CardError(f"unit is {unit!r}, but one of {', '.join(known)} was promised; choose one")
    return unit


def check_number(name: str, number: object) -> float:
    """Refuse an option that is no finite number.

    Parameters
    ----------
    name : str
        The option's name, for the message.
    number : object
        The card's value.

    Returns
    -------
    float
        The number.

    Raises
    ------
    CardError
        When it is of another type, or not finite.
    """
    if isinstance(number, (int, float)) and not isinstance(number, bool):
        if math.isfinite(number):
            return float(number)
    raise CardError(f"{name} is {number!r}, but a finite number was promised; correct the card")


def check_scale(scale: object, *, positive: bool = False) -> float:
    """Refuse a scale that wipes out the counts or, for lengths, turns them around.

    Parameters
    ----------
    scale : object
        Physical value of one count.
    positive : bool
        Whether it must be positive.

    Returns
    -------
    float
        The scale.

    Raises
    ------
    CardError
        When it is no such number.
    """
    checked = check_number("scale", scale)
    if checked == 0 or (positive and checked < 0):
        promised = "a positive number" if positive else "a number other than 0"
        raise CardError(f"scale is {scale!r}, but {promised} was promised; correct the card")
    return checked


def check_hole(hole: object) -> float | None:
    """Refuse a hole that is neither absent, nor a count, nor ``none``.

    Parameters
    ----------
    hole : object
        Count that marks pixels without a measurement; "none" when no count does; None for the
        adapter's rule.

    Returns
    -------
    float or None
        The count; NaN, which no count equals, for "none".

    Raises
    ------
    CardError
        When it is anything else.
    """
    if hole == "none":
        return math.nan
    return None if hole is None else check_number("hole", hole)


def check_flag(name: str, flag: object) -> bool:
    """Refuse an option that is neither true nor false.

    Parameters
    ----------
    name : str
        The option's name, for the message.
    flag : object
        The card's value.

    Returns
    -------
    bool
        The flag.

    Raises
    ------
    CardError
        When it is anything else.
    """
    if not isinstance(flag, bool):
        raise CardError(f"{name} is {flag!r}, but true or false was promised; correct the card")
    return flag


def check_key(key: object) -> str | None:
    """Refuse a key that cannot name an array.

    Parameters
    ----------
    key : object
        Name of the array in files that hold several.

    Returns
    -------
    str or None
        The key.

    Raises
    ------
    CardError
        When it is neither a name nor None.
    """
    if key is not None and (not isinstance(key, str) or not key.strip("/")):
        raise CardError(f"key is {key!r}, but the name of an array was promised; correct the card")
    return key


def read_counts(
    path: Path, suffixes: tuple[str, ...], key: str | None, frame: int | None = None
) -> NDArray[Any]:
    """Read the counts of one file.

    Parameters
    ----------
    path : Path
        The file.
    suffixes : tuple of str
        Endings the adapter reads, in lower case.
    key : str or None
        Name of the array in files that hold several; other files do without.
    frame : int or None
        Which frame of files that hold several.

    Returns
    -------
    ndarray
        Counts as stored.

    Raises
    ------
    SensorError
        When the file is not of these kinds, cannot be read, or holds only true and false.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise SensorError(
            f"{path}: ends with {path.suffix!r}, but one of {', '.join(suffixes)} was promised; "
            "choose another adapter or convert the file"
        )
    counts = read_array(path, key=key, frame=frame)
    if counts.dtype.kind == "b":
        raise SensorError(
            f"{path}: holds true and false, but a measurement was promised; is it a mask?"
        )
    return counts


def read_calibration(
    option: str,
    path: object,
    suffixes: tuple[str, ...],
    key: str | None,
    arrange: Callable[[NDArray[Any]], NDArray[Any]],
) -> NDArray[np.float64]:
    """Read a frame that a card's option names, once for all captures.

    Parameters
    ----------
    option : str
        The option's name, for the message.
    path : str or Path
        The file.
    suffixes : tuple of str
        Endings the adapter reads, in lower case.
    key : str or None
        Name of the array in files that hold several.
    arrange : callable
        Brings the stored array to the adapter's dims.

    Returns
    -------
    ndarray, float64
        As stored; NaN where not finite.

    Raises
    ------
    CardError
        When the file cannot be read: without it no capture can.
    """
    if not isinstance(path, (str, Path)):
        raise CardError(f"{option} is {path!r}, but the path of a file was promised; correct it")
    path = Path(path)
    try:
        named = key if path.suffix.lower() in KEYED else None
        stored = read_counts(path, suffixes, named)
        with naming(path):
            values = arrange(stored).astype(np.float64)
    except SensorError as error:
        raise CardError(
            f"{option} cannot be read: {error}; correct the card or the file"
        ) from error
    values[~np.isfinite(values)] = np.nan
    return values


def channels_first(array: NDArray[Any], count: int) -> NDArray[Any]:
    """Bring an array with a promised number of channels to (channel, y, x).

    Parameters
    ----------
    array : ndarray (y, x, channel) or (channel, y, x)
        If both ends fit, the last axis is taken.
    count : int
        Promised number of channels.

    Returns
    -------
    ndarray (channel, y, x)
        A view.

    Raises
    ------
    SensorError
        When neither the first nor the last axis fits.
    """
    if array.ndim == 3 and array.shape[-1] == count:
        return np.moveaxis(array, -1, 0)
    if array.ndim == 3 and array.shape[0] == count:
        return array
    raise SensorError(
        f"holds an array of shape {array.shape}, but rows, columns and {count} channels were "
        "promised; correct the card or convert the file"
    )


def physical(counts: NDArray[Any], scale: float, offset: float = 0.0) -> NDArray[np.float64]:
    """Scale counts to a physical value.

    Parameters
    ----------
    counts : ndarray
        As stored.
    scale : float
        Physical value of one count.
    offset : float
        Physical value of zero counts.

    Returns
    -------
    ndarray, float64
        counts * scale + offset, not finite where the counts overflow.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return counts.astype(np.float64) * scale + offset


def label(
    values: NDArray[np.float64],
    modality: str,
    unit: str,
    channels: Mapping[str, list[Any]] | None = None,
) -> xr.DataArray:
    """Turn values into a labelled frame.

    Parameters
    ----------
    values : ndarray (y, x) or (channel, y, x), float64
        In `unit`; whatever is not finite, in float32 too, becomes NaN.
    modality : str
        Kind of measurement.
    unit : str
        Unit of the values.
    channels : mapping of one str to a list, optional
        Name of the channel dimension and its labels.

    Returns
    -------
    DataArray (y, x) or (channel, y, x), float32
        With attributes ``units`` and ``modality``.
    """
    channels = dict(channels or {})
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = np.ascontiguousarray(values, dtype=np.float32)
    narrow[~np.isfinite(narrow)] = np.nan
    return xr.DataArray(
        narrow,
        dims=(*channels, "y", "x"),
        coords=channels,
        attrs={"units": unit, "modality": modality},
    )
