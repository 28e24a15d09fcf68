"""The cross-modal source as a whole: a reader of tokens, the networks, and maps of their evidence.

It is asked for a scene and gives every registered sensor's evidence, per pixel and for the part.
"""

from collections.abc import Mapping
from itertools import count
from math import gcd
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from torch import from_numpy
from torch.nn.functional import adaptive_avg_pool2d

from mmdefect.contracts import Scenes, Tensors
from mmdefect.keyed import below, under
from mmdefect.learnable import learn_mask
from mmdefect.scene import apart_of, sensors_of

from ._errors import only, subsets_of
from ._lessons import Schedule
from ._pixels import pixels_of
from ._reader import Once, Reader
from ._surprise import Layout, Surprise

_BLUR = 0.5
_MOST_PARTS = 1000


class Told(NamedTuple):
    """What the source says of one sensor.

    Attributes
    ----------
    pixels : float32 array (y, x)
        Evidence; NaN where there is none.
    part : float
    """

    pixels: NDArray[np.float32]
    part: float


class Crossing:
    """The cross-modal source.

    Parameters
    ----------
    reader : Reader
    surprise : Surprise
    """

    def __init__(self, reader: Reader, surprise: Surprise) -> None:
        self.reader = reader
        self.surprise = surprise

    def __repr__(self) -> str:
        """Tell how large it is."""
        grid = "x".join(map(str, self.reader.grid_))
        return f"{self.parameters} parameters on {grid} cells of {', '.join(self.reader.sensors)}"

    @property
    def parameters(self) -> int:
        """Count the parameters of the network that scores."""
        return sum(weights.numel() for weights in self.surprise.networks_[0].parameters())

    @classmethod
    def fit(
        cls,
        eyes: Mapping[str, Once],
        scenes: Scenes,
        folds: int,
        cells: int,
        dims: int,
        shape: tuple[int, int, int],
        schedule: Schedule,
        heavy: bool = False,
        checkpoint: Path | None = None,
    ) -> Self:
        """Read the scenes and train.

        Parameters
        ----------
        eyes : mapping of str to Once
            Adapted extractors of the registered sensors.
        scenes : Scenes
            Of good parts; of more than a thousand, evenly spread ones are learnt from.
        folds : int
        cells, dims : int
        shape : tuple of int
            Width, layers and heads.
        schedule : Schedule
        heavy : bool
        checkpoint : Path, optional
        """
        reader = Reader(eyes, cells, dims)
        least = -(-len(scenes) // _MOST_PARTS)
        step = next(n for n in count(least) if gcd(n, folds) == 1)  # leaves parts of every fold
        held = reader.learn(scenes, step)
        layout = Layout(tuple(eyes), reader.grid_, reader.flat, reader.kept, reader.geometry_)
        surprise = Surprise(layout, *shape, schedule, heavy)
        own = [index % folds for index in range(0, len(scenes), step)]
        return cls(reader, surprise.fit(held, own, checkpoint))

    def told(self, scene: xr.Dataset, without: int | None = None) -> dict[str, Told]:
        """Give the evidence of every sensor.

        Parameters
        ----------
        scene : Dataset
        without : int, optional
            Score as if this fold's parts had never been seen.

        Returns
        -------
        dict of str to Told
        """
        tokens, names = self.reader.read(scene), self.reader.sensors
        apart = self._apart(scene)
        cells, parts = self.surprise.evidence(tokens, apart, without)
        every = sensors_of(scene)
        valid = scene.variables["valid"].values[[every.index(name) for name in names]]
        valid &= learn_mask(scene)
        maps = pixels_of(cells, valid, _BLUR)
        return {
            name: Told(own, float(part)) for name, own, part in zip(names, maps, parts, strict=True)
        }

    def parts_left(self, scene: xr.Dataset) -> dict[tuple[str, ...], NDArray[np.float64]]:
        """Give every sensor's evidence of the part if only some of the sensors were there.

        Parameters
        ----------
        scene : Dataset

        Returns
        -------
        dict of tuple of str to float64 array (sensor,)
            By the sensors that are there, of the sets that have scales of their own.
        """
        tokens, names = self.reader.read(scene), self.reader.sensors
        geometry, apart = self.surprise.layout.shape(1, 1, 1).geometry, self._apart(scene)
        told = {}
        for left in subsets_of(tuple(names)):
            shown = from_numpy(np.array([name in left for name in names]))
            _, told[left] = self.surprise.evidence(only(tokens, shown, geometry), apart)
        return told

    def _apart(self, scene: xr.Dataset) -> NDArray[np.bool_]:
        """Tell which cells (sensor, row, column) do not count in a part's evidence."""
        grid = self.reader.grid_
        return np.stack([_coarse(apart_of(scene, name), grid) for name in self.reader.sensors])

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Give what was learnt: arrays, and what JSON can hold."""
        read, reader = self.reader.state()
        learnt, surprise = self.surprise.state()
        return under("reader", read) | under("network", learnt), {
            "reader": reader,
            "network": surprise,
        }

    @classmethod
    def from_state(
        cls, tensors: Mapping[str, Any], told: Mapping[str, Any], eyes: Mapping[str, Once]
    ) -> Self:
        """Make the source that gave this state, with extractors of its sensors."""
        reader = Reader.from_state(below(tensors, "reader"), told["reader"], eyes)
        layout = Layout(
            tuple(reader.sensors), reader.grid_, reader.flat, reader.kept, reader.geometry_
        )
        return cls(reader, Surprise.from_state(below(tensors, "network"), told["network"], layout))


def _coarse(mask: NDArray[np.bool_], grid: tuple[int, int]) -> NDArray[np.bool_]:
    """Tell of which cells the greater part is marked."""
    if not mask.any():
        return np.zeros(grid, dtype=bool)
    share = adaptive_avg_pool2d(from_numpy(mask[None].astype(np.float32)), grid)[0].numpy()
    marked: NDArray[np.bool_] = share > 0.5
    return marked
