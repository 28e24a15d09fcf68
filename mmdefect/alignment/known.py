"""Alignment by captures whose registration is known.

Two contrasts of one part shift against each other in ways that no figure taken from them alone can
know: a shadow beside the part, the lit side of a component, a wall that X-rays see at both its
ends. One sensor sees two parts of a kind alike, though. So each sensor's frame is aligned to its
*own* frame of a known capture, and the known warp joins the two:

    new fixed frame → known fixed frame → known moving frame → new moving frame

A part that lies otherwise moves in both frames and drops out. It cannot do so in many ways, so the
fixed frame's part of the chain has few numbers, and hardly adds to the error. Known captures are
averaged part on part, so that noise and what every part has otherwise fade; every second one goes
into a second mean, and the estimates by both must agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.alignment.climb import brought
from mmdefect.alignment.edges import Picture, picture_of
from mmdefect.alignment.refine import REACH, Alignment, descended, pyramid
from mmdefect.alignment.several import together
from mmdefect.alignment.trust import (
    LIMITS,
    Limits,
    Trust,
    counted_places,
    mean_of,
    predicted_error,
    refusal,
)
from mmdefect.alignment.warps import Warp
from mmdefect.errors import RegistrationError

Floats = NDArray[np.floating[Any]]

_FEW = ("shift", "rigid", "similarity")


@dataclass(frozen=True)
class KnownPair:
    """Two sensors' frames of one capture, and the warp between them.

    Parameters
    ----------
    fixed, moving : float array (y, x)
        NaN where blind.
    warp : Warp
        From the fixed frame's pixels to the moving one's.
    """

    fixed: Floats
    moving: Floats
    warp: Warp
    pictures: tuple[Picture, Picture] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Fill the frames' holes, once."""
        object.__setattr__(self, "pictures", (picture_of(self.fixed), picture_of(self.moving)))


@dataclass(frozen=True)
class Followed:
    """A sensor's frame on its own frame of a known capture.

    Parameters
    ----------
    warp : Warp
        From the known frame's pixels to the new one's.
    correlation, rival : float
        See ``Trust``.
    predicted : float, px
        See ``Trust``.
    places : array (pixel, 2), px
        Pixels of the known frame that counted.
    """

    warp: Warp
    correlation: float
    rival: float
    predicted: float
    places: NDArray[np.float64]


def follow(
    known: Picture, frame: Floats, *, model: str = "affine", reach: float = REACH
) -> Followed:
    """Align a sensor's frame to the frame it took of a known capture.

    Parameters
    ----------
    known : Picture
    frame : float array (y, x)
        NaN where blind.
    model : {"shift", "affine", "homography"}
    reach : float
        How far the first shift may lie, as a share of the longer side.

    Returns
    -------
    Followed
    """
    levels = pyramid(known, picture_of(frame))
    start = Warp.between(known.size, levels[0][1].size)
    reached, rival = descended(levels, start, model, reach * max(known.size), within=True)
    places = counted_places(reached.standing.weight)
    predicted = predicted_error(reached, known.size, model) if len(places) else float("inf")
    return Followed(reached.warp, reached.value, rival, predicted, places)


class KnownPairs:
    """Aligns the frames of two sensors by captures whose registration is known.

    Parameters
    ----------
    pairs : sequence of KnownPair
        Two at least, of one kind of part; more make it more exact.
    model : {"shift", "rigid", "similarity", "affine", "homography"}
        How the warp may differ from the known ones.
    part : {"shift", "rigid", "similarity", "affine", "homography"}, optional
        How the fixed sensor may see a part otherwise than it saw the known ones: ``rigid`` when
        parts are laid down anew before a sensor that looks straight at them. As ``model`` when
        left out.
    limits : Limits

    Raises
    ------
    RegistrationError
        When there are fewer than two pairs: nothing would tell a wrong one.
    """

    def __init__(
        self,
        pairs: Sequence[KnownPair],
        *,
        model: str = "affine",
        part: str | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        if len(pairs) < 2:
            raise RegistrationError(
                f"{len(pairs)} known captures were given, but two at least were promised: one "
                "alone cannot be checked"
            )
        self.model = model
        self.part = part or model
        placed = self.part if self.part in _FEW else "affine"
        self.pairs = [averaged(pairs[::2], placed), averaged(pairs[1::2], placed)]
        self.limits = limits

    def refine(self, fixed: Floats, moving: Floats) -> Alignment:
        """Find where the fixed frame's pixels lie on the moving frame.

        Parameters
        ----------
        fixed, moving : float array (y, x)
            Of one capture, NaN where blind.

        Returns
        -------
        Alignment
        """
        return self.joined(self.fixed_on_known(fixed), self.moving_on_known(moving))

    def refine_together(self, captures: Sequence[tuple[Floats, Floats]]) -> Alignment:
        """Find the one warp that several captures of a rig share.

        Parameters
        ----------
        captures : sequence of (array (y, x), array (y, x))
            Fixed and moving frame of each.

        Returns
        -------
        Alignment
            See ``together``.
        """
        found = [self.refine(fixed, moving) for fixed, moving in captures]
        size = captures[0][0].shape if captures else (1, 1)
        return together(found, (size[0], size[1]), self.limits)

    def fixed_on_known(self, frame: Floats) -> list[Followed]:
        """Align the fixed sensor's frame to both means."""
        return [follow(pair.pictures[0], frame, model=self.part) for pair in self.pairs]

    def moving_on_known(self, frame: Floats) -> list[Followed]:
        """Align the moving sensor's frame to both means."""
        return [follow(pair.pictures[1], frame, model=self.model) for pair in self.pairs]

    def joined(self, fixed: Sequence[Followed], moving: Sequence[Followed]) -> Alignment:
        """Join what was found for both frames of one capture.

        Parameters
        ----------
        fixed, moving : sequence of Followed
            One a known capture.

        Returns
        -------
        Alignment
            The mean of both estimates.
        """
        one, other = (
            there.warp @ pair.warp @ here.warp.inverse()
            for pair, here, there in zip(self.pairs, fixed, moving, strict=True)
        )
        used = [*fixed, *moving]
        trust = Trust(
            min(each.correlation for each in used),
            float(np.sqrt(sum(each.predicted**2 for each in used) / 2)),
            mean_of(one.apart(other, fixed[0].places)),
            0.0,
            max(each.rival for each in used),
        )
        told = refusal(trust, self.limits)
        return Alignment(
            Warp((one.matrix + other.matrix) / 2), Trust(**{**vars(trust), "refusal": told})
        )


def averaged(pairs: Sequence[KnownPair], part: str = "affine") -> KnownPair:
    """Average known captures, part on part.

    Parameters
    ----------
    pairs : sequence of KnownPair
        One at least; the mean lies as the first does.
    part : {"shift", "rigid", "similarity", "affine"}
        How parts may lie otherwise before the fixed sensor.

    Returns
    -------
    KnownPair
    """
    first = pairs[0]
    sums = [_Sum(picture) for picture in first.pictures]
    for pair in pairs[1:]:
        moved = _moved(first, pair, part)
        sums[0].add(brought(pair.pictures[0], moved, sums[0].size))
        there = pair.warp @ moved @ first.warp.inverse()
        sums[1].add(brought(pair.pictures[1], there, sums[1].size))
    return KnownPair(sums[0].mean(), sums[1].mean(), first.warp)


def _moved(first: KnownPair, pair: KnownPair, part: str) -> Warp:
    """Tell where the first capture's fixed pixels lie in another, by both its frames."""
    here = follow(first.pictures[0], pair.fixed, model=part)
    there = follow(first.pictures[1], pair.moving)
    carried = pair.warp.inverse() @ there.warp @ first.warp
    share = here.predicted**2 / (here.predicted**2 + there.predicted**2)
    if not np.isfinite(share):
        return here.warp if np.isfinite(here.predicted) else carried
    return Warp((1 - share) * here.warp.matrix + share * carried.matrix)


class _Sum:
    """A mean of pictures, of where each was seen."""

    def __init__(self, first: Picture) -> None:
        self.size = first.size
        self._total = np.where(first.seen, first.values, 0).astype(np.float64)
        self._count = first.seen.astype(np.float64)

    def add(self, picture: Picture) -> None:
        """Take one more picture of the same size."""
        self._total += np.where(picture.seen, picture.values, 0)
        self._count += picture.seen

    def mean(self) -> NDArray[np.float64]:
        """Give the mean (y, x); NaN where nothing was seen."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._total / self._count
