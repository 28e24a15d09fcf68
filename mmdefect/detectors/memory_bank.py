"""One sensor's memory of good patches; a part scores by its patches farthest from all of them.

The recipe is PatchCore's [1]_, with what went wrong elsewhere repaired: every sensor is
standardised by its own median and spread, holes match nothing, and maps stay floats. Two things
are added, because a part is not everywhere equally regular:

* Features are compressed by asinh. A rivet's edge is a hundred times as strong as a dent; after
  compression a change counts by how unusual it is for its feature, not by the feature's height.
* A distance is measured in units of the distance between the good patches around, as the local
  outlier factor does [2]_: where good parts vary a lot, much is allowed.

The bank is cross-fitted. Each fold of the training parts chooses its own coreset without knowing
the others, and the bank is their union; leaving a fold's rows out scores its parts as strangers.
So held-out scores of good parts, which every later scale rests on, cost no second bank.
Parts that are added later go into a layer of their own, by which no score rises.

References
----------
.. [1] Roth et al.: Towards total recall in industrial anomaly detection, CVPR 2022.
.. [2] Breunig et al.: LOF: identifying density-based local outliers, SIGMOD 2000.
"""

from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import Any, Self

import numpy as np
import torch
import xarray as xr

from mmdefect.contracts import FeatureExtractor, Scenes, Tensors
from mmdefect.detectors._added import Added, room, worth_a_row
from mmdefect.detectors._maps import predicted, rows_of
from mmdefect.detectors._origins import name_of, origins_in, origins_of, unknown
from mmdefect.detectors._pool import Pool
from mmdefect.detectors._recall import Memory, Recall
from mmdefect.detectors._search import Rows, spacing
from mmdefect.detectors._spread import spread_of
from mmdefect.errors import NotFittedError
from mmdefect.features import extractor
from mmdefect.learnable import keep_learnable
from mmdefect.progress import track
from mmdefect.scene import present_in

__all__ = ["MemoryBank"]

_FIRST_LOOK = 16
_LEAST_REACH = 0.3
_SETTINGS = ("sensor", "features", "share", "most_rows", "bank_bytes", "folds", "blur", "seed")
_LEARNT = ("bank", "reach", "center", "spread", "mean", "deviation")


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
    most_rows : int
        The coreset's largest size: the time of every search grows with it.
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
    reach_ : Tensor (row,), float32
        The usual distance between good patches around each row; 1 where all are the same.
    starts_ : tuple of int
        Where each fold's rows begin, and the end.
    added_ : Added
        Rows that came later.
    origin_ : Tensor (row, 3), int32
        Which part, and which of its patches, each row was; −1 where that is not known.
    captures_ : list of str
        The parts that origins speak of.
    """

    def __init__(
        self,
        sensor: str = "rgb",
        features: str = "builtin",
        share: float = 0.1,
        most_rows: int = 20_000,
        bank_bytes: int = 256 << 20,
        folds: int = 4,
        blur: float = 0.5,
        seed: int = 0,
    ) -> None:
        self.sensor = sensor
        self.features = features
        self.share = share
        self.most_rows = most_rows
        self.bank_bytes = bank_bytes
        self.folds = folds
        self.blur = blur
        self.seed = seed
        self.extractor: FeatureExtractor = extractor(features)
        self._ready: Rows | None = None

    def __repr__(self) -> str:
        """Tell what it looks at and how much it holds."""
        held = "not fitted" if not hasattr(self, "bank_") else f"{len(self.bank_)} rows"
        more = len(self.added_.rows) if hasattr(self, "added_") else 0
        return f"MemoryBank({self.sensor}, {self.features}, {held}{f' + {more}' if more else ''})"

    def fit(self, scenes: Scenes) -> Self:
        """Learn good patches.

        Parameters
        ----------
        scenes : Scenes
            Of good parts; those in which the sensor is absent teach nothing, and of a scene with
            ``learn`` only the patches in it.

        Returns
        -------
        MemoryBank
            Itself.
        """
        first = islice((s[self.sensor] for s in scenes if self._sees(s)), _FIRST_LOOK)
        self._standardise(list(first))
        room = self.bank_bytes // self.folds
        pools = [
            Pool(room, self.share, self.seed + fold, self.most_rows // self.folds)
            for fold in range(self.folds)
        ]
        self.captures_: list[str] = []
        told = f"learning {self.sensor}, at most {self.bank_bytes >> 20} MiB"
        for index, scene in enumerate(track(scenes, len(scenes), told)):
            if self._sees(scene):
                rows, believed = self._rows(scene)
                pools[index % self.folds].add(rows, self._marked(scene, believed))
        made = [pool.marked() for pool in track(pools, self.folds, f"coreset of {self.sensor}")]
        kept = [rows for rows, _ in made]
        self.origin_ = torch.cat([unknown(0), *(marks for _, marks in made if len(marks))])
        self.starts_ = tuple(int(n) for n in np.cumsum([0, *map(len, kept)]))
        self.bank_ = torch.cat([rows for rows in kept if len(rows)] or kept[:1])
        reach = torch.cat([spacing(rows) for rows in kept])
        least = _LEAST_REACH * reach.median() if len(reach) else 0.0
        self.reach_ = torch.where(reach + least > 0, reach + least, 1.0)
        self.added_ = Added.empty(self.bank_.shape[1])
        return self

    def add(self, scenes: Scenes) -> int:
        """Take further good parts in, so that no score rises.

        Parameters
        ----------
        scenes : Scenes
            Of good parts.

        Returns
        -------
        int
            Rows taken in: of each part ``share`` of its patches, among those that the bank knows
            least; none once ``most_rows // 4`` have been added, or both layers together
            would be larger than ``bank_bytes``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        self._check_fitted()
        before = len(self.added_.rows)
        for index, scene in enumerate(track(scenes, len(scenes), f"adding to {self.sensor}")):
            if not self._sees(scene) or not len(self.bank_):
                continue
            rows, believed = self._rows(scene)
            free = room(
                len(self.added_.rows),
                rows.shape[1],
                len(self.bank_),
                self.most_rows,
                self.bank_bytes,
            )
            wanted = min(free, max(1, round(self.share * len(rows))))
            chosen = worth_a_row(rows, self._scores(rows, None), wanted, self.seed)
            if len(chosen):
                reach = self.reach_[self._searched().nearest(rows[chosen])[1]]
                origin = self._marked(scene, believed)[chosen]
                self.added_ = self.added_.joined(rows[chosen], reach, index % self.folds, origin)
        return len(self.added_.rows) - before

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
            ``sensor_map`` (sensor, y, x) of the one sensor: the distance to the nearest good
            patch, in units of the distance between good patches there, smoothed.
            ``sensor_score`` (sensor): the mean of the map's worst thousandth. NaN without
            evidence.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        self._check_fitted()
        knows = self._knows_any(without)
        grid_of = partial(self._grid, scene, without) if knows else None
        return predicted(scene, self.sensor, grid_of, self.blur)

    def recall(self, scene: xr.Dataset) -> Recall:
        """Hold a scene's patches beside good ones; raise NotFittedError before ``fit``."""
        self._check_fitted()
        features = self.extractor.features(scene[self.sensor])
        rows, believed = self._described(features, scene)
        names = features["group"].values.tolist() if "group" in features.coords else []
        memory = Memory(
            torch.cat([self.bank_, self.added_.rows]),
            torch.cat([self.reach_, self.added_.reach]),
            torch.cat([self.origin_, self.added_.origin]),
            self.captures_,
            self._searched(),
        )
        return Recall(scene, self.sensor, self.blur, memory, rows, believed, names)

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Give the bank and its settings.

        Returns
        -------
        dict of str to array
        dict
            Of what JSON can hold.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        self._check_fitted()
        settings = {name: getattr(self, name) for name in _SETTINGS}
        shown = getattr(self.extractor, "scale", None)
        learnt = {
            "starts": list(self.starts_),
            "shown": shown and list(shown),
            "captures": list(self.captures_),
        }
        tensors = {name: getattr(self, f"{name}_").numpy() for name in (*_LEARNT, "origin")}
        return tensors | self.added_.state(), settings | learnt

    @classmethod
    def from_state(cls, tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Self:
        """Make the bank that gave this state."""
        own = {k: v for k, v in settings.items() if k not in ("starts", "shown", "captures")}
        bank = cls(**own)
        for name in _LEARNT:
            setattr(bank, f"{name}_", torch.from_numpy(np.array(tensors[name])))
        bank.starts_ = tuple(settings["starts"])
        bank.added_ = Added.from_state(tensors)
        bank.origin_ = origins_in(tensors, "origin", len(bank.bank_))
        bank.captures_ = list(settings.get("captures", ()))
        if settings["shown"] is not None:
            bank.extractor.scale = tuple(settings["shown"])  # type: ignore[attr-defined]
        return bank

    def _check_fitted(self) -> None:
        if not hasattr(self, "bank_"):
            raise NotFittedError(f"the memory bank of {self.sensor!r} knows no part; fit it first")

    def _sees(self, scene: xr.Dataset) -> bool:
        return self.sensor in present_in(scene)

    def _standardise(self, frames: list[xr.DataArray]) -> None:
        """Fix what is shown to the extractor, and how each feature is brought to one scale."""
        self.extractor.adapt(frames)
        rows = [rows_of(self.extractor.features(frame))[0] for frame in frames]
        seen = torch.cat(rows) if rows else torch.empty(0, 1)
        if len(seen) == 0:
            seen = torch.zeros(2, seen.shape[1])
        self.center_ = seen.median(0).values
        self.spread_ = spread_of((seen - self.center_).abs())
        compressed = torch.asinh((seen - self.center_) / self.spread_)
        self.mean_ = compressed.mean(0)
        deviation = compressed.std(0, correction=min(1, len(seen) - 1))
        self.deviation_ = torch.where(deviation > 1e-6, deviation, 1.0)

    def _rows(self, scene: xr.Dataset) -> tuple[torch.Tensor, np.ndarray]:
        """Describe a scene's patches, standardised."""
        return self._described(self.extractor.features(scene[self.sensor]), scene)

    def _described(
        self, features: xr.DataArray, scene: xr.Dataset
    ) -> tuple[torch.Tensor, np.ndarray]:
        """Bring a scene's features to one scale, as rows."""
        rows, believed = rows_of(keep_learnable(features, scene))
        return self.standardised(rows), believed

    def standardised(self, rows: torch.Tensor) -> torch.Tensor:
        """Bring features (row, feature) to one scale; differentiable."""
        compressed = torch.asinh((rows - self.center_) / self.spread_)
        return (compressed - self.mean_) / self.deviation_

    def _marked(self, scene: xr.Dataset, believed: np.ndarray) -> torch.Tensor:
        """Remember a part, and give the origins of its patches."""
        self.captures_.append(name_of(scene, len(self.captures_)))
        return origins_of(believed, len(self.captures_) - 1)

    def _grid(self, scene: xr.Dataset, without: int | None) -> np.ndarray:
        """Score a scene's patches; NaN where a patch is not to be believed."""
        rows, believed = self._rows(scene)
        grid = np.full(believed.shape, np.nan)
        if len(rows):
            grid[believed] = self._scores(rows, without).numpy()
        return grid

    def _scores(self, rows: torch.Tensor, without: int | None) -> torch.Tensor:
        """Score patches by the better of what was learnt and what was added."""
        skip = (0, 0) if without is None else self.starts_[without : without + 2]
        distances, found = self._searched().nearest(rows, (skip[0], skip[1]))
        scores = distances / self.reach_[found]
        return torch.minimum(scores, self.added_.scores(rows, without))

    def _searched(self) -> Rows:
        """Give the bank as rows that can be asked, made ready when first asked."""
        if self._ready is None or self._ready.rows is not self.bank_:
            self._ready = Rows(self.bank_, self.seed)
        return self._ready

    def _knows_any(self, without: int | None) -> bool:
        """Tell whether the bank has rows besides those of one fold."""
        left_out = 0 if without is None else self.starts_[without + 1] - self.starts_[without]
        return len(self.bank_) > left_out
