"""What the part really is, before any sensor looks at it.

* Maps lie on a grid finer than the frames and are averaged down by the sensors, so that hairlines,
  print and tows are anti-aliased as a real pixel would see them.
* Defects change these maps and nothing else; sensors read these maps and nothing else. Which
  sensor sees which defect is therefore measured, never written down.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Map: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]

FIELD_MM = 96.0
FINEST_MM = 0.25


def as_map(array: Any) -> Map:
    """Return an array as float32, the type of every map here."""
    return np.asarray(array, dtype=np.float32)


@dataclass(frozen=True)
class Grid:
    """The reference grid and the finer one beneath it.

    Parameters
    ----------
    size : int, px
        Rows and columns of a frame; the field of view is always 96 mm.
    """

    size: int

    @property
    def pitch(self) -> float:
        """Distance between two pixels of a frame, mm."""
        return FIELD_MM / self.size

    @property
    def factor(self) -> int:
        """Fine pixels along one side of a frame's pixel."""
        return max(2, ceil(self.pitch / FINEST_MM))

    @property
    def fine(self) -> float:
        """Distance between two pixels of a truth map, mm."""
        return self.pitch / self.factor

    def axes(self) -> tuple[Map, Map]:
        """Return x (1, n) and y (n, 1) of the fine pixels, mm from the centre."""
        n = self.size * self.factor
        along = as_map((np.arange(n) + 0.5) * self.fine - FIELD_MM / 2)
        return along[None, :], along[:, None]

    def frame_axis(self) -> Map:
        """Return the position of a frame's pixels along one side, mm from the centre."""
        return as_map((np.arange(self.size) + 0.5) * self.pitch - FIELD_MM / 2)

    def reduce(self, fine: NDArray[Any]) -> Map:
        """Average a map (…, fine y, fine x) down to the frame's pixels (…, y, x)."""
        n, f = self.size, self.factor
        blocks = as_map(fine).reshape(*fine.shape[:-2], n, f, n, f)
        return as_map(blocks.sum(axis=-1).sum(axis=-2)) / np.float32(f * f)


@dataclass(frozen=True)
class Delamination:
    """A thin gap between two plies.

    Parameters
    ----------
    x, y : float, mm
        Centre in the part's own coordinates.
    diameter, depth, gap : float, mm
        Extent across, distance below the surface, thickness of the gap.
    aspect : float
        Length along x over length along y; the area stays that of a circle of `diameter`.
    """

    x: float
    y: float
    diameter: float
    depth: float
    gap: float
    aspect: float = 1.0

    def radius_map(self, x: Map, y: Map) -> Map:
        """Return the distance from the centre, mm, with the ellipse mapped to its circle."""
        stretch = self.aspect**0.5
        return as_map(np.hypot((x - self.x) / stretch, (y - self.y) * stretch))


@dataclass(frozen=True)
class Truth:
    """Maps of one part (fine y, fine x), float32 unless said otherwise.

    Parameters
    ----------
    grid : Grid
        The grid that the maps refine.
    x, y : Map, mm
        Position of each fine pixel in the part's own coordinates.
    height : Map, mm
        Above the skin's nominal plane, towards the sensors.
    albedo : Map (color, fine y, fine x), 1
        Diffuse reflectance.
    sheen : Map, 1
        Strength of the carbon fibres' own reflection.
    gloss : Map, 1
        Strength of the resin's surface reflection.
    fibre : tuple of three Map, 1
        Direction of the fibres: along x, along y, and their slope out of the plane.
    metal : Map, 1
        Share of the pixel that is bare metal.
    opening : Mask
        Where the fixture behind the part is seen: through a hole or beside the panel.
    emissivity, absorptivity, effusivity : Map, 1
        Thermal surface properties; effusivity relative to the laminate's.
    delaminations : tuple of Delamination
        Gaps below the surface.
    """

    grid: Grid
    x: Map
    y: Map
    height: Map
    albedo: Map
    sheen: Map
    gloss: Map
    fibre: tuple[Map, Map, Map]
    metal: Map
    opening: Mask
    emissivity: Map
    absorptivity: Map
    effusivity: Map
    delaminations: tuple[Delamination, ...] = ()


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
