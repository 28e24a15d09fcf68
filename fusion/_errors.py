"""From what the network expected to one number a cell, and from cells to a part's score."""

from itertools import combinations

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from ._network import Guess
from ._tokens import Tokens
from ._windows import Windows

_WORST_SHARE = 0.005
_LEAST_WEIGHT = 0.1
_MOST_ERROR = 100.0
_ALL_SUBSETS = 4


def standing_out(guess: Guess, whole: Tokens, windows: Windows, kept: Tensor) -> Tensor:
    """Measure how far what was shown is from what was foretold.

    Parameters
    ----------
    guess : Guess
    whole : Tokens
        Of the same scenes, stacked.
    windows : Windows
        Of all blocks.
    kept : Tensor (sensor, dim), bool

    Returns
    -------
    Tensor (scene, sensor, cell), float32
        About 0 with a spread of 1 where the network is right about itself; NaN where nothing was
        measured.
    """
    wanted = whole.values[:, :, windows.cells]
    error = ((wanted - guess.mean).square() * (-guess.log_variance).exp()).clamp(max=_MOST_ERROR)
    weight = (1 - guess.log_variance.exp()).clamp_min(0) + _LEAST_WEIGHT
    weight = weight * kept[:, None, None]
    told = (weight * (error - 1)).sum(-1) / (2 * weight.square().sum(-1)).sqrt()
    found = torch.full(whole.there.shape, torch.nan)
    found[:, :, windows.cells] = told
    return torch.where(whole.there, found, torch.nan)


def alone(name: str, cells: NDArray[np.float32], apart: NDArray[np.bool_]) -> xr.Dataset:
    """Give one sensor's cells and the part's score, as a detector would."""
    counted = cells[np.isfinite(cells) & ~apart]
    worst = max(1, round(_WORST_SHARE * counted.size))
    score = float(np.sort(counted)[-worst:].mean()) if counted.size else float("nan")
    return xr.Dataset(
        {
            "sensor_map": (("sensor", "y", "x"), cells[None]),
            "sensor_score": ("sensor", np.array([score])),
        },
        coords={"sensor": [name]},
    )


def subsets_of(sensors: tuple[str, ...]) -> list[tuple[str, ...]]:
    """List what may be left of the sensors when some are missing: two of them at least.

    Of more than four sensors only the sets that lack one.

    Examples
    --------
    >>> subsets_of(("rgb", "points", "xray"))
    [('rgb', 'points'), ('rgb', 'xray'), ('points', 'xray')]
    """
    least = 2 if len(sensors) <= _ALL_SUBSETS else len(sensors) - 1
    sizes = range(len(sensors) - 1, least - 1, -1)
    return [chosen for size in sizes for chosen in combinations(sensors, size)]


def only(tokens: Tokens, kept: Tensor, geometry: int) -> Tokens:
    """Hide the sensors that are not kept (sensor,), and with the geometry the places."""
    placed = tokens.placed if geometry < 0 else tokens.placed & kept[geometry]
    return tokens._replace(there=tokens.there & kept[:, None], placed=placed)
