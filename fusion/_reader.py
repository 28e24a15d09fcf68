"""From a scene to tokens, with features that the memory banks compute anyway.

Frozen features cost far more than a small network does. So the detectors' extractors are asked
through a memory of one scene: what a bank has just computed is not computed again. The memory is
emptied before and after every scene, so that a frame somebody changes in place is never mistaken
for what it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Self

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mmdefect.contracts import FeatureExtractor, Scenes, Tensors
from mmdefect.errors import MmdefectError, SceneError
from mmdefect.features import extractor
from mmdefect.learnable import keep_learnable
from mmdefect.progress import track
from mmdefect.scene import present_in, registered_in, sensors_of

from ._pooling import pooled
from ._tokens import Projection, Tokens, geometry_of, grid_of, places_of

_FIRST_LOOK = 16
_PROJECTED = 48


class Once:
    """An extractor that computes every frame of a scene once.

    Parameters
    ----------
    inner : FeatureExtractor
    """

    def __init__(self, inner: FeatureExtractor) -> None:
        self.inner = inner
        self._held: list[tuple[np.ndarray, xr.DataArray]] = []
        self._open = False

    def __getattr__(self, name: str) -> Any:
        """Give everything else that the extractor has."""
        return getattr(self.inner, name)

    @property
    def name(self) -> str:
        """The extractor's spec in full."""
        return self.inner.name

    def adapt(self, frames: Sequence[xr.DataArray]) -> None:
        """Let the extractor look at good parts."""
        self.inner.adapt(frames)

    def features(self, frame: xr.DataArray) -> xr.DataArray:
        """Describe patches, or remember how the same frame was described."""
        if not self._open:
            return self.inner.features(frame)
        key = frame.values
        for held, told in self._held:
            if held is key:
                return told
        told = self.inner.features(frame)
        self._held.append((key, told))
        return told

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Remember inside, forget at the end."""
        self._held, self._open = [], True
        try:
            yield
        finally:
            self._held, self._open = [], False


class Reader:
    """Reads scenes as tokens.

    Parameters
    ----------
    extractors : mapping of str to Once
        By sensor, the registered ones, adapted.
    cells : int
        Wanted along the longer side.
    dims : int
        Numbers a token at most.
    white : bool
        Whether tokens are whitened; otherwise they are all features, each of unit spread.

    Attributes
    ----------
    grid_ : tuple of int
        Rows and columns of cells.
    projections_ : dict of str to Projection
    geometry_ : str or None
        The sensor that places in space come from.
    center_, reach_ : Tensor (axis,), float32
        Middle and half the width of the places seen.
    """

    def __init__(
        self, extractors: Mapping[str, Once], cells: int = 24, dims: int = 48, white: bool = True
    ) -> None:
        self.extractors = dict(extractors)
        self.cells = cells
        self.dims = dims
        self.white = white

    @property
    def sensors(self) -> list[str]:
        """The sensors read."""
        return list(self.extractors)

    def learn(self, scenes: Scenes, step: int = 1) -> list[Tokens]:
        """Learn the projections from the first good parts, and read all.

        Parameters
        ----------
        scenes : Scenes
        step : int
            Read every so manieth.

        Returns
        -------
        list of Tokens
        """
        waiting: list[dict[str, Any]] = []
        held: list[Tokens] = []
        for index, scene in enumerate(track(scenes, len(scenes), "reading tokens")):
            if index == 0:
                self._look(scene)
            if index % step:
                continue
            waiting.append(self._seen(scene))
            if len(waiting) == _PROJECTED and not held:
                self._project(waiting)
            if held or len(waiting) == _PROJECTED:
                held += [self._tokens(seen) for seen in waiting]
                waiting = []
        if waiting:
            self._project(waiting)
            held += [self._tokens(seen) for seen in waiting]
        return held

    def read(self, scene: xr.Dataset) -> Tokens:
        """Read a scene.

        Parameters
        ----------
        scene : Dataset

        Returns
        -------
        Tokens
        """
        return self._tokens(self._seen(scene))

    @property
    def flat(self) -> Tensor:
        """The cells' places on the grid (cell, axis), −1 to 1."""
        axes = [torch.linspace(-1, 1, side) for side in self.grid_]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, 1)

    @property
    def kept(self) -> Tensor:
        """Which numbers of every sensor's tokens mean something (sensor, dim), bool."""
        widths = self._widths
        return torch.arange(max(widths))[None] < torch.tensor(widths)[:, None]

    @property
    def _widths(self) -> list[int]:
        """How many numbers each sensor's tokens have."""
        return [self.projections_[name].basis.shape[1] for name in self.sensors]

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Give what was learnt: arrays, and what JSON can hold."""
        tensors = {
            f"{name}/{key}": held
            for name, projection in self.projections_.items()
            for key, held in projection.state().items()
        }
        tensors |= {"center": self.center_.numpy(), "reach": self.reach_.numpy()}
        told = {"cells": self.cells, "dims": self.dims, "white": self.white}
        more = {"grid": list(self.grid_), "sensors": self.sensors, "geometry": self.geometry_}
        shown = {
            name: list(scale)
            for name, eye in self.extractors.items()
            if (scale := getattr(eye.inner, "scale", None)) is not None
        }
        return tensors, told | more | {"shown": shown}

    @classmethod
    def from_state(
        cls, tensors: Mapping[str, Any], told: Mapping[str, Any], extractors: Mapping[str, Once]
    ) -> Self:
        """Make the reader that gave this state, of extractors for its sensors."""
        own = {name: extractors[name] for name in told["sensors"]}
        for name, scale in told["shown"].items():
            own[name].inner.scale = tuple(scale)  # type: ignore[attr-defined]
        reader = cls(own, told["cells"], told["dims"], told["white"])
        reader.grid_ = (told["grid"][0], told["grid"][1])
        reader.geometry_ = told["geometry"]
        reader.center_, reader.reach_ = (
            torch.from_numpy(np.array(tensors[name])) for name in ("center", "reach")
        )
        reader.projections_ = {
            name: Projection.from_state(
                {key: tensors[f"{name}/{key}"] for key in ("center", "spread", "basis", "offset")}
            )
            for name in own
        }
        return reader

    def _look(self, scene: xr.Dataset) -> None:
        """Fix the grid, no finer than the finest features, and whose geometry counts."""
        finest = 1
        for name in present_in(scene):
            if name in self.extractors:
                shape = self.extractors[name].features(scene[name]).shape[1:]
                finest = max(finest, *shape)
        size = (scene.sizes["y"], scene.sizes["x"])
        self.grid_ = grid_of(size, min(self.cells, finest))
        self.geometry_ = geometry_of(scene, self.sensors)

    def _seen(self, scene: xr.Dataset) -> dict[str, Any]:
        """Pool a scene's features: by sensor rows and where they are."""
        valid = dict(zip(sensors_of(scene), scene.variables["valid"].values, strict=True))
        there = {name for name in registered_in(scene) if valid[name].any()}
        seen: dict[str, Any] = {}
        for name, eye in self.extractors.items():
            if name in there:
                features = keep_learnable(eye.features(scene[name]), scene)
                seen[name] = pooled(features.values, self.grid_)
        if self.geometry_ in there:
            seen[""] = places_of(scene[self.geometry_], self.grid_)
        return seen

    def _project(self, seen: list[dict[str, Any]]) -> None:
        """Learn every sensor's projection, and where the parts lie in space."""
        self.projections_ = {}
        for name in self.sensors:
            rows = [part[name][0][part[name][1]] for part in seen if name in part]
            self.projections_[name] = Projection.learn(
                torch.cat(rows) if rows else torch.zeros(2, 1), self.dims, self.white
            )
        places = [part[""][0][part[""][1]] for part in seen if "" in part]
        known = torch.cat(places) if places else torch.zeros(0, 3)
        known = known if len(known) else torch.zeros(1, 3)
        low, high = known.min(0).values, known.max(0).values
        self.center_ = (low + high) / 2
        self.reach_ = ((high - low) / 2).clamp_min(1e-6)

    def _tokens(self, seen: dict[str, Any]) -> Tokens:
        """Project what was pooled."""
        count = self.grid_[0] * self.grid_[1]
        dims = max(self._widths)
        values = torch.zeros(len(self.sensors), count, dims)
        there = torch.zeros(len(self.sensors), count, dtype=torch.bool)
        for number, name in enumerate(self.sensors):
            if name in seen:
                projection = self.projections_[name]
                rows, known = seen[name]
                if rows.shape[1] == len(projection.center):
                    shown = projection(rows)
                    values[number, :, : shown.shape[1]] = shown
                    there[number] = known
        values.masked_fill_(~there[..., None], 0.0)
        if "" not in seen:
            return Tokens(values, there, torch.zeros(count, 3), torch.zeros_like(there[0]))
        place, placed = seen[""]
        place = ((place - self.center_) / self.reach_).clamp_(-2, 2)
        return Tokens(values, there, place.masked_fill_(~placed[:, None], 0.0), placed.clone())


def eyes_of(specs: Mapping[str, str], scenes: Scenes | None = None) -> dict[str, Once]:
    """Make extractors, and let them look at the first good parts.

    Parameters
    ----------
    specs : mapping of str to str
        By sensor.
    scenes : Scenes, optional

    Returns
    -------
    dict of str to Once
    """
    eyes = {name: Once(extractor(spec)) for name, spec in specs.items()}
    first = list(islice(scenes, _FIRST_LOOK)) if scenes is not None else []
    for name, eye in eyes.items():
        seen = [scene[name] for scene in first if name in present_in(scene)]
        if seen:
            eye.adapt(seen)
    return eyes


def chosen(scenes: Scenes, wanted: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Tell which sensors are used, and which of them lie on the common grid.

    Parameters
    ----------
    scenes : Scenes
        Of good parts.
    wanted : sequence of str
        All that the scenes have when empty.

    Returns
    -------
    tuple of str
    list of str

    Raises
    ------
    MmdefectError
        When there is no scene.
    SceneError
        When the scenes lack one of the sensors.
    """
    if len(scenes) == 0:
        raise MmdefectError("there is no good part to learn from; one at least was promised")
    first = next(iter(scenes))
    there = sensors_of(first)
    used = tuple(wanted) or tuple(there)
    unknown = [name for name in used if name not in there]
    if unknown:
        raise SceneError(
            f"the scenes have no sensor {unknown[0]!r}, which the fusion was told to use; "
            f"there are: {', '.join(there)}"
        )
    return used, [name for name in registered_in(first) if name in used]
