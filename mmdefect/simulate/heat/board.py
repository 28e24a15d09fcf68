"""A powered board: which place of which component is how warm.

* The board is a sheet, its powered components are sources over their footprints (`spread`).
* A component that gives off heat is warmer than the board below it by power times its thermal
  resistance. Data sheets give 10 K/W from junction to board for a package of 14 mm, about 35 for
  one of 5 mm, above 100 for a chip resistor: R = 10 K/W · (196 mm²/A)^0.6.
* One that gives off none is a fin that stands on the board: a tall plastic connector is hardly
  warm on top, metal and ceramics are as warm as the board.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mmdefect.errors import MmdefectError
from mmdefect.simulate.body import Body, Part
from mmdefect.simulate.heat.spread import LOSS, board_sheet, spread_heat
from mmdefect.simulate.materials import MATERIALS
from mmdefect.simulate.raster import Map, Raster, as_map
from mmdefect.simulate.tracer import Hits
from mmdefect.simulate.xray.spectrum import volume

PITCH_MM = 0.5
_PACKAGE = (10.0, 196.0, 0.6)
_RESTING_MM = 0.35


@dataclass(frozen=True)
class _Extent:
    """A body's box in the part's coordinates, mm."""

    low: Any
    high: Any

    @classmethod
    def of(cls, body: Body) -> "_Extent":
        vertices = body.vertices.astype(np.float64)
        return cls(vertices.min(axis=0), vertices.max(axis=0))

    @property
    def area(self) -> float:
        """Of its footprint, mm²."""
        return float(np.prod((self.high - self.low)[:2]))

    def holds(self, x: float, y: float) -> bool:
        """Whether its footprint holds a place."""
        inside = (self.low[:2] <= (x, y)) & (self.high[:2] >= (x, y))
        return bool(inside.all())

    def carries(self, other: "_Extent") -> bool:
        """Whether another body rests on its top."""
        x, y = (other.low[:2] + other.high[:2]) / 2
        return self.holds(x, y) and abs(other.low[2] - self.high[2]) < _RESTING_MM


def resistance(area: float) -> float:
    """Estimate the thermal resistance (K/W) between a package of some footprint (mm²) and board."""
    kelvin, usual, power = _PACKAGE
    return float(kelvin * (usual / area) ** power)


class BoardHeat:
    """The warmth of a powered board.

    Parameters
    ----------
    part : Part
        Its largest body of FR4 is the board.
    power : float, 1
        Supply against its nominal value.
    draught : float, 1
        How much more heat than usual the air takes.

    Raises
    ------
    MmdefectError
        When the part has no board, or gives power to a body that it does not have.
    """

    def __init__(self, part: Part, power: float = 1.0, draught: float = 1.0) -> None:
        self._part, self._power = part, power
        self._extents = [_Extent.of(body) for body in part.bodies]
        boards = [i for i, body in enumerate(part.bodies) if body.material == "fr4"]
        if not boards:
            raise MmdefectError(
                "a powered part has no body of 'fr4', but its heat spreads along a board: give it "
                "one, or heat it by a flash"
            )
        board = max(boards, key=lambda index: self._extents[index].area)
        self._board = self._extents[board]
        sides = (self._board.high - self._board.low)[1::-1]
        self._shape = max(2, round(sides[0] / PITCH_MM)), max(2, round(sides[1] / PITCH_MM))
        # not its box's height, which grows when it warps
        thickness = volume(part.bodies[board]) / self._board.area
        self._sheet = board_sheet(thickness, draught)
        order = {body.name: index for index, body in enumerate(part.bodies)}
        ghosts = [name for name in part.powers if name not in order]
        if ghosts:
            raise MmdefectError(
                f"heat comes from {', '.join(map(repr, ghosts))}, but the part has no such bodies: "
                "give power to bodies that are there"
            )
        self._watts = {order[name]: power * watts for name, watts in part.powers.items()}

    def sources(self) -> Map:
        """Give the heat that enters the board (y, x), W/m²: each power over its footprint."""
        total = np.zeros(self._shape)
        for index, watts in self._watts.items():
            share = self._overlap(index, 1)[:, None] * self._overlap(index, 0)[None, :]
            total += watts * share / max(share.sum(), 1e-9)
        return as_map(total / (PITCH_MM / 1e3) ** 2)

    def _overlap(self, index: int, axis: int) -> Any:
        """Tell which share of each cell along an axis (x is 0) a body's footprint covers."""
        low = self._first(axis) + PITCH_MM * (np.arange(self._shape[1 - axis]) - 0.5)
        extent = self._extents[index]
        covered = np.minimum(low + PITCH_MM, extent.high[axis]) - np.maximum(low, extent.low[axis])
        return np.clip(covered, 0, None)

    def _first(self, axis: int) -> float:
        """Give the middle of the first cell along an axis, mm."""
        middle = float(self._board.low[axis] + self._board.high[axis]) / 2
        return float(middle - PITCH_MM * (self._shape[1 - axis] - 1) / 2)

    def rise(self, hits: Hits, times: Any) -> Map:
        """Give each place's rise (time, n), K, at times (s) after the power came on."""
        rise = np.zeros((len(times), len(hits.body)), np.float32)
        sources = self.sources()
        for moment, seconds in enumerate(times):
            kelvin = spread_heat(sources, PITCH_MM, self._sheet, seconds)
            field = Raster(self._first(0), self._first(1), PITCH_MM, kelvin)
            for index in np.unique(hits.body[hits.body >= 0]):
                if self._stands(index):
                    here = np.flatnonzero(hits.body == index)
                    rise[moment, here] = self._of_body(index, field, hits.places[here], seconds)
        return rise

    def _stands(self, index: int) -> bool:
        """Whether a body shares the board's heat: it is the board, or stands on it."""
        extent = self._extents[index]
        x, y = (extent.low[:2] + extent.high[:2]) / 2
        return bool(extent.high[2] > self._board.low[2]) and self._board.holds(x, y)

    def _of_body(self, index: int, field: Raster, places: Map, seconds: float) -> Any:
        """Give the rise (n,), K, of places on one body."""
        below = field.at(places[:, 0], places[:, 1])
        excess = self._excess(index, seconds)
        if excess > 0 or self._extents[index] is self._board:
            return below + excess
        carrier = [
            hot
            for hot in self._watts
            if hot != index and self._extents[hot].carries(self._extents[index])
        ]
        if carrier:
            return below + self._excess(carrier[0], seconds)
        return below * self._fin(index, places[:, 2])

    def _excess(self, index: int, seconds: float) -> float:
        """Tell how much warmer than the board below it a body is, K."""
        watts = self._watts.get(index, 0.0)
        ohm = resistance(self._extents[index].area)
        body = self._part.bodies[index]
        capacity = MATERIALS[body.material].heat_capacity * volume(body) * 1e-9
        return float(-watts * ohm * np.expm1(-seconds / max(ohm * capacity, 1e-6)))

    def _fin(self, index: int, heights: Map) -> Any:
        """Tell which share of the board's rise is left at a height (mm) of an unpowered body (n,).

        Notes
        -----
        cosh(m (H − z))/cosh(m H), m² = 4 h/(k D): a rod of diameter D whose top loses nothing.
        """
        extent = self._extents[index]
        across = 2e-3 * np.sqrt(extent.area / np.pi)
        conductivity = MATERIALS[self._part.bodies[index].material].conductivity
        m = np.sqrt(4 * LOSS / (conductivity * across)) / 1e3
        foot = float(extent.low[2])
        tall = float(extent.high[2]) - foot
        return np.cosh(m * (tall - np.clip(heights - foot, 0, tall))) / np.cosh(m * tall)
