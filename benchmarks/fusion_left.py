"""What a transformer says of a part when sensors are taken away, with features computed once."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
import xarray as xr

from mmdefect.fusion._errors import only
from mmdefect.fusion._joint import Said


def evidence_left(
    fusion: Any, scene: xr.Dataset, banks: Sequence[float]
) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    """Give evidence (sensor,) of a part for every set of fewer sensors, two at least.

    As `predict` scores a scene in which the others are blind; NaN where a sensor is not there.
    ``banks`` is what each sensor's bank says of the part.
    """
    crossing, names = fusion.crossing_, list(fusion.sensors)
    tokens, surprise = crossing.reader.read(scene), crossing.surprise
    geometry = surprise.layout.shape(1, 1, 1).geometry
    apart = np.zeros((len(names), *crossing.reader.grid_), dtype=bool)
    for size in range(len(names) - 1, 1, -1):
        for left in combinations(names, size):
            there = np.array([name in left for name in names])
            _, parts = surprise.evidence(only(tokens, torch.from_numpy(there), geometry), apart)
            both = np.where(there, np.stack([np.asarray(banks), parts]), np.nan)
            maps = np.empty((2, len(names), 0, 0), dtype=np.float32)
            yield left, fusion.joint_.weighed(Said(both, maps, parts))[1][0]
