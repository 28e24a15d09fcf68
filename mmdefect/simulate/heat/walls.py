"""How a place warms after a flash, by what lies straight below it.

A place is a wall of its body's material. Heat that reaches the wall's back is thrown back by air,
taken on by another solid, and the more readily the better that one takes heat up: a paper-thin
label is soon as warm as the laminate below it, a ply above a void stays warm.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmdefect.simulate.heat.view import Sight
from mmdefect.simulate.materials import MATERIALS
from mmdefect.simulate.raster import Map, as_map

NOTICED = 0.1
_TOUCHING_MM = 0.15
_INSIDE_MM = 0.01
_LONGEST = 3e3
_TABLE = np.geomspace(NOTICED, _LONGEST, 160)
_IMAGES = np.arange(1, 161)


@dataclass(frozen=True)
class Walls:
    """What lies below each place.

    Parameters
    ----------
    thickness : Map (n,), mm
        Down to the back surface, to a void, or to another solid; inf where nothing is met.
    reflection : Map (n,), 1
        Of heat, there: 1 for air, which takes none.
    """

    thickness: Map
    reflection: Map

    def of(self, here: Any) -> "Walls":
        """Give those of some places only."""
        return replace(self, thickness=self.thickness[here], reflection=self.reflection[here])


def walls_below(sight: Sight, seconds: float) -> Walls:
    """Measure walls by one ray straight into each place, and one more where it went through.

    Parameters
    ----------
    sight : Sight (n,)
    seconds : float, s
        What heat does not reach in this time is not looked at.
    """
    hits, part = sight.hits, sight.world.part
    inward = np.nan_to_num(-hits.normals)
    start = np.nan_to_num(hits.points) + np.float32(_INSIDE_MM) * inward
    first = sight.world.cast(start, inward)
    thickness = as_map(np.where(first.found & hits.found, first.distance + _INSIDE_MM, np.inf))
    behind = np.where(first.body == hits.body, -1, first.body)
    diffusivity = np.array([MATERIALS[body.material].diffusivity for body in part.bodies])
    spent = diffusivity[hits.body] * seconds / np.maximum(thickness / 1e3, 1e-6) ** 2
    through = np.flatnonzero((spent > NOTICED) & (behind < 0))
    depth = thickness[through, None] + np.float32(_INSIDE_MM)
    beyond = hits.points[through] + depth * inward[through]
    second = sight.world.cast(beyond, inward[through])
    leaving = np.einsum("ij,ij->i", second.normals, inward[through]) > 0
    touching = leaving & (second.body != hits.body[through])
    touching |= ~leaving & (second.distance < _TOUCHING_MM)
    behind[through] = np.where(touching, second.body, -1)
    return Walls(thickness, _reflections(sight, behind))


def _reflections(sight: Sight, behind: Any) -> Map:
    """Give the reflection of heat (n,) between bodies and those behind; 1 where there is none."""
    effusivity = np.array([MATERIALS[b.material].effusivity for b in sight.world.part.bodies])
    own, next_one = effusivity[sight.hits.body], effusivity[behind]
    return as_map(np.where(behind < 0, 1.0, (own - next_one) / (own + next_one)))


def wall_rise(energy: Any, material: str, walls: Walls | None, seconds: float) -> Map:
    """Return how much warmer places are after a flash.

    Parameters
    ----------
    energy : array (n,), J/m²
        Absorbed energy.
    material : str
    walls : Walls (n,), or None
        A half space when left out.
    seconds : float, s
        Since the flash.

    Returns
    -------
    Map (n,), K

    Notes
    -----
    Q / (e √(π t)) · (1 + 2 Σ Rⁿ exp(−n² L²/(α t))), effusivity e = √(k ρ c): the flash and its
    mirror images at the wall's back [1]_.

    References
    ----------
    .. [1] Carslaw, Jaeger: Conduction of Heat in Solids, 2nd edition, 1959, chapters 2 and 12.
    """
    made_of = MATERIALS[material]
    rise = np.asarray(energy, np.float64) / (made_of.effusivity * np.sqrt(np.pi * seconds))
    if walls is None:
        return as_map(rise)
    spent = made_of.diffusivity * seconds / np.maximum(walls.thickness / 1e3, 1e-6) ** 2
    reached = spent > NOTICED
    for reflection in np.unique(walls.reflection[reached]):
        here = np.flatnonzero(reached & (walls.reflection == reflection))
        rise[here] *= np.interp(np.log(spent[here]), np.log(_TABLE), _images(float(reflection)))
    return as_map(rise)


def _images(reflection: float) -> Any:
    """Tabulate 1 + 2 Σ Rⁿ exp(−n²/F) over F = α t/L²."""
    powers = reflection ** _IMAGES.astype(np.float64)
    return 1 + 2 * (powers * np.exp(-(_IMAGES**2) / _TABLE[:, None])).sum(axis=1)
