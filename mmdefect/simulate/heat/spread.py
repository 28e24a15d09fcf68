"""Heat of a powered board: it spreads along the copper planes and leaves to the air.

A board is thin against everything else, so it is one sheet with a temperature per place: the fin
equation C dT/dt = κ ∇²T − h T + q. With edges that lose nothing its modes are cosines, each of
which warms up on its own, so that every moment is one transform away, and what goes in comes out
to the last bit.

Parameters and where they come from: a board of four copper layers conducts 10–20 W/(m K) in its
plane over its thickness (two inner planes of 35 µm, half covered); natural convection with
radiation takes 8–15 W/(m² K) from each side [1]_.

References
----------
.. [1] Incropera, DeWitt: Fundamentals of Heat and Mass Transfer, chapters 3 and 9.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft

from mmdefect.simulate.materials import MATERIALS
from mmdefect.simulate.raster import Map, as_map

CONDUCTIVITY = 15.0  # W/(m K), in the board's plane
LOSS = 12.0  # W/(m² K), of each side


@dataclass(frozen=True)
class Sheet:
    """A thin plate that conducts along itself and loses heat from both sides.

    Parameters
    ----------
    conductance : float, W/K
        Conductivity times thickness.
    loss : float, W/(m² K)
        Of both sides together.
    capacity : float, J/(m² K)
    """

    conductance: float
    loss: float
    capacity: float

    @property
    def reach(self) -> float:
        """How far heat spreads before it is lost, mm: √(κ/h)."""
        return 1e3 * float(np.sqrt(self.conductance / self.loss))

    @property
    def seconds(self) -> float:
        """How long it takes to warm up, s: C/h."""
        return self.capacity / self.loss


def board_sheet(thickness: float, draught: float = 1.0) -> Sheet:
    """Give the sheet that stands for a board.

    Parameters
    ----------
    thickness : float, mm
    draught : float, 1
        How much more heat than usual the air takes.
    """
    metres = thickness / 1e3
    capacity = MATERIALS["fr4"].heat_capacity * metres
    return Sheet(CONDUCTIVITY * metres, 2 * LOSS * draught, capacity)


def spread_heat(sources: Map, pitch: float, sheet: Sheet, seconds: float | None = None) -> Map:
    """Solve for the rise above ambient.

    Parameters
    ----------
    sources : Map (y, x), W/m²
        Heat given off, in cells that fill the sheet.
    pitch : float, mm
        Size of a cell.
    sheet : Sheet
    seconds : float, s, optional
        Since the power came on; for ever when left out.

    Returns
    -------
    Map (y, x), K

    Notes
    -----
    Finite volumes of second order; their eigenvectors are those of the discrete cosine transform
    of type II, so the transient is exact in time. Total power equals loss times area times mean
    rise.
    """
    rates: Any = sheet.loss
    for axis, count in enumerate(sources.shape):
        waves = 2 - 2 * np.cos(np.pi * np.arange(count) / count)
        along = waves * sheet.conductance / (pitch / 1e3) ** 2
        rates = rates + (along[:, None] if axis == 0 else along[None, :])
    modes = fft.dctn(np.asarray(sources, np.float64), norm="ortho") / rates
    if seconds is not None:
        modes *= -np.expm1(-rates * (seconds / sheet.capacity))
    return as_map(fft.idctn(modes, norm="ortho"))
