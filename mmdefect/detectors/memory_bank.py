"""One sensor's memory of good patches; a part scores by its patch farthest from all of them.

The recipe is PatchCore's [1]_, with what went wrong elsewhere repaired: every sensor is
standardised by its own mean and spread, holes match nothing, and maps stay floats.

The bank is cross-fitted. Each fold of the training parts chooses its own coreset without knowing
the others, and the bank is their union; leaving a fold's rows out scores its parts as strangers.
So held-out scores of good parts, which every later scale rests on, cost no second bank.

References
----------
.. [1] Roth et al.: Towards total recall in industrial anomaly detection, CVPR 2022.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any, Self

import numpy as np
import torch
import xarray as xr

from mmdefect.contracts import FeatureExtractor, Scenes, Tensors
from mmdefect.detectors._coreset import Pool
from mmdefect.detectors._maps import rows_of, to_pixels
from mmdefect.detectors._search import nearest
from mmdefect.errors import NotFittedError
from mmdefect.features import extractor
from mmdefect.prediction import new_prediction
from mmdefect.progress import track
from mmdefect.scene import present_in

__all__ = ["MemoryBank"]

_FIRST_LOOK = 16


class MemoryBank:
    """Nearest-neighbour detector of one sensor.

    Parameters
    ----------
    sensor : str
        The sensor of the scene that is looked at.
    features : str
        Spec of the feature extractor.
    share : float
        Size of the coreset as a share of all patches.
    bank_bytes : int
        Bytes of patches held while fitting; the bank is at most as large.
    folds : int
        Folds of the cross-fit.
    blur : float
        Smoothing of the map, in spacings between patches.
    seed : int

    Attributes
    ----------
    bank_ : Tensor (row, feature), float32
        Standardised patches, fold by fold; empty when no training part had the sensor.
    starts_ : tuple of int
        Where each fold's rows begin, and the end.
    """

    def __init__(
        self,
        sensor: str = "rgb",
        features: str = "builtin",
        share: float = 0.1,
        bank_bytes: int = 256 << 20,
        folds: int = 4,
        blur: float = 0.5,
        seed: int = 0,
    ) -> None:
        self.sensor = sensor
        self.features = features
        self.share = share
        self.bank_bytes = bank_bytes
        self.folds = folds
        self.blur = blur
        self.seed = seed
        self.extractor: FeatureExtractor = extractor(features)

    def fit(self, scenes: Scenes) -> Self:
        """Learn good patches.

        Parameters
        ----------
        scenes : Scenes
            Of good parts; those in which the sensor is absent teach nothing.

        Returns
        -------
        MemoryBank
            Itself.
        """
        first = islice((s[self.sensor] for s in scenes if self._sees(s)), _FIRST_LOOK)
        self._standardise(list(first))
        pools = [
            Pool(self.bank_bytes // self.folds, self.share, self.seed + fold)
            for fold in range(self.folds)
        ]
        for index, scene in enumerate(track(scenes, len(scenes), f"learning {self.sensor}")):
            if self._sees(scene):
                pools[index % self.folds].add(self._rows(scene)[0])
        kept = [pool.coreset() for pool in track(pools, self.folds, f"coreset of {self.sensor}")]
        self.starts_ = tuple(int(n) for n in np.cumsum([0, *map(len, kept)]))
        self.bank_ = torch.cat([rows for rows in kept if len(rows)] or kept[:1])
        return self

    def predict(self, scene: xr.Dataset, without: int | None = None) -> xr.Dataset:
        """Score a scene.

        Parameters
        ----------
        scene : Dataset
        without : int, optional
            Score as if this fold's parts had never been seen.

        Returns
        -------
        Dataset
            ``sensor_map`` (sensor, y, x) and ``sensor_score`` (sensor) of the one sensor: the
            distance to the nearest good patch, smoothed, and its maximum. NaN without evidence.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        if not hasattr(self, "bank_"):
            raise NotFittedError(f"the memory bank of {self.sensor!r} knows no part; fit it first")
        bank = self._bank(without)
        valid = scene["valid"].sel(sensor=self.sensor).values
        if len(bank) and valid.any():
            rows, believed = self._rows(scene)
            grid = np.full(believed.shape, np.nan)
            if len(rows):
                grid[believed] = nearest(rows, bank)[0].numpy()
            pixels = to_pixels(grid, valid, self.blur)
        else:
            pixels = np.full(valid.shape, np.nan, dtype=np.float32)
        score = np.nanmax(pixels) if np.isfinite(pixels).any() else np.nan
        return new_prediction(scene, [self.sensor], pixels[None], np.array([score]))

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Give the bank and its settings.

        Returns
        -------
        dict of str to array
        dict
            Of what JSON can hold.
        """
        settings = {
            name: getattr(self, name)
            for name in ("sensor", "features", "share", "bank_bytes", "folds", "blur", "seed")
        }
        shown = getattr(self.extractor, "scale", None)
        learnt = {"starts": list(self.starts_), "shown": shown and list(shown)}
        tensors = {
            "bank": self.bank_.numpy(),
            "mean": self.mean_.numpy(),
            "spread": self.spread_.numpy(),
        }
        return tensors, settings | learnt

    @classmethod
    def from_state(cls, tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Self:
        """Make the bank that gave this state."""
        own = {k: v for k, v in settings.items() if k not in ("starts", "shown")}
        bank = cls(**own)
        bank.bank_, bank.mean_, bank.spread_ = (
            torch.from_numpy(np.array(tensors[name])) for name in ("bank", "mean", "spread")
        )
        bank.starts_ = tuple(settings["starts"])
        if settings["shown"] is not None:
            bank.extractor.scale = tuple(settings["shown"])  # type: ignore[attr-defined]
        return bank

    def _sees(self, scene: xr.Dataset) -> bool:
        return self.sensor in present_in(scene)

    def _standardise(self, frames: list[xr.DataArray]) -> None:
        """Fix what is shown to the extractor, and each feature's mean and spread."""
        self.extractor.adapt(frames)
        rows = [rows_of(self.extractor.features(frame))[0] for frame in frames]
        seen = torch.cat(rows) if rows else torch.empty(0, 1)
        if len(seen) > 1:
            self.mean_, self.spread_ = seen.mean(0), seen.std(0).clamp_min(1e-6)
        else:
            self.mean_, self.spread_ = torch.zeros(seen.shape[1]), torch.ones(seen.shape[1])

    def _rows(self, scene: xr.Dataset) -> tuple[torch.Tensor, np.ndarray]:
        """Describe a scene's patches, standardised."""
        rows, believed = rows_of(self.extractor.features(scene[self.sensor]))
        return (rows - self.mean_) / self.spread_, believed

    def _bank(self, without: int | None) -> torch.Tensor:
        """Give the bank's rows, less one fold's."""
        if without is None:
            return self.bank_
        start, stop = self.starts_[without], self.starts_[without + 1]
        return torch.cat([self.bank_[:start], self.bank_[stop:]])
