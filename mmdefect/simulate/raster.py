"""Maps over a part's own x and y: a surface's look, a film's thickness, a flaw's extent.

Pictures of a surface are kept finer than any sensor's pixels and are looked up where a ray meets
the part, so that every sensor sees the same scratch from where it stands.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Map: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]


def as_map(array: Any) -> Map:
    """Return an array as float32, the type of every map here."""
    return np.asarray(array, dtype=np.float32)


@dataclass(frozen=True)
class Raster:
    """Values on a square grid over a part's x and y.

    Parameters
    ----------
    x, y : float, mm
        Of the first value, in the part's coordinates.
    pitch : float, mm
        Between values.
    values : Map (y, x) or (y, x, channel)
    """

    x: float
    y: float
    pitch: float
    values: Map

    @classmethod
    def over(
        cls, width: float, height: float, pitch: float, channels: int = 0, fill: Any = 0.0
    ) -> "Raster":
        """Make one that is centred on the part's origin.

        Parameters
        ----------
        width, height : float, mm
            Along x and along y.
        pitch : float, mm
        channels : int
            None when 0.
        fill : float or sequence of float
        """
        columns, rows = (int(np.ceil(side / pitch)) + 1 for side in (width, height))
        shape = (rows, columns, channels) if channels else (rows, columns)
        values = np.empty(shape, np.float32)
        values[...] = fill
        return cls(-(columns - 1) * pitch / 2, -(rows - 1) * pitch / 2, pitch, values)

    @property
    def axes(self) -> tuple[Map, Map]:
        """Give x (1, columns) and y (rows, 1), mm."""
        rows, columns = self.values.shape[:2]
        x = as_map(self.x + self.pitch * np.arange(columns))
        y = as_map(self.y + self.pitch * np.arange(rows))
        return x[None, :], y[:, None]

    def filled(self, shape: Callable[[Map, Map], Any]) -> "Raster":
        """Give a raster of one channel on the same grid, as a function of x and y (mm) says."""
        x, y = self.axes
        values = np.broadcast_to(as_map(shape(x, y)), self.values.shape[:2])
        return Raster(self.x, self.y, self.pitch, values)

    def at(self, x: Map, y: Map) -> Map:
        """Look values up, bilinearly.

        Parameters
        ----------
        x, y : Map (n,), mm
            Positions; beyond the grid the border's values go on.

        Returns
        -------
        Map (n,) or (n, channel)
        """
        rows, columns = self.values.shape[:2]
        right, below = min(1, columns - 1), columns * min(1, rows - 1)
        most = max(0.0, columns - 1.001), max(0.0, rows - 1.001)
        u = np.clip((as_map(x) - np.float32(self.x)) / np.float32(self.pitch), 0, most[0])
        v = np.clip((as_map(y) - np.float32(self.y)) / np.float32(self.pitch), 0, most[1])
        column, row = u.astype(np.intp), v.astype(np.intp)
        u, v = u - column, v - row
        flat = self.values.reshape(rows * columns, -1)
        first = row * columns + column
        across = (np.float32(1) - u)[:, None], u[:, None]
        upper = flat[first] * across[0] + flat[first + right] * across[1]
        lower = flat[first + below] * across[0] + flat[first + below + right] * across[1]
        found = as_map(upper + v[:, None] * (lower - upper))
        return found if self.values.ndim == 3 else found[:, 0]


@dataclass(frozen=True)
class Rendering:
    """What a sensor would deliver without noise, and how much noise it adds.

    Parameters
    ----------
    signal : Map
        Noise-free frame in the sensor's own unit; NaN where the sensor is blind.
    noise : Map
        Standard deviation of the noise, same unit and shape.
    """

    signal: Map
    noise: Map
