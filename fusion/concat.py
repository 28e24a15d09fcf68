"""One memory bank of all sensors' features side by side: the plainest fusion, for comparison.

M3DM's ablation has it as the baseline that separate banks beat [1]_: features of all sensors are
brought to one grid, every sensor's standardised by one mean and one spread of its own (not by
another sensor's, as its code does), and concatenated.

* A squared distance is a sum over features, so it falls apart into sensors exactly: each is told
  its share, and combining the shares by the Euclidean norm gives the distance back.
* A sensor that was blind in a cell, or is missing, is left out of the distance there. M3DM fills
  in zeros, which match the zeros of other holes.
* Sensors on a grid of their own cannot take part.

References
----------
.. [1] Wang et al.: Multimodal industrial anomaly detection via hybrid fusion, CVPR 2023, table 5.
"""

import time
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from mmdefect.contracts import Scenes, Tensors
from mmdefect.detectors._pool import Pool
from mmdefect.detectors._search import nearest
from mmdefect.errors import NotFittedError
from mmdefect.familiar import check_sensors
from mmdefect.keyed import below, under

from ._cellwise import from_cells
from ._reader import Reader, chosen, eyes_of
from ._tokens import Tokens

__all__ = ["Concat"]

_CELLS = 64
_DIMS = 4096
_SHARE = 0.1
_MOST_ROWS = 20_000
_WORST_SHARE = 0.001
_SETTINGS = ("detector", "bank_bytes", "folds", "seed")


class Concat:
    """One bank on concatenated features.

    Parameters
    ----------
    sensors : sequence of str
        The sensors to use; all that the scenes have when empty.
    detector : str
        Not used; there for the fusions' common settings.
    features : mapping of str to str, optional
        Spec of the features by sensor; ``builtin`` where not named.
    bank_bytes : int
        Bytes of patches held while fitting.
    folds : int
        Folds of the cross-fit.
    seed : int

    Attributes
    ----------
    bank_ : Tensor (row, feature), float32
        Fold by fold.
    starts_ : tuple of int
        Where each fold's rows begin, and the end.
    """

    def __init__(
        self,
        sensors: tuple[str, ...] = (),
        detector: str = "memory_bank",
        features: Mapping[str, str] | None = None,
        bank_bytes: int = 512 << 20,
        folds: int = 4,
        seed: int = 0,
    ) -> None:
        self.sensors, self.detector, self.features = tuple(sensors), detector, dict(features or {})
        self.bank_bytes, self.folds, self.seed = bank_bytes, folds, seed

    def __repr__(self) -> str:
        """Tell what it joins and how much it holds."""
        held = f"{len(self.bank_)} rows" if hasattr(self, "bank_") else "not fitted"
        return f"Concat({' + '.join(self.sensors) or 'all sensors'}, {held})"

    def fit(self, scenes: Scenes) -> Self:
        """Learn good cells, as all registered sensors see them.

        Parameters
        ----------
        scenes : Scenes
            Of good parts.

        Returns
        -------
        Concat
            Itself.

        Raises
        ------
        MmdefectError
            When there is no scene.
        SceneError
            When the scenes lack one of the sensors to use.
        """
        used, on_grid = chosen(scenes, self.sensors)
        eyes = eyes_of({name: self.features.get(name, "builtin") for name in on_grid}, scenes)
        self.reader_ = Reader(eyes, _CELLS, _DIMS, white=False)
        pools = [
            Pool(self.bank_bytes // self.folds, _SHARE, self.seed + fold, _MOST_ROWS // self.folds)
            for fold in range(self.folds)
        ]
        for index, tokens in enumerate(self.reader_.learn(scenes)):
            rows, there = self._rows(tokens)
            if len(whole := rows[there.all(1)]):
                pools[index % self.folds].add(whole)
        kept = [pool.coreset() for pool in pools]
        self.starts_ = tuple(int(n) for n in np.cumsum([0, *map(len, kept)]))
        self.bank_ = torch.cat([rows for rows in kept if len(rows)] or kept[:1])
        self.sensors = used
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
            ``sensor_map``, ``sensor_score`` and the same as ``evidence_map`` and ``evidence``:
            each sensor's share of the distance to the nearest good cell. ``anomaly_map`` and
            ``image_score`` combine them.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        SceneError
            When the scene has not the sensors that were learnt.
        """
        self._check_fitted()
        check_sensors(scene, self.sensors)
        started = time.perf_counter()
        shares = self._shares(self.reader_.read(scene), without)
        cells = dict(zip(self.reader_.sensors, shares, strict=True))
        return from_cells(scene, self.sensors, cells, worst_shares, self.combine, started)

    def combine(self, evidence: xr.DataArray) -> xr.DataArray:
        """Join the sensors' shares to the distance.

        Parameters
        ----------
        evidence : DataArray (sensor, …)
            NaN contributes nothing.

        Returns
        -------
        DataArray (…)
            NaN where no sensor has evidence.
        """
        return (evidence**2).sum("sensor", min_count=1) ** 0.5

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Give the bank and what the tokens are read with.

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
        read, told = self.reader_.state()
        tensors = under("reader", read)
        settings = {name: getattr(self, name) for name in _SETTINGS}
        settings |= {"sensors": list(self.sensors), "features": self.features}
        learnt = {"reader": told, "starts": list(self.starts_)}
        return tensors | {"bank": self.bank_.numpy()}, {**settings, "learnt": learnt}

    @classmethod
    def from_state(cls, tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Self:
        """Make the fusion that gave this state."""
        made = cls(**{name: value for name, value in settings.items() if name != "learnt"})
        learnt = settings["learnt"]
        read = below(tensors, "reader")
        specs = {name: made.features.get(name, "builtin") for name in learnt["reader"]["sensors"]}
        made.reader_ = Reader.from_state(read, learnt["reader"], eyes_of(specs))
        made.bank_ = torch.from_numpy(np.array(tensors["bank"]))
        made.starts_ = tuple(learnt["starts"])
        return made

    def _check_fitted(self) -> None:
        if not hasattr(self, "bank_"):
            raise NotFittedError("the fusion knows no part; fit it first")

    def _rows(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Put the sensors' features side by side (cell, feature), and tell who was there."""
        parts = [
            tokens.values[index][:, kept] / kept.sum().clamp_min(1) ** 0.5
            for index, kept in enumerate(self.reader_.kept)
        ]
        return torch.cat(parts, dim=1), tokens.there.T

    def _shares(self, tokens: Tokens, without: int | None) -> NDArray[np.float64]:
        """Give each sensor's share of every cell's distance (sensor, row, column)."""
        rows, there = self._rows(tokens)
        kept = self.bank_
        if without is not None:
            kept = torch.cat([kept[: self.starts_[without]], kept[self.starts_[without + 1] :]])
        owner = torch.repeat_interleave(torch.arange(there.shape[1]), self.reader_.kept.sum(1))
        found = np.full(there.shape, np.nan)
        for pattern in torch.unique(there, dim=0):
            cells = (there == pattern).all(1)
            if pattern.any() and len(kept):
                columns = pattern[owner]
                _, best = nearest(rows[cells][:, columns], kept[:, columns])
                apart = (rows[cells] - kept[best]).square()
                shares = torch.zeros(len(apart), there.shape[1]).index_add_(1, owner, apart)
                found[cells.numpy()] = torch.where(pattern, shares.sqrt(), torch.nan).numpy()
        return found.T.reshape(-1, *self.reader_.grid_)


def worst_shares(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    """Score a part by each sensor's share of the worst pixels of all sensors together.

    Parameters
    ----------
    maps : float array (sensor, y, x)
        NaN where there is no evidence.

    Returns
    -------
    float64 array (sensor,)
        Root mean square over the worst 0.1 % of pixels; NaN without evidence.
    """
    known = np.isfinite(maps)
    squares = np.where(known, maps, 0.0).astype(np.float64).reshape(len(maps), -1) ** 2
    seen = np.flatnonzero(known.any(0))
    joint = squares.sum(0)[seen]
    worst = seen[np.argsort(joint)[-max(1, round(_WORST_SHARE * seen.size)) :]]
    scores = np.sqrt(squares[:, worst].mean(1)) if seen.size else np.full(len(maps), np.nan)
    told: NDArray[np.float64] = np.where(known.any((1, 2)), scores, np.nan)
    return told
