"""Principal components of a flash's cooling: the few shapes that all pixels' coolings are made of.

* Every pixel's cooling is brought to mean 0 and spread 1 in time, so that uneven heating and
  emissivity are gone, and with them every unit.
* A component's sign is free. It is chosen so that the component's shape ends above its own mean:
  what scores high is relatively warm in the end.
* Components are found anew in each sequence, flaws and all. They show flaws well; compare them
  between parts with care, or use phases or slopes, which mean the same in every part.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.errors import SensorError
from mmdefect.thermography.channels import Channel, as_channels, bands, check_sequence


def principal_components(stack: NDArray[np.generic], count: int = 3) -> xr.DataArray:
    """Find the components of a sequence.

    Parameters
    ----------
    stack : array (time, y, x)
        Temperature, or counts, from the flash on.
    count : int
        Components, the strongest first.

    Returns
    -------
    DataArray (channel, y, x), float32
        ``component N``, counted from 1, in 1: the pixel's share of the N-th shape, whose mean
        square over the frames is 1. NaN at pixels that never change.

    Raises
    ------
    SensorError
        When there are not more frames than components, or fewer pixels that change.
    """
    check_sequence(stack, 1.0, 3)
    if not 1 <= count < len(stack):
        raise SensorError(
            f"holds {len(stack)} frames, but from 1 to {len(stack) - 1} components were promised, "
            f"not {count}; correct the card's components"
        )
    gram, pixels = np.zeros((len(stack), len(stack))), 0
    for _, band in bands(stack):
        known = _standardised(band)
        known = known[:, np.isfinite(known[0])]
        gram += known @ known.T
        pixels += known.shape[1]
    if pixels <= count:
        raise SensorError(
            f"changes in {pixels} pixels only, but a sequence of a part that cools was promised; "
            "record it again"
        )
    _, vectors = np.linalg.eigh(gram)
    shapes = vectors[:, ::-1][:, :count]
    shapes = shapes * np.where(shapes[-1] < shapes.mean(0), -1.0, 1.0)
    planes = np.empty((count, *stack.shape[1:]), dtype=np.float32)
    for rows, band in bands(stack):
        shares = shapes.T @ _standardised(band) / np.sqrt(len(stack))
        planes[:, rows] = shares.reshape(count, -1, stack.shape[2])
    named = [Channel(f"component {i + 1}", "1", plane) for i, plane in enumerate(planes)]
    return as_channels(named)


def _standardised(band: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring every pixel's course (time, pixel) to mean 0 and spread 1."""
    band = band - band.mean(axis=0)
    spread = band.std(axis=0)
    spread[~(spread > 0)] = np.nan
    standardised: NDArray[np.float64] = band / spread
    return standardised
