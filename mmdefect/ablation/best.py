"""The best single sensor: what every fusion has to beat.

Chosen on the very parts it is measured on it is flattered: of four equally good sensors the one
that looks best does so by about one standard error. Against a fusion that is unfair in the safe
direction. Beside it stands what the choice is worth on parts that had no say in it: the test
parts are halved, kind by kind, and each half is ranked by the sensor that was best on the other.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.ablation.arms import COMPARED, PART, Measured
from mmdefect.metrics import auroc_replicates

Row = dict[str, Any]


def best_sensors(rows: Sequence[Row]) -> dict[str, str]:
    """Name the best single sensor by each metric.

    Parameters
    ----------
    rows : sequence of dict
        Those of single sensors.

    Returns
    -------
    dict of str to str
        Metrics that no sensor has are left out.
    """
    found = {}
    for metric in COMPARED:
        known = [row for row in rows if row[metric] is not None]
        if known:
            found[metric] = str(max(known, key=lambda row: row[metric])["arm"])
    return found


def chosen_elsewhere(
    singles: Sequence[Measured], truth: NDArray[np.bool_], kinds: Sequence[str], seed: int
) -> Row | None:
    """Rank each half of the parts by the sensor that is best on the other half.

    Parameters
    ----------
    singles : sequence of Measured
        One a sensor.
    truth : bool array (capture,)
    kinds : sequence of str
        Kind of each capture; every kind is halved.
    seed : int
        Draws the halves.

    Returns
    -------
    dict or None
        ``image_auroc``, the mean of both halves, and ``sensors``, those chosen; None where a half
        lacks good or defective parts.
    """
    half = _halves(kinds, seed)
    chosen, values = [], []
    for own in (half, ~half):
        elsewhere = [_auroc(one, truth, ~own) for one in singles]
        if np.isnan(elsewhere).all():
            return None
        best = singles[int(np.nanargmax(elsewhere))]
        chosen.append(best.arm.name)
        values.append(_auroc(best, truth, own))
    if np.isnan(values).any():
        return None
    return {PART: float(np.mean(values)), "sensors": chosen}


def _halves(kinds: Sequence[str], seed: int) -> NDArray[np.bool_]:
    """Draw half of the captures of every kind."""
    rng = np.random.default_rng(seed)
    drawn = np.zeros(len(kinds), dtype=np.bool_)
    for kind in sorted(set(kinds)):
        where = rng.permutation([n for n, other in enumerate(kinds) if other == kind])
        drawn[where[: (len(where) + 1) // 2]] = True
    return drawn


def _auroc(one: Measured, truth: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    known = np.isfinite(one.scores) & among
    good, defect = one.scores[known & ~truth], one.scores[known & truth]
    if not good.size or not defect.size:
        return float("nan")
    return float(auroc_replicates(good, defect, replicates=0)[0])
