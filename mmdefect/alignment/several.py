"""One warp from several captures: a rig is mounted once, and all later captures share its warp.

What shifts the estimate from one capture, the noise of its frames and what only this part shows,
is another in the next, so the mean is nearer the truth, and the scatter tells how near. What all
captures share, above all the error of the known captures' means, stays and does not show.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmdefect.alignment.refine import Alignment
from mmdefect.alignment.trust import LIMITS, Limits, Trust, mean_of, refusal
from mmdefect.alignment.warps import Warp, frame_of
from mmdefect.errors import RegistrationError

_FAR = 3.0
_LEAST_FAR = 0.1
_LEAST_SHARE = 0.5
_SIDE = 5


def together(
    found: Sequence[Alignment], size: tuple[int, int], limits: Limits = LIMITS
) -> Alignment:
    """Join the estimates that several captures give of one warp.

    Parameters
    ----------
    found : sequence of Alignment
        One a capture; refused ones have no say, and neither have those that lie more than three
        times as far from the median as is usual.
    size : (int, int)
        Height and width of the fixed frame, px.
    limits : Limits

    Returns
    -------
    Alignment
        The mean. ``predicted`` is its standard error, from the scatter of the captures;
        ``agreement`` the distance between the means of every second one. Refused when fewer than
        half of the captures have a say, or fewer than two.

    Raises
    ------
    RegistrationError
        When there is no estimate.
    """
    if not found:
        raise RegistrationError("no capture was given; one at least was promised")
    if len(found) == 1:
        return found[0]
    trusted = [one for one in found if one.trusted]
    places = _places(size)
    used = _near(trusted, places)
    if len(used) < max(2, _LEAST_SHARE * len(found)):
        told = f"only {len(used)} of {len(found)} captures can be aligned and agree"
        return Alignment(found[0].warp, Trust(0.0, float("inf"), float("inf"), 0.0, 1.0, told))
    warp = _mean(used)
    away = np.array([one.warp.apart(warp, places) for one in used])
    trust = Trust(
        float(np.median([one.trust.correlation for one in used])),
        float(np.sqrt((away**2).mean() / (len(used) - 1))),
        mean_of(_mean(used[::2]).apart(_mean(used[1::2]), places)),
        max(one.trust.information for one in used),
        float(np.median([one.trust.rival for one in used])),
    )
    return Alignment(warp, Trust(**{**vars(trust), "refusal": refusal(trust, limits)}))


def _places(size: tuple[int, int]) -> NDArray[np.float64]:
    """List places (25, 2), px, over the middle of the frame, half a diagonal across."""
    reach, _ = frame_of(size)
    steps = np.linspace(-reach / 2, reach / 2, _SIDE)
    across, down = np.meshgrid(steps + (size[1] - 1) / 2, steps + (size[0] - 1) / 2)
    return np.stack([across, down], axis=-1).reshape(-1, 2)


def _near(found: list[Alignment], places: NDArray[np.float64]) -> list[Alignment]:
    """Leave out what lies far from the others."""
    if not found:
        return []
    at = np.array([one.warp.at(places) for one in found])
    away = np.linalg.norm(at - np.median(at, axis=0), axis=-1).mean(-1)
    limit = _FAR * max(float(np.median(away)), _LEAST_FAR)
    return [one for one, far in zip(found, away, strict=True) if far <= limit]


def _mean(found: Sequence[Alignment]) -> Warp:
    """Average warps that hardly differ."""
    return Warp(np.mean([one.warp.matrix for one in found], axis=0))
