"""A multivariate normal distribution of good patches; a part scores by its least likely patches.

* ``position``: one for every patch of the grid, as PaDiM [1]_: the strictest where parts lie
  still, since a patch is compared with the same place of the good parts only.
* ``level``: one for all patches, as Rippel et al. [2]_ have it for images: parts may lie anyhow.

Beside the memory bank it is small, its time to score does not grow with the number of parts, and
what two sites learnt can be merged exactly. Many features are first projected on a random subspace
of fewer, which loses little [1]_.

References
----------
.. [1] Defard et al.: PaDiM: a patch distribution modeling framework, ICPR 2021.
.. [2] Rippel, Mertens, Merhof: Modeling the distribution of normal data in pre-trained deep
   features for anomaly detection, ICPR 2020.
"""

from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import Any, Self

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.contracts import FeatureExtractor, Scenes, Tensors
from mmdefect.detectors._maps import predicted
from mmdefect.detectors._moments import Moments
from mmdefect.detectors._normal import whitening
from mmdefect.errors import MmdefectError, NotFittedError, SceneError
from mmdefect.features import extractor
from mmdefect.learnable import keep_learnable
from mmdefect.progress import track
from mmdefect.scene import present_in

__all__ = ["Gaussian"]

PLACES = ("position", "level")
_FIRST_LOOK = 16
_SETTINGS = (
    "sensor", "features", "place", "most_features", "bank_bytes", "folds", "blur", "seed"
)  # fmt: skip


class Gaussian:
    """Gaussian detector of one sensor.

    Parameters
    ----------
    sensor : str
        The sensor of the scene that is looked at.
    features : str
        Spec of the feature extractor.
    place : str
        ``position`` or ``level``.
    most_features : int
        More are projected on so many.
    bank_bytes : int
        Bytes of what is learnt; where every position's covariance would take more, neighbours
        share one.
    folds : int
        Folds of the cross-fit.
    blur : float
        Smoothing of the map, in spacings between patches.
    seed : int
        Draws the subspace.

    Attributes
    ----------
    moments_ : list of Moments
        One per fold.
    grid_ : tuple of int
        Rows and columns of patches; (0, 0) when no training part had the sensor.

    Raises
    ------
    ValueError
        For another ``place``.
    """

    def __init__(
        self,
        sensor: str = "rgb",
        features: str = "builtin",
        place: str = "position",
        most_features: int = 64,
        bank_bytes: int = 256 << 20,
        folds: int = 4,
        blur: float = 0.5,
        seed: int = 0,
    ) -> None:
        if place not in PLACES:
            raise ValueError(f"place is {place!r}; one of {', '.join(PLACES)} was promised")
        self.sensor = sensor
        self.features = features
        self.place = place
        self.most_features = most_features
        self.bank_bytes = bank_bytes
        self.folds = folds
        self.blur = blur
        self.seed = seed
        self.extractor: FeatureExtractor = extractor(features)
        self._whitening: dict[int | None, tuple[np.ndarray, np.ndarray]] = {}

    def __repr__(self) -> str:
        """Tell what it looks at and how much it holds."""
        held = "not fitted"
        if hasattr(self, "moments_"):
            held = f"{self.grid_[0]}x{self.grid_[1]} patches of {self.moments_[0].mean.shape[1]}"
        return f"Gaussian({self.sensor}, {self.features}, one a {self.place}, {held})"

    def fit(self, scenes: Scenes) -> Self:
        """Learn good patches.

        Parameters
        ----------
        scenes : Scenes
            Of good parts; those in which the sensor is absent teach nothing, and of a scene with
            ``learn`` only the patches in it.

        Returns
        -------
        Gaussian
            Itself.

        Raises
        ------
        SceneError
            When scenes differ in size.
        """
        first = list(islice((s[self.sensor] for s in scenes if self._sees(s)), _FIRST_LOOK))
        self.extractor.adapt(first)
        self._prepare(self.extractor.features(first[0]) if first else None)
        for index, scene in enumerate(track(scenes, len(scenes), f"learning {self.sensor}")):
            if self._sees(scene):
                fold = index % self.folds
                rows, believed = self._rows(scene)
                group = np.flatnonzero(believed) if self.place == "position" else None
                group = np.zeros(len(rows), dtype=np.int64) if group is None else group
                self.moments_[fold] = self.moments_[fold].with_rows(rows, group)
        self._whitening.clear()
        return self

    def merge(self, other: Self) -> Self:
        """Give the detector that the parts of both would have taught.

        Parameters
        ----------
        other : Gaussian
            Of the same settings, fitted elsewhere.

        Returns
        -------
        Gaussian
            A new one; what `fit` on both sets of parts gives, up to rounding.

        Raises
        ------
        NotFittedError
            When one of them is not fitted.
        MmdefectError
            When their settings, grids or scales of raw values differ.
        """
        for one in (self, other):
            one._check_fitted()
        mine, theirs = (one.state()[1] for one in (self, other))
        unlike = [key for key in mine if mine[key] != theirs[key]]
        if unlike:
            key = unlike[0]
            raise MmdefectError(
                f"two Gaussians differ in {key}: {mine[key]!r} and {theirs[key]!r}; only such of "
                "the same settings can be merged"
            )
        merged = type(self).from_state(*self.state())
        merged.moments_ = [a.merged(b) for a, b in zip(self.moments_, other.moments_, strict=True)]
        return merged

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
            ``sensor_map`` (sensor, y, x) of the one sensor: the Mahalanobis distance over the
            root of the number of features, about 1 for a good patch, smoothed. ``sensor_score``
            (sensor): the mean of the map's worst thousandth. NaN without evidence.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        SceneError
            When the scene has another size than those learnt.
        """
        self._check_fitted()
        knows = self._moments(without).counts.any()
        grid_of = partial(self._grid, scene, without) if knows else None
        return predicted(scene, self.sensor, grid_of, self.blur)

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Give what was learnt.

        Returns
        -------
        dict of str to array
            ``counts`` (fold, group), ``mean`` (fold, group, feature), ``scatter``
            (fold, block, feature, feature), ``block`` (group,), ``basis``.
        dict
            Of what JSON can hold.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        self._check_fitted()
        tensors = {
            name: np.stack([getattr(fold, name) for fold in self.moments_])
            for name in ("counts", "mean", "scatter")
        }
        tensors |= {"block": self.moments_[0].block, "basis": self.basis_}
        shown = getattr(self.extractor, "scale", None)
        settings = {name: getattr(self, name) for name in _SETTINGS}
        return tensors, settings | {"grid": list(self.grid_), "shown": shown and list(shown)}

    @classmethod
    def from_state(cls, tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Self:
        """Make the detector that gave this state."""
        own = {k: v for k, v in settings.items() if k not in ("grid", "shown")}
        made = cls(**own)
        made.grid_ = (settings["grid"][0], settings["grid"][1])
        made.basis_ = np.array(tensors["basis"])
        block = np.array(tensors["block"])
        made.moments_ = [
            Moments(tensors["counts"][fold], tensors["mean"][fold], tensors["scatter"][fold], block)
            for fold in range(made.folds)
        ]
        if settings["shown"] is not None:
            made.extractor.scale = tuple(settings["shown"])  # type: ignore[attr-defined]
        return made

    def _check_fitted(self) -> None:
        if not hasattr(self, "moments_"):
            raise NotFittedError(f"the Gaussian of {self.sensor!r} knows no part; fit it first")

    def _sees(self, scene: xr.Dataset) -> bool:
        return self.sensor in present_in(scene)

    def _prepare(self, features: xr.DataArray | None) -> None:
        """Fix the grid, the subspace and which positions share a covariance."""
        self.grid_ = (0, 0) if features is None else (features.shape[1], features.shape[2])
        width = 1 if features is None else features.shape[0]
        kept = min(width, self.most_features)
        drawn = np.random.default_rng(self.seed).standard_normal((width, kept))
        self.basis_ = np.linalg.qr(drawn)[0] if kept < width else np.eye(width)
        bytes_a_block = kept * kept * (8 * self.folds + 4 * (self.folds + 1))
        most = max(1, self.bank_bytes // bytes_a_block)
        block = np.zeros(1, dtype=np.int64)
        if self.place == "position" and features is not None:
            block = _blocks(self.grid_, most)
        self.moments_ = [Moments.empty(block, kept) for _ in range(self.folds)]

    def _rows(self, scene: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Describe a scene's patches, and tell which of the grid they are."""
        features = keep_learnable(self.extractor.features(scene[self.sensor]), scene)
        values = features.values
        if values.shape[1:] != self.grid_:
            raise SceneError(
                f"{self.sensor!r} gives {values.shape[1]}x{values.shape[2]} patches, but "
                f"{self.grid_[0]}x{self.grid_[1]} were learnt; bring all scenes onto one grid"
            )
        believed = np.isfinite(values).all(0)
        return values[:, believed].T.astype(np.float64) @ self.basis_, believed

    def _moments(self, without: int | None) -> Moments:
        """Merge the folds, less one."""
        kept = [own for fold, own in enumerate(self.moments_) if fold != without]
        merged = kept[0]
        for own in kept[1:]:
            merged = merged.merged(own)
        return merged

    def _grid(self, scene: xr.Dataset, without: int | None) -> NDArray[np.float64]:
        """Score a scene's patches; NaN where a patch is not to be believed."""
        if without not in self._whitening:
            self._whitening[without] = whitening(self._moments(without))
        mean, factor = self._whitening[without]
        rows, believed = self._rows(scene)
        grid = np.full(believed.shape, np.nan)
        if self.place == "level":
            deviates = (rows - mean[0]) @ factor[0].T
        else:
            group = np.flatnonzero(believed)
            own = factor[self.moments_[0].block[group]]
            deviates = np.einsum("nij,nj->ni", own, rows - mean[group])
        grid[believed] = np.sqrt((deviates**2).mean(1))
        return grid


def _blocks(grid: tuple[int, int], most: int) -> NDArray[np.int64]:
    """Let neighbouring positions share a block, in squares just large enough."""
    side = 1
    while -(-grid[0] // side) * -(-grid[1] // side) > most:
        side += 1
    rows, columns = np.mgrid[: grid[0], : grid[1]] // side
    return np.asarray((rows * -(-grid[1] // side) + columns).ravel(), dtype=np.int64)
