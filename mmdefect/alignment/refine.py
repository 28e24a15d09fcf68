"""Refinement: the warp between two contrasts, from coarse to fine, with what it is worth.

Sizes may differ: the start says how one frame's pixels lie on the other's, by default corner on
corner. The first shift is looked for on a coarse grid; the fuller a model, the finer the grid on
which its numbers are freed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.alignment.climb import STILL, EdgeMeasure, Reached, climb, consensus
from mmdefect.alignment.edges import BETWEEN, WITHIN, Picture, halved, picture_of
from mmdefect.alignment.information import InformationMeasure
from mmdefect.alignment.start import first_shifts
from mmdefect.alignment.trust import Trust, judged
from mmdefect.alignment.warps import MODELS, Warp
from mmdefect.errors import RegistrationError

Floats = NDArray[np.floating[Any]]

REACH = 0.06
COARSE = 0.1
_COARSEST = 40
_SMALLEST = 24
_LEAST_AFFINE = 64


@dataclass(frozen=True)
class Alignment:
    """A warp between two frames, and whether to believe it.

    Parameters
    ----------
    warp : Warp
        From the fixed frame's pixels to the moving one's.
    trust : Trust
    """

    warp: Warp
    trust: Trust

    @property
    def trusted(self) -> bool:
        """Whether the warp may be used."""
        return not self.trust.refusal


def refine(
    fixed: Floats,
    moving: Floats,
    *,
    model: str = "affine",
    start: Warp | None = None,
    reach: float = REACH,
) -> Alignment:
    """Find where one sensor's pixels lie on another sensor's frame.

    Parameters
    ----------
    fixed : float array (y, x)
        The reference's frame, NaN where blind, in any unit.
    moving : float array (y, x)
        The other's, of any size; of one field of view unless ``start`` says otherwise.
    model : {"shift", "rigid", "similarity", "affine", "homography"}
        What is estimated.
    start : Warp, optional
        From the fixed frame's pixels to about the moving one's.
    reach : float
        How far the first shift may lie from the start, as a share of the longer side.

    Returns
    -------
    Alignment
        With a refusal where it is not to be trusted; the warp is then only the best guess.

    Raises
    ------
    RegistrationError
        When there is no such model, or a frame is too small to tell anything.
    """
    if model not in MODELS:
        raise RegistrationError(f"no warp model {model!r}; there are: {', '.join(MODELS)}")
    pictures = [picture_of(frame) for frame in (fixed, moving)]
    for picture in pictures:
        if min(picture.size) < _SMALLEST:
            raise RegistrationError(
                f"a frame of {picture.size[0]}x{picture.size[1]} pixels cannot be aligned; at "
                f"least {_SMALLEST} rows and columns were promised"
            )
    levels = pyramid(*pictures)
    start = Warp.between(pictures[0].size, pictures[1].size) if start is None else start
    reached, lead = descended(levels, start, model, reach * max(pictures[0].size))
    warp = polished(levels[0], reached.warp, model).warp
    information = climb(InformationMeasure(*levels[0]), warp, model, rounds=8).warp
    return Alignment(warp, judged(levels, reached, (warp, information), model, lead))


def pyramid(fixed: Picture, moving: Picture) -> list[tuple[Picture, Picture]]:
    """Halve two pictures as long as there is something left; the finest first."""
    levels = [(fixed, moving)]
    while min(*levels[-1][0].size, *levels[-1][1].size) >= 2 * _COARSEST and len(levels) < 6:
        levels.append((halved(levels[-1][0]), halved(levels[-1][1])))
    return levels


def lowered(warp: Warp, steps: int) -> Warp:
    """Tell a warp between two pictures that were both halved some times; negative: doubled."""
    coarse = Warp.between((1, 1), (2**steps, 2**steps)) if steps >= 0 else None
    if coarse is None:
        fine = Warp.between((1, 1), (2**-steps, 2**-steps))
        return fine @ warp @ fine.inverse()
    return coarse.inverse() @ warp @ coarse


def descended(
    levels: list[tuple[Picture, Picture]],
    start: Warp,
    model: str,
    reach: float,
    *,
    within: bool = False,
) -> tuple[Reached, float]:
    """Climb from the coarsest level to the finest.

    Parameters
    ----------
    levels : list of (Picture, Picture)
        As of ``pyramid``.
    start : Warp
        From the fixed picture's grid to about the moving one's.
    model : {"shift", "affine", "homography"}
    reach : float, px
        How far the first shift may lie from the start.
    within : bool
        Whether both pictures are of one contrast: then only what agrees has a say.

    Returns
    -------
    Reached
        On the finest level.
    float
        The second hill's height as a share of the best one's.
    """
    top = len(levels) - 1
    fixed, moving = levels[top]
    middle = "affine" if model == "homography" else model
    floor = WITHIN if within else BETWEEN
    measure = EdgeMeasure(fixed, moving, floor=floor)
    first = middle if min(fixed.size) >= _LEAST_AFFINE else "shift"
    tried = [
        climb(measure, shift, first, still=COARSE)
        for shift in first_shifts(fixed, moving, lowered(start, top), max(2.0, reach / 2**top))
    ]
    tried.sort(key=lambda one: -one.value)
    lead = _lead(tried)
    reached = tried[0]
    for at in range(top - 1, -1, -1):
        begin, measure = lowered(reached.warp, -1), EdgeMeasure(*levels[at], floor=floor)
        freed, still = (model if at <= 1 else middle), (COARSE if at else STILL)
        if at > 0 or not within:
            reached = climb(measure, begin, freed, still=still)
            begin = reached.warp
        if at <= 1 and within:
            reached = polished(levels[at], begin, model, still)
    if top == 0 and model != first:
        reached = climb(measure, reached.warp, model)
    return reached, lead


def polished(
    level: tuple[Picture, Picture], begin: Warp, model: str, still: float = STILL
) -> Reached:
    """Climb on with what agrees near a warp, and nothing else.

    Parameters
    ----------
    level : (Picture, Picture)
    begin : Warp
        Near the best one.
    model : {"shift", "affine", "homography"}
    still : float, px
        See ``climb``.

    Returns
    -------
    Reached
    """
    every = EdgeMeasure(*level, floor=WITHIN)
    agreed = EdgeMeasure(*level, weight=consensus(every, begin), floor=WITHIN)
    return climb(agreed, begin, model, still=still)


def _lead(tried: list[Reached]) -> float:
    """Tell the second hill's height as a share of the best one's; 0 when all starts met."""
    best = tried[0]
    size = best.standing.weight.shape
    middle = np.array([[(size[1] - 1) / 2, (size[0] - 1) / 2]])
    others = [one for one in tried[1:] if one.warp.apart(best.warp, middle)[0] > 1.0]
    if best.value <= 0:
        return 1.0
    return max((one.value / best.value for one in others), default=0.0)
