"""What good parts measure at each place: the mean temperature, attenuation and reflectance.

A rivet is colder than the sheet around it on every good part, so against its surroundings it would
always stand out. Held against good parts *there* only what is unusual is left.

* A lamp that is brighter, or a warmer hall, moves the whole part. So what every part's median
  differs by is taken out, of the parts learnt from as of the one that is told.
* Kept are at most 256 cells along the longer side, each the mean of its pixels; the part is brought
  to the same cells before it is compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

_SIDE = 256
_LEAST_PARTS = 8
_LEAST_SEEN = 0.5

Cells = NDArray[np.float32]


class Quantity(NamedTuple):
    """What a sensor measures of one plane, in a unit.

    Attributes
    ----------
    name : str
        ``temperature``, ``attenuation`` or ``reflectance``.
    unit : str
        ``K`` or ``1``.
    values : float array (y, x)
    """

    name: str
    unit: str
    values: NDArray[np.floating]


def quantity_of(frame: xr.DataArray) -> Quantity | None:
    """Read a frame as one plane of a quantity with a unit.

    Parameters
    ----------
    frame : DataArray (…, y, x), float32

    Returns
    -------
    Quantity or None
        The first energy of X-rays as attenuation −ln T, the mean of the colours; None of other
        modalities, and in units that say nothing.
    """
    modality, units = frame.attrs["modality"], frame.attrs["units"]
    if modality == "infrared" and units == "K":
        return Quantity("temperature", "K", frame.values)
    if modality == "xray" and units == "1":
        first = frame.values[0]
        if frame.attrs.get("quantity", "transmission") == "transmission":
            first = -np.log(np.maximum(first, 1e-6))
        return Quantity("attenuation", "1", first)
    if modality == "rgb" and units == "1":
        return Quantity("reflectance", "1", frame.values.mean(0))
    return None


@dataclass
class Usual:
    """Mean of good parts, sensor by sensor, each part less its own median.

    Parameters
    ----------
    total : dict of str to float64 array (y, x)
        Sums over parts, on cells.
    count : dict of str to int array (y, x)
        Parts that were seen there.
    """

    total: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    count: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    def see(self, name: str, frame: xr.DataArray) -> None:
        """Take a good part's frame in; nothing where it has no unit."""
        quantity = quantity_of(frame)
        if quantity is None or not np.isfinite(quantity.values).any():
            return
        cells = _leveled(quantity.values)
        known = np.isfinite(cells)
        if name not in self.total:
            self.total[name], self.count[name] = np.zeros(cells.shape), np.zeros(cells.shape, int)
        if self.total[name].shape == cells.shape:
            self.total[name] += np.where(known, cells, 0.0)
            self.count[name] += known

    def apart(self, name: str, frame: xr.DataArray) -> NDArray[np.float64] | None:
        """Say how far a part is from good ones, place by place.

        Parameters
        ----------
        name : str
            The sensor.
        frame : DataArray (…, y, x)

        Returns
        -------
        float64 array (y, x) or None
            In the quantity's unit, NaN where the part or fewer than eight good ones were seen;
            None where nothing is known of the sensor.
        """
        quantity = quantity_of(frame)
        if quantity is None or name not in self.total:
            return None
        if not np.isfinite(quantity.values).any():
            return None
        cells, count = _leveled(quantity.values), self.count[name]
        if cells.shape != count.shape:
            return None
        usual = (self.total[name] / np.maximum(count, 1)).astype(np.float32)  # as it is kept
        differing = np.where(count >= _LEAST_PARTS, cells - usual, np.nan)
        height, width = quantity.values.shape
        every = _every((height, width))
        told: NDArray[np.float64] = differing.repeat(every, 0).repeat(every, 1)[:height, :width]
        return told

    def state(self) -> dict[str, np.ndarray]:
        """Give what was learnt: means, NaN where too few parts were seen."""
        return {
            f"{name}/usual": np.where(
                self.count[name] >= _LEAST_PARTS, total / np.maximum(self.count[name], 1), np.nan
            ).astype(np.float32)
            for name, total in self.total.items()
        }

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray]) -> "Usual":
        """Make what gave this state; empty for a model of old."""
        means = {
            key.removesuffix("/usual"): held.astype(np.float64)
            for key, held in arrays.items()
            if key.endswith("/usual")
        }
        return cls(
            {name: np.nan_to_num(mean) * _LEAST_PARTS for name, mean in means.items()},
            {name: np.isfinite(mean) * _LEAST_PARTS for name, mean in means.items()},
        )


def _every(shape: tuple[int, int]) -> int:
    """Say how many pixels a cell is wide."""
    return -(-max(shape) // _SIDE)


def _leveled(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Bring a plane to cells, less its median; NaN where less than half was measured."""
    height, width = values.shape
    every = _every((height, width))
    known = np.isfinite(values)
    total, seen = (
        _blocks(plane.astype(np.float64), every) for plane in (np.where(known, values, 0.0), known)
    )
    of_all = _blocks(np.ones((height, width)), every)
    cells = np.where(seen >= _LEAST_SEEN * of_all, total / np.maximum(seen, 1), np.nan)
    found: NDArray[np.float64] = cells - (np.nanmedian(values) if known.any() else 0.0)
    return found


def _blocks(plane: NDArray[np.float64], every: int) -> NDArray[np.float64]:
    """Sum a plane over cells."""
    for axis, length in enumerate(plane.shape):
        plane = np.add.reduceat(plane, np.arange(0, length, every), axis=axis)
    return plane
