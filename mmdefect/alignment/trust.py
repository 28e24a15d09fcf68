"""What an alignment is worth: how far it is likely to be off, and whether to refuse it.

* Every tile of the picture pulls the warp its own way; at the best warp the pulls cancel. How
  widely they scatter, against how stiffly the correlation holds, predicts the error [1]_.
* Two interlaced halves, started from elsewhere, must find the same warp.
* Mutual information, which errs for other reasons, must find the same warp.
* Where another place of the coarse picture fits about as well, the answer is a guess.

References
----------
.. [1] White: Maximum likelihood estimation of misspecified models, Econometrica 50, 1982.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmdefect.alignment.climb import EdgeMeasure, Reached, climb
from mmdefect.alignment.edges import Picture
from mmdefect.alignment.warps import Warp, pixels_of, slopes

TILES = 8
_EVERY = 8
_PERTURBED = 1.0


@dataclass(frozen=True)
class Trust:
    """How far an alignment can be trusted.

    Parameters
    ----------
    correlation : float
        Of the edges, 0 to 1.
    predicted : float, px
        Root-mean-square error over the picture, from the scatter of its tiles.
    agreement : float, px
        Mean distance between independent estimates: of two interlaced halves, of all edges and of
        those that agree, or by two means of captures whose registration is known.
    information : float, px
        Mean distance from the warp that mutual information prefers; 0 where it was not asked.
    rival : float
        Height of the second-best place as a share of the best.
    refusal : str
        Why it is not to be used; empty when it is.
    """

    correlation: float
    predicted: float
    agreement: float
    information: float
    rival: float
    refusal: str = ""


@dataclass(frozen=True)
class Limits:
    """From where on an alignment is refused; the fields as those of ``Trust``."""

    correlation: float = 0.05
    predicted: float = 0.33
    agreement: float = 0.75
    information: float = 1.0
    rival: float = 0.9


LIMITS = Limits()


def judged(
    levels: list[tuple[Picture, Picture]],
    reached: Reached,
    others: tuple[Warp, Warp],
    model: str,
    rival: float,
    limits: Limits = LIMITS,
) -> Trust:
    """Judge an alignment.

    Parameters
    ----------
    levels : list of (Picture, Picture)
        The finest first.
    reached : Reached
        On the finest.
    others : (Warp, Warp)
        What is to be used in the end, and what mutual information prefers.
    model : str
    rival : float
        See ``Trust``.
    limits : Limits

    Returns
    -------
    Trust
    """
    size = levels[0][0].size
    places = counted_places(reached.standing.weight)
    if len(places) == 0 or reached.value <= 0:
        nothing = "the frames have no edges in common"
        return Trust(0.0, float("inf"), float("inf"), float("inf"), rival, nothing)
    halves = _halves(levels[0], reached, model)
    moved = mean_of(reached.warp.apart(others[0], places))
    trust = Trust(
        reached.value,
        predicted_error(reached, size, model),
        max(moved, mean_of(halves[0].apart(halves[1], places))),
        mean_of(others[0].apart(others[1], places)),
        rival,
    )
    return Trust(**{**vars(trust), "refusal": refusal(trust, limits)})


def counted_places(weight: NDArray[np.float32]) -> NDArray[np.float64]:
    """List every eighth pixel (pixel, 2), column and row, of those that count."""
    grid = pixels_of((weight.shape[0], weight.shape[1]))
    chosen = (slice(_EVERY // 2, None, _EVERY),) * 2
    places: NDArray[np.float64] = grid[chosen][weight[chosen] > 0]
    return places


def predicted_error(reached: Reached, size: tuple[int, int], model: str) -> float:
    """Predict the root-mean-square error of a warp from the scatter of its tiles' pulls, px."""
    moves = slopes(size, model)
    pulls = _tile_pulls(reached, moves.astype(np.float32), size)
    values, vectors = np.linalg.eigh(reached.bend)
    if values.min() <= 1e-6 * max(values.max(), 1e-30):
        return float("inf")
    inverse = (vectors / values) @ vectors.T
    count = len(pulls)
    scatter = (pulls.T @ pulls) * count / max(count - len(inverse), 1)
    spread = inverse @ scatter @ inverse
    near = moves[:, :, _EVERY // 2 :: _EVERY, _EVERY // 2 :: _EVERY]
    known = reached.standing.weight[_EVERY // 2 :: _EVERY, _EVERY // 2 :: _EVERY] > 0
    square = np.einsum("iaxy,ij,jaxy->xy", near, spread, near)[known]
    return float(np.sqrt(max(square.mean(), 0.0))) if square.size else float("inf")


def _tile_pulls(
    reached: Reached, moves: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.float64]:
    """Sum the pull on a warp's numbers over every tile that counts: (tile, number)."""
    force = (moves * reached.standing.force).sum(1)
    rows = np.linspace(0, size[0], TILES + 1).astype(int)[:-1]
    columns = np.linspace(0, size[1], TILES + 1).astype(int)[:-1]
    tiles = np.add.reduceat(np.add.reduceat(force, rows, axis=1), columns, axis=2)
    pulls = tiles.reshape(len(moves), -1).T.astype(np.float64)
    used: NDArray[np.float64] = pulls[np.abs(pulls).sum(1) > 0]
    return used


def _halves(level: tuple[Picture, Picture], reached: Reached, model: str) -> list[Warp]:
    """Estimate from the black and from the white tiles of a board, from two other starts."""
    size = level[0].size
    rows, columns = (np.arange(side) * TILES // side for side in size)
    white = (rows[:, None] + columns[None, :]) % 2
    starts = [Warp.shift(_PERTURBED, -_PERTURBED), Warp.shift(-_PERTURBED, _PERTURBED)]
    return [
        climb(
            EdgeMeasure(*level, weight=half.astype(np.float32)),
            reached.warp @ away,
            model,
            rounds=8,
        ).warp
        for half, away in zip((white, 1 - white), starts, strict=True)
    ]


def refusal(trust: Trust, limits: Limits = LIMITS) -> str:
    """Say why an alignment is not to be used; empty when it is."""
    if trust.correlation < limits.correlation:
        return f"the edges hardly agree (correlation {trust.correlation:.2f})"
    if not trust.rival <= limits.rival:
        return f"another place fits as well ({trust.rival:.0%} of the best)"
    if not trust.predicted <= limits.predicted:
        return f"the parts of the picture disagree (error of {trust.predicted:.2f} px predicted)"
    if not trust.agreement <= limits.agreement:
        return f"two independent estimates lie {trust.agreement:.2f} px apart"
    if not trust.information <= limits.information:
        return f"mutual information prefers a warp {trust.information:.2f} px away"
    return ""


def mean_of(apart: NDArray[np.float64]) -> float:
    """Average a distance; infinite where a warp goes beyond the horizon."""
    return float(apart.mean()) if np.isfinite(apart).all() and apart.size else float("inf")
