"""AUPRO at all limits, pixel AUROC and pixel AP: 100 maps of 800 x 800 with 60 defects.

Rivals: MVTec's code (AUPRO alone, at one limit, from 100 thresholds, hence not exact) as the
package adeval ships it; adeval's own AUPRO, AUROC and AP from a thousand strips; and scikit-learn's
AUROC and average precision. Ours is exact. In the first case it is AUPRO alone (``aupro``), at all
limits of the false positive rate at once; in the second all of it, the AUROC and the AP included,
which adeval is held against once more. Agreement is with a direct evaluation in float64: all scores
sorted, one step a distinct score.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from case import Case, Check
from scipy.ndimage import gaussian_filter, label

from mmdefect.metrics import aupro
from mmdefect.metrics._collect import collect, survey
from mmdefect.metrics._sweep import Sweep

TITLE = "AUPRO, pixel AUROC and pixel AP"
EIGHT = np.ones((3, 3), dtype=int)
BUDGET = 256 << 20


def cases(quick: bool) -> dict[str, Callable[[], Case]]:
    count, side = (20, 200) if quick else (100, 800)
    return {
        f"AUPRO, {count} maps of {side}": partial(made, count, side, "aupro"),
        f"AUROC and AP, {count} maps of {side}": partial(made, count, side, "rank"),
    }


def maps_of(count: int, side: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Smooth score maps with defects that stand out more or less."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        mask = np.zeros((side, side), dtype=bool)
        score = (
            gaussian_filter(rng.normal(size=(side // 4, side // 4)), 2).repeat(4, 0).repeat(4, 1)
        )
        score += 0.02 * rng.normal(size=score.shape)
        if number % 5 < 3:
            y, x = rng.integers(side // 8, side - side // 8, 2)
            reach = rng.integers(side // 60, side // 12)
            mask[y - reach : y + reach, x - reach : x + reach] = True
            score = score + rng.uniform(0, 1.0) * gaussian_filter(mask.astype(float), side / 100)
        made.append((score.astype(np.float32), mask))
    return made


def made(count: int, side: int, kind: str) -> Case:
    import sklearn.metrics  # noqa: F401 - or its import would be timed

    maps = maps_of(count, side)
    stored = sum(score.nbytes for score, _ in maps)

    def checks() -> Sequence[Check]:
        found, direct = work(maps), directly(maps)
        names = [name for name in direct if name.startswith("aupro") == (kind == "aupro")]
        bound = 1e-9 if kind == "aupro" else 1e-12
        return [Check(f"{name} {found[name]:.7f}, apart from the direct evaluation by",
                      abs(found[name] - direct[name]), most=bound) for name in names]  # fmt: skip

    rivals, goals = aupro_rivals(maps)
    work = partial(aupro, byte_budget=BUDGET) if kind == "aupro" else everything
    if kind != "aupro":
        rivals = {"scikit-learn": lambda: ranked(maps), "adeval": rivals["adeval"]}
        goals = {"scikit-learn": 5.0, "adeval": 1.5}
    return Case(
        ours=lambda: work(maps),
        rivals=rivals,
        targets=goals,
        checks=checks,
        rounds=2,
        once=("scikit-learn",),
        memory=kind == "aupro",
        threads=(1, 2) if kind == "aupro" else (1,),
        bytes_most=0.6 * stored,
    )


def everything(maps: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    found = survey(maps, BUDGET)
    sweep = Sweep(found.totals)
    for steps in collect(found, BUDGET):
        sweep.add(steps)
    return sweep.exact()


def aupro_rivals(
    maps: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[dict[str, Callable[[], object]], dict[str, float]]:
    from adeval import auroc_aupr_aupro
    from adeval.au_pro import calculate_au_pro

    if not hasattr(np, "trapz"):
        vars(np)["trapz"] = np.trapezoid  # adeval is of before NumPy 2.4
    scores, masks = [score for score, _ in maps], [mask.astype(np.uint8) for _, mask in maps]
    ways = {
        "MVTec's code, 100 thresholds": lambda: calculate_au_pro(masks, scores),
        "adeval": lambda: auroc_aupr_aupro(scores, masks),
    }
    return ways, {"MVTec's code, 100 thresholds": 6.0, "adeval": 1.5}


def ranked(maps: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    scores = np.concatenate([score.ravel() for score, _ in maps])
    truth = np.concatenate([mask.ravel() for _, mask in maps])
    return roc_auc_score(truth, scores), average_precision_score(truth, scores)


def directly(maps: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Sort all scores and take one step a distinct score, in float64."""
    scores = np.concatenate([score.ravel() for score, _ in maps])
    truth = np.concatenate([mask.ravel() for _, mask in maps])
    weight = np.zeros(len(scores))
    start, regions = 0, 0
    for _, mask in maps:
        labels, found = label(mask, structure=EIGHT)
        sizes = np.bincount(labels.ravel())
        here = labels.ravel()
        weight[start : start + here.size][here > 0] = 1 / sizes[here[here > 0]]
        start, regions = start + here.size, regions + found
    order = np.argsort(-scores, kind="stable")
    scores, truth, weight = scores[order], truth[order], weight[order]
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    found, seen = np.cumsum(truth)[last].astype(float), (last + 1).astype(float)
    overlap = np.append(0, np.cumsum(weight)[last]) / regions
    recall = np.append(0, found) / found[-1]
    rate = np.append(0, seen - found) / (seen[-1] - found[-1])
    told = {"pixel_auroc": float(np.trapezoid(recall, rate)),
            "pixel_ap": float((np.diff(recall) * found / seen).sum())}  # fmt: skip
    for name, limit in (
        ("aupro_30", 0.3),
        ("aupro_10", 0.1),
        ("aupro_05", 0.05),
        ("aupro_01", 0.01),
    ):
        inside = rate <= limit
        x = np.append(rate[inside], limit)
        y = np.append(overlap[inside], np.interp(limit, rate, overlap))
        told[name] = float(np.trapezoid(y, x) / limit)
    return told
