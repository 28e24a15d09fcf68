"""Where on a part a defect may lie, and the marks that every product can get.

A product says how much room a place has; places with enough of it are drawn here, so that a dent
does not straddle a fastener and a scratch does not run through the air.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from mmdefect.simulate.marks import Dent, Place, Scratch, Stain
from mmdefect.simulate.raster import Map, Raster

Limits: TypeAlias = tuple[float, float]
Extent: TypeAlias = Callable[[Map, Map], Any]

EXTENT_PITCH_MM = 0.2
MARGIN_MM = 0.5
BEND = 0.01
_TRIES = 256
_WAVES = 3
_WAVE = 0.09
_STEPS = 24


def between(rng: np.random.Generator, limits: Limits) -> float:
    """Draw a number evenly between two limits."""
    return float(rng.uniform(*limits))


@dataclass(frozen=True)
class Ground:
    """A part's top as ground to plant defects on.

    Parameters
    ----------
    width, height : float, mm
        Of a rectangle about the part's origin that holds it.
    inside : callable
        Signed distance (mm, negative inside) to the part's outline as a function of x and y.
    room : callable
        Distance (mm) from a place to the next edge or fitting; negative where nothing may lie.
    """

    width: float
    height: float
    inside: Extent
    room: Extent

    def raster(self, extent: Extent) -> Raster:
        """Put an extent onto a raster over the part, cut off at its outline."""
        over = Raster.over(self.width, self.height, EXTENT_PITCH_MM)
        return over.filled(lambda x, y: extent(x, y) & (self.inside(x, y) < 0))

    def place(self, rng: np.random.Generator, radius: float) -> tuple[float, float]:
        """Draw a place with so much room around it (mm), or the roomiest of many."""
        x, y = self._scatter(rng, 0.5)
        room = self.room(x, y)
        enough = np.flatnonzero(room > radius)
        chosen = int(enough[0]) if enough.size else int(np.argmax(room))
        return float(x[chosen]), float(y[chosen])

    def scratch(
        self, rng: np.random.Generator, length: Limits, width: Limits, depth: Limits
    ) -> Scratch:
        """Draw a scratch that stays on one face where it can, by its limits in mm."""
        long, wide, deep = (between(rng, limits) for limits in (length, width, depth))
        bend = between(rng, (-BEND, BEND))
        along = np.linspace(-long / 2, long / 2, _STEPS)
        x, y = self._scatter(rng, 0.45)
        turn = rng.uniform(0, np.pi, _TRIES)
        right = x[:, None] + along * np.cos(turn)[:, None]
        down = y[:, None] + along * np.sin(turn)[:, None]
        best = int(np.argmax(np.minimum(self.room(right, down).min(axis=1), 1.0)))
        place = Place(float(x[best]), float(y[best]), float(turn[best]))
        return Scratch(place, long, wide, deep, bend)

    def stain(self, rng: np.random.Generator, diameter: Limits, strength: Limits) -> Stain:
        """Draw a stain by the limits of its diameter (mm) and strength (0–1)."""
        across, strong = between(rng, diameter), between(rng, strength)
        waves = tuple(
            (float(amplitude), float(phase))
            for amplitude, phase in zip(
                rng.normal(0, _WAVE, _WAVES), rng.uniform(0, 2 * np.pi, _WAVES), strict=True
            )
        )
        return Stain(Place(*self.place(rng, 0.6 * across)), across, strong, waves)

    def dent(
        self, rng: np.random.Generator, diameter: Limits, depth: Limits, scale: float = 1.0
    ) -> Dent:
        """Draw a dent by its limits in mm, and make it so many times as deep."""
        across, deep = between(rng, diameter), between(rng, depth) * scale
        return Dent(Place(*self.place(rng, across / 2 + MARGIN_MM)), across, deep)

    def _scatter(self, rng: np.random.Generator, share: float) -> Any:
        """Draw many places (2, n), mm."""
        sides = np.array([[self.width], [self.height]])
        return rng.uniform(-share, share, (2, _TRIES)) * sides
