"""Crossmodal feature mapping, for any pair of sensors: the published baseline.

CFM learns on good parts to map the features of one sensor to those of the other, cell by cell, and
scores by how far they are from what was really there, both ways, multiplied [1]_. Here every
ordered pair of registered sensors has a mapping.

* Widths, activation, loss and optimiser are the recipe's; features are brought to unit spread,
  since features without weights have units. Of few parts training goes through them more often
  than the published 50 times, until it has made as many steps as are worth making.
* With two sensors the anomaly map is the root of the product of both directions, which ranks as
  the product does. With more it is the geometric mean over all ordered pairs that are there, so
  that a missing sensor does not change the scale.
* Every distance is divided by what it is on good parts that its mapping had not seen; 1 is usual.
  Part scores are the map's maximum over the root of its mean, as published.

References
----------
.. [1] Costanzino et al.: Multimodal industrial anomaly detection by crossmodal feature mapping,
   CVPR 2024.
"""

import time
from collections.abc import Mapping as Table
from typing import Any, Self

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from mmdefect.contracts import Scenes, Tensors
from mmdefect.errors import MmdefectError, NotFittedError
from mmdefect.familiar import check_sensors
from mmdefect.keyed import below, under

from ._cellwise import from_cells
from ._pairs import Pairs, distances, trained_pairs
from ._reader import Reader, chosen, eyes_of
from ._tokens import Tokens, stacked

__all__ = ["Mapping"]

_CELLS = 48
_DIMS = 4096
_HALVES = 2
_LEAST = 1e-6
_SETTINGS = ("detector", "bank_bytes", "folds", "seed", "epochs")


class Mapping:
    """Crossmodal feature mapping.

    Parameters
    ----------
    sensors : sequence of str
        The sensors to use; all that the scenes have when empty.
    detector : str
        Not used; there for the fusions' common settings.
    features : mapping of str to str, optional
        Spec of the features by sensor; ``builtin`` where not named.
    bank_bytes : int
        Not used.
    folds : int
        Folds of the cross-fit: two mappings, each of half of the folds, score the other half.
    seed : int
    epochs : int
        Times that training goes through all parts at least.

    Attributes
    ----------
    pairs_ : list of Pairs
        Of the first half of the parts, of the second, of all.
    usual_ : Tensor (sensor, sensor), float32
        Mean distance on good parts, from a sensor to another.
    """

    def __init__(
        self,
        sensors: tuple[str, ...] = (),
        detector: str = "memory_bank",
        features: Table[str, str] | None = None,
        bank_bytes: int = 512 << 20,
        folds: int = 4,
        seed: int = 0,
        epochs: int = 50,
    ) -> None:
        self.sensors, self.detector, self.features = tuple(sensors), detector, dict(features or {})
        self.bank_bytes, self.folds, self.seed, self.epochs = bank_bytes, folds, seed, epochs

    def __repr__(self) -> str:
        """Tell between which sensors it maps."""
        if not hasattr(self, "pairs_"):
            return f"Mapping({', '.join(self.sensors) or 'all sensors'}, not fitted)"
        count = sum(weights.numel() for weights in self.pairs_[-1].parameters())
        return f"Mapping(every pair of {', '.join(self.reader_.sensors)}; {count} parameters)"

    def fit(self, scenes: Scenes) -> Self:
        """Learn how the sensors' features go together.

        Parameters
        ----------
        scenes : Scenes
            Of good parts, two at least.

        Returns
        -------
        Mapping
            Itself.

        Raises
        ------
        MmdefectError
            When there are fewer than two scenes, or than two sensors on the common grid.
        SceneError
            When the scenes lack one of the sensors to use.
        """
        used, on_grid = chosen(scenes, self.sensors)
        if len(on_grid) < 2 or len(scenes) < _HALVES:
            raise MmdefectError(
                f"{len(scenes)} good parts with {len(on_grid)} sensors on the reference's grid; a "
                "mapping takes two of each at least: take the fusion 'late'"
            )
        eyes = eyes_of({name: self.features.get(name, "builtin") for name in on_grid}, scenes)
        self.reader_ = Reader(eyes, _CELLS, _DIMS, white=False)
        held = self.reader_.learn(scenes)
        half = np.arange(len(held)) % self.folds % _HALVES
        every = stacked(held)
        self.pairs_ = []
        for number in range(_HALVES + 1):
            own = np.flatnonzero(half == number) if number < _HALVES else np.arange(len(held))
            rows = Tokens(*(part[torch.from_numpy(own)] for part in every))
            self.pairs_.append(
                trained_pairs(rows, self.reader_.kept, self.epochs, self.seed + number)
            )
        strange = [
            distances(self.pairs_[1 - fold], tokens)
            for tokens, fold in zip(held, half, strict=True)
        ]
        self.usual_ = torch.stack(strange).nanmean((0, 3)).nan_to_num(1.0).clamp_min(_LEAST)
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
            ``sensor_map``, the same as ``evidence_map``: how far each sensor is from what the
            others foretell, 1 where that is usual. ``sensor_score``, the same as ``evidence``:
            its value where the product of all is highest, over the root of the product's
            mean. ``anomaly_map`` and ``image_score`` combine them.

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
        found = self._cells(self.reader_.read(scene), without)
        cells = dict(zip(self.reader_.sensors, found, strict=True))
        return from_cells(scene, self.sensors, cells, at_the_maximum, self.combine, started)

    def combine(self, evidence: xr.DataArray) -> xr.DataArray:
        """Multiply over sensors, and take the root: their geometric mean.

        Parameters
        ----------
        evidence : DataArray (sensor, …)
            NaN contributes nothing.

        Returns
        -------
        DataArray (…)
            NaN where no sensor has evidence.
        """
        if evidence.sizes["sensor"] == 0:
            return xr.full_like(evidence.sum("sensor"), np.nan)
        joint = product(evidence.transpose("sensor", ...).values)
        return evidence.max("sensor", skipna=True).copy(data=joint)

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Give the mappings and what the tokens are read with.

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
        for number, pairs in enumerate(self.pairs_):
            weights = {key: held.numpy() for key, held in pairs.state_dict().items()}
            tensors |= under(str(number), weights)
        settings = {name: getattr(self, name) for name in _SETTINGS}
        settings |= {"sensors": list(self.sensors), "features": self.features}
        return tensors | {"usual": self.usual_.numpy()}, {**settings, "learnt": {"reader": told}}

    @classmethod
    def from_state(cls, tensors: Table[str, np.ndarray], settings: Table[str, Any]) -> Self:
        """Make the fusion that gave this state."""
        made = cls(**{name: value for name, value in settings.items() if name != "learnt"})
        told = settings["learnt"]["reader"]
        specs = {name: made.features.get(name, "builtin") for name in told["sensors"]}
        made.reader_ = Reader.from_state(below(tensors, "reader"), told, eyes_of(specs))
        made.pairs_ = []
        for number in range(_HALVES + 1):
            pairs = Pairs(made.reader_.kept.sum(1).tolist())
            weights = below(tensors, str(number)).items()
            pairs.load_state_dict({key: torch.from_numpy(np.array(held)) for key, held in weights})
            made.pairs_.append(pairs.eval())
        made.usual_ = torch.from_numpy(np.array(tensors["usual"]))
        return made

    def _check_fitted(self) -> None:
        if not hasattr(self, "pairs_"):
            raise NotFittedError("the fusion knows no part; fit it first")

    def _cells(self, tokens: Tokens, without: int | None) -> NDArray[np.float32]:
        """Give how far each sensor is from what the others foretell (sensor, row, column)."""
        number = _HALVES if without is None else 1 - without % _HALVES
        ratio = distances(self.pairs_[number], tokens) / self.usual_[..., None]
        logs = ratio.clamp_min(_LEAST).log().nanmean(0)
        cells: NDArray[np.float32] = logs.exp().reshape(-1, *self.reader_.grid_).numpy()
        return cells


def product(maps: NDArray[np.floating]) -> NDArray[np.floating]:
    """Multiply over sensors and take the root (sensor, …) to (…), NaN left out."""
    known = np.isfinite(maps)
    logs = np.where(known, np.log(np.maximum(np.where(known, maps, 1.0), _LEAST)), 0.0)
    count = known.sum(0)
    joint: NDArray[np.floating] = np.where(
        count > 0, np.exp(logs.sum(0) / np.maximum(count, 1)), np.nan
    )
    return joint


def at_the_maximum(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    """Score a part where the product of all sensors' maps is highest.

    Parameters
    ----------
    maps : float array (sensor, y, x)
        NaN where there is no evidence.

    Returns
    -------
    float64 array (sensor,)
        Each sensor's value there over the root of the product's mean, so that their product is
        the product's maximum over that root; NaN for a sensor without evidence.
    """
    seen = np.isfinite(maps).any((1, 2))
    scores = np.full(len(maps), np.nan)
    joint = np.where(np.isfinite(maps[seen]).all(0), product(maps), np.nan)
    if seen.any() and np.isfinite(joint).any():
        place = np.unravel_index(np.nanargmax(joint), joint.shape)
        scores[seen] = maps[seen][:, place[0], place[1]] / np.sqrt(np.nanmean(joint))
    return scores
