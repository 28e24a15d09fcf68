"""What a surface looks like where rays meet it, at the resolution of the rays.

Skins are finer than pixels. A sensor that looked them up as they are would alias; averaged alone,
tool marks would vanish. Here they are averaged over a ray's footprint, and the slopes that are
averaged away go on as a covariance that widens the reflection across them.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mmdefect.simulate.body import CHANNELS, Finish, Part, Skin
from mmdefect.simulate.raster import Map, Raster, as_map

_SPREAD = ("spread_xx", "spread_xy", "spread_yy")
_LOOKED_UP = (*CHANNELS, *_SPREAD)


@dataclass(frozen=True)
class Surface:
    """Channels of the surface at n places.

    Parameters
    ----------
    values : Map (channel, n)
        In the order of ``CHANNELS``, followed by the variance along x, the covariance, and the
        variance along y of slopes finer than a ray's footprint.
    """

    values: Map

    def __getitem__(self, name: str) -> Map:
        """Give one channel (n,) by its name."""
        channel: Map = self.values[_LOOKED_UP.index(name)]
        return channel

    @property
    def colour(self) -> Map:
        """Give red, green and blue (3, n)."""
        return self.values[:3]

    @property
    def spread(self) -> Map:
        """Give xx, xy and yy (3, n) of the slopes' covariance."""
        return self.values[-3:]


class Looks:
    """The looks of a part's bodies, ready to be looked up.

    Parameters
    ----------
    part : Part
    footprint : float, mm
        Width of what one ray sees of the surface.
    """

    def __init__(self, part: Part, footprint: float) -> None:
        # The row of nothing stands last, where an index of -1 finds it.
        self._uniform = np.zeros((len(_LOOKED_UP), len(part.bodies) + 1), np.float32)
        self._skins: dict[int, Raster] = {}
        for index, body in enumerate(part.bodies):
            if isinstance(body.look, Finish):
                self._uniform[: len(CHANNELS), index] = body.look.channels
            else:
                self._skins[index] = _averaged(body.look, footprint)

    def at(self, body: NDArray[np.int32], places: Map) -> Surface:
        """Look channels up.

        Parameters
        ----------
        body : int array (n,)
            Index of the body met; -1, nothing, looks black.
        places : Map (n, 3), mm
            x, y, height in the part's coordinates.
        """
        values = np.take(self._uniform, body, axis=1)
        for index, raster in self._skins.items():
            here = np.flatnonzero(body == index)
            if len(here):
                values[:, here] = _found(raster, places[here])
        return Surface(as_map(values))


def _found(raster: Raster, places: Map) -> Map:
    """Give all channels (channel, n): bilinear, but the fibres' direction as the nearest is."""
    x, y = places[:, 0], places[:, 1]
    found = raster.at(x, y)
    count = found.shape[1]
    values = np.zeros((len(_LOOKED_UP), len(x)), np.float32)
    values[:count] = found.T
    fibre = CHANNELS.index("fibre")
    if found[:, CHANNELS.index("sheen")].any():
        rows, columns = raster.values.shape[:2]
        column = np.clip(np.rint((x - raster.x) / raster.pitch), 0, columns - 1).astype(np.intp)
        row = np.clip(np.rint((y - raster.y) / raster.pitch), 0, rows - 1).astype(np.intp)
        values[fibre] = raster.values[row, column, fibre]
    return values


def _averaged(skin: Skin, footprint: float) -> Raster:
    """Average a skin over blocks as wide as a footprint, and add the slopes' covariance."""
    raster = skin.raster
    block = int(np.floor(footprint / raster.pitch + 0.35))
    if block < 2:
        return raster
    means = _block_means(raster.values, block)
    right, down = skin.channel("slope_x"), skin.channel("slope_y")
    if right.any() or down.any():
        mean_right, mean_down = (means[..., CHANNELS.index(f"slope_{axis}")] for axis in "xy")
        spread = [
            _block_means(a * b, block) - mean_a * mean_b
            for a, b, mean_a, mean_b in (
                (right, right, mean_right, mean_right),
                (right, down, mean_right, mean_down),
                (down, down, mean_down, mean_down),
            )
        ]
        means = np.concatenate([means, np.stack(spread, axis=-1)], axis=-1)
    fibre = CHANNELS.index("fibre")
    middle = raster.values[block // 2 :: block, block // 2 :: block, fibre]
    means[: middle.shape[0], : middle.shape[1], fibre] = middle
    shift = (block - 1) / 2 * raster.pitch
    return replace(
        raster, x=raster.x + shift, y=raster.y + shift, pitch=raster.pitch * block, values=means
    )


def _block_means(values: Map, block: int) -> Map:
    """Average (y, x, …) over square blocks; the border goes on beyond the last."""
    rows, columns = values.shape[:2]
    pad = [(0, -rows % block), (0, -columns % block)] + [(0, 0)] * (values.ndim - 2)
    padded = np.pad(values, pad, mode="edge") if rows % block or columns % block else values
    total = sum(padded[i::block, j::block] for i in range(block) for j in range(block))
    return as_map(total / np.float32(block * block))
