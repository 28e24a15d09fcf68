"""Tables of `fusion.py`: pooled and per kind, for all sensors and for every subset of them.

**Reference of a kind.** Even the best possible combination pays for listening to sensors that see
nothing: it cannot know which one saw the defect. What fusion can be asked for is what the best
combination reaches when the others are worth nothing at all. So of every defective part of the
kind the evidence of the kind's best sensor is kept, and the evidences of all others are replaced
by those of one good test part drawn at random (ten draws). Good parts and these stand-ins are then
ranked by the best of the following statistics, one for all kinds of the product, chosen by the
mean over kinds on one half of the parts and used on the other:

* every rule of `mmdefect.fusion`;
* the likelihood ratio of "a defect that one sensor sees": evidence of good parts falls off as
  exp(−e), that of a kind's defects in the kind's best sensor as exp(−λe), λ fitted on the other
  half; the ratio is the sum over kinds of share · λ · exp((1 − λ) e).

The best sensor of a kind, and of all kinds, is chosen on the parts it is measured on, which
flatters it and the reference: fusion is held against more than there is.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from fusion_scores import Spill
from paired_draws import replicated, wins
from scipy.special import logsumexp

from mmdefect.metrics import Estimate, difference, pixel_replicates
from mmdefect.registry import load
from mmdefect.verdict import Calibration

RULES = ("bonferroni", "fisher", "harmonic", "max", "mean", "norm")
DRAWS = 10
LIMITS = ("aupro_30", "aupro_05")
Combine = Callable[[np.ndarray], np.ndarray]


class Seed(NamedTuple):
    """One seed: evidence (capture, sensor), the fusion, its calibration, its maps."""

    evidence: np.ndarray
    fusion: Any
    calibration: Calibration
    spill: Spill | None


class Product(NamedTuple):
    """One product: its seeds, masks (capture, y, x), kinds and labels of captures, groups."""

    name: str
    seeds: Sequence[Seed]
    truth: np.ndarray
    kinds: Sequence[str]
    labels: Sequence[str]
    groups: Mapping[str, str]

    @property
    def sensors(self) -> tuple[str, ...]:
        """The sensors."""
        return self.seeds[0].calibration.sensors

    @property
    def good(self) -> np.ndarray:
        """Numbers of the good captures."""
        return np.flatnonzero(np.array(self.labels) == "good")

    def of(self, kind: str) -> np.ndarray:
        """Numbers of the captures of a kind; of all defective ones for an empty name."""
        bad = np.array(self.labels) == "defect"
        return np.flatnonzero(bad & ((np.array(self.kinds) == kind) | (kind == "")))


def combined(fusion: Any, evidence: np.ndarray, sensors: Sequence[str]) -> np.ndarray:
    """Combine evidence (capture, sensor) of the named sensors."""
    labelled = xr.DataArray(evidence.T, {"sensor": list(sensors)}, ("sensor", "part"))
    return np.asarray(fusion.combine(labelled).values)


def scores(product: Product, sensors: Sequence[str]) -> list[np.ndarray]:
    """Score every capture by some sensors, a list of seeds."""
    columns = [product.sensors.index(name) for name in sensors]
    return [combined(s.fusion, s.evidence[:, columns], sensors) for s in product.seeds]


def auroc(product: Product, own: list[np.ndarray], kind: str = "") -> np.ndarray:
    """Mean over seeds of the AUROC and its replicates."""
    good, bad = product.good, product.of(kind)
    return replicated(np.mean([wins(one[good], one[bad]) for one in own], axis=0))


def aupro(product: Product, sensors: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Mean over seeds of the AUPROs and their replicates."""
    told = [
        pixel_replicates(
            s.spill.joined(sensors, product.truth, s.fusion.combine), byte_budget=2 << 30
        )
        for s in product.seeds
    ]
    return {name: np.mean([one[name] for one in told], axis=0) for name in LIMITS}


def likelihood_ratio(product: Product, own: Seed, sensors: Sequence[str], half: np.ndarray,
                     seen_by: Mapping[str, str]) -> Combine:  # fmt: skip
    """Fit the likelihood ratio on one half of the captures."""
    logs, rates, columns = [], [], []
    for kind, sensor in seen_by.items():
        bad = np.intersect1d(product.of(kind), half)
        if not len(bad):
            continue
        mean = own.evidence[bad, product.sensors.index(sensor)].mean()
        rates.append(np.clip(1 / max(mean, 1e-9), 0.02, 0.95))
        logs.append(np.log(len(bad)))
        columns.append(sensors.index(sensor))
    shift, slope = np.array(logs) + np.log(rates), 1 - np.array(rates)
    return lambda evidence: logsumexp(shift + slope * evidence[:, columns], axis=1)


def stand_ins(
    product: Product, own: Seed, sensors: Sequence[str], kind: str, best: str, draw: int
) -> np.ndarray:
    """Keep the best sensor's evidence of a kind's parts, and take the others' from good parts."""
    rng = np.random.default_rng(draw)
    columns = [product.sensors.index(name) for name in sensors]
    bad = product.of(kind)
    made = own.evidence[rng.choice(product.good, len(bad))][:, columns]
    made[:, sensors.index(best)] = own.evidence[bad, product.sensors.index(best)]
    return made


def references(
    product: Product, sensors: Sequence[str], seen_by: Mapping[str, str]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """AUROC of every kind's reference with its replicates, and the statistics that were chosen."""
    side = np.zeros(len(product.kinds), dtype=int)
    for numbers in (product.good, *(product.of(kind) for kind in seen_by)):
        side[numbers[1::2]] = 1
    columns = [product.sensors.index(name) for name in sensors]
    chosen: list[str] = []
    told: dict[str, list[np.ndarray]] = {kind: [] for kind in seen_by}
    for own in product.seeds:
        rules = {name: _rule(name, sensors) for name in RULES}
        ranked = {}
        for half in (0, 1):
            where = np.flatnonzero(side == half)
            rules[f"ratio{half}"] = likelihood_ratio(product, own, sensors, where, seen_by)
        for half in (0, 1):  # chosen here, used on the other half
            names = [*RULES, f"ratio{half}"]
            where = np.flatnonzero(side == half)
            ranked[half] = max(names, key=lambda n: _mean(product, own, sensors, seen_by, rules[n],
                                                          where))  # fmt: skip
            chosen.append(ranked[half].rstrip("01"))
        good = own.evidence[:, columns]
        for kind, best in seen_by.items():
            bad = product.of(kind)
            for draw in range(DRAWS):
                made = stand_ins(product, own, sensors, kind, best, draw)
                told[kind].append(_two_halves(rules, ranked, good, made, product.good, bad, side))
    return {kind: replicated(np.mean(one, axis=0)) for kind, one in told.items()}, chosen


def _rule(name: str, sensors: Sequence[str]) -> Combine:
    fusion = load("fusion", "late")(rule=name)
    return lambda evidence: combined(fusion, evidence, sensors)


def _mean(product: Product, own: Seed, sensors: Sequence[str], seen_by: Mapping[str, str],
          rule: Combine, where: np.ndarray) -> float:  # fmt: skip
    """Mean over kinds of the stand-ins' AUROC, on some captures, by one statistic."""
    columns = [product.sensors.index(name) for name in sensors]
    good = rule(own.evidence[np.intersect1d(product.good, where)][:, columns])
    found = []
    for kind, best in seen_by.items():
        inside = np.isin(product.of(kind), where)
        if inside.any():
            made = stand_ins(product, own, sensors, kind, best, 0)[inside]
            found.append(wins(good, rule(made)).mean())
    return float(np.mean(found))


def _two_halves(rules: Mapping[str, Combine], ranked: Mapping[int, str], good: np.ndarray,
                made: np.ndarray, numbers: np.ndarray, bad: np.ndarray,
                side: np.ndarray) -> np.ndarray:  # fmt: skip
    """Wins, each half of the parts ranked by what the other half chose.

    Scores of different statistics cannot be compared, so a half's scores become their rank among
    all good parts.
    """
    placed_good, placed_bad = np.empty(len(numbers)), np.empty(len(bad))
    for half in (0, 1):
        rule = rules[ranked[1 - half]]
        scale = np.sort(rule(good[numbers]))
        for placed, rows, which in (
            (placed_good, good[numbers], side[numbers] == half),
            (placed_bad, made, side[bad] == half),
        ):
            own = rule(rows)[which]
            low, high = np.searchsorted(scale, own, "left"), np.searchsorted(scale, own, "right")
            beyond = np.maximum(own - scale[-1], 0)
            placed[which] = (low + high) / 2 + beyond / (1 + beyond)
    return wins(placed_good, placed_bad)


def kinds_of(product: Product) -> list[str]:
    """Name the kinds of defect, in groups."""
    found = {kind for kind, label in zip(product.kinds, product.labels, strict=True)
             if label == "defect"}  # fmt: skip
    return sorted(found, key=lambda kind: (product.groups[kind], kind))


def parts(product: Product, sensors: tuple[str, ...], alone: Any) -> dict[str, Any]:
    """Both statements about parts, for one set of sensors.

    Parameters
    ----------
    product : Product
    sensors : tuple of str
    alone : dict
        Scores of each sensor alone.

    Returns
    -------
    dict
    """
    own = scores(product, sensors)
    fused, single = auroc(product, own), {s: auroc(product, alone[s]) for s in sensors}
    best = max(sensors, key=lambda s: single[s][0])
    row: dict[str, Any] = {
        "sensors": list(sensors),
        "best": best,
        "alone": {name: difference(value) for name, value in single.items()},
        "fused": difference(fused),
        "gain": difference(fused - single[best]),
    }
    kinds = kinds_of(product)
    each = {k: {s: auroc(product, alone[s], k) for s in sensors} for k in kinds}
    seen_by = {k: max(sensors, key=lambda s: each[k][s][0]) for k in kinds}
    reference, row["reference_rules"] = references(product, sensors, seen_by)
    row["kinds"] = []
    for kind in kinds:
        together = auroc(product, own, kind)
        row["kinds"].append({
            "kind": kind, "group": product.groups[kind], "n": len(product.of(kind)),
            "best": seen_by[kind], "alone": {s: float(each[kind][s][0]) for s in sensors},
            "reference": float(reference[kind][0]), "fused": float(together[0]),
            "gain": difference(together - reference[kind]),
        })  # fmt: skip
    return row


def tables(
    product: Product,
    keep: Callable[[list[dict[str, Any]]], None],
    only_parts: bool = False,
    fewest: int = 2,
) -> None:
    """Measure parts by all sensors and every subset of two and more, then pixels in that order.

    Parameters
    ----------
    product : Product
    keep : callable
        Given all rows after each step.
    only_parts : bool
        Leave the pixels out.
    fewest : int
        Of the sensors that are left at least.
    """
    sets = [chosen for size in range(len(product.sensors), fewest - 1, -1)
            for chosen in combinations(product.sensors, size)]  # fmt: skip
    alone = {name: scores(product, (name,)) for name in product.sensors}
    rows: list[dict[str, Any]] = []
    for chosen in sets:
        rows.append(parts(product, chosen, alone))
        _print(product, rows[-1])
        keep(rows)
    for row in rows:
        _print_kinds(product, row, whole=row is rows[0])
    if only_parts:
        return
    pixels = {name: aupro(product, (name,)) for name in product.sensors}
    for chosen, row in zip(sets, rows, strict=True):
        maps = aupro(product, chosen)
        for name in LIMITS:
            top = max(chosen, key=lambda s, name=name: pixels[s][name][0])
            row[name] = {
                "best": top,
                "alone": {s: difference(pixels[s][name]) for s in chosen},
                "fused": difference(maps[name]),
                "gain": difference(maps[name] - pixels[top][name]),
            }
        _print_pixels(product, row)
        keep(rows)


def _print(product: Product, row: dict[str, Any]) -> None:
    """Print the parts of one set of sensors as Markdown."""
    worst = min(row["kinds"], key=lambda one: one["gain"].value)
    within = sum(one["gain"].value >= -0.01 for one in row["kinds"])
    best = row["best"]
    _line(product.name, " ".join(row["sensors"]), f"{best} {row['alone'][best].value:.3f}",
          f"{row['fused'].value:.3f}", _told(row["gain"]), f"{within}/{len(row['kinds'])}",
          f"{worst['kind']} {worst['gain'].value:+.3f}")  # fmt: skip


def _print_kinds(product: Product, row: dict[str, Any], whole: bool) -> None:
    """Print the kinds of one set of sensors: all, or those that fall short."""
    print(f"\n{' '.join(row['sensors'])}: reference by {sorted(set(row['reference_rules']))}")
    for one in row["kinds"]:
        if whole or one["gain"].value < -0.01:
            _line(product.name, one["group"], one["kind"], str(one["n"]), one["best"],
                  f"{one['alone'][one['best']]:.3f}", f"{one['reference']:.3f}",
                  f"{one['fused']:.3f}", _told(one["gain"]))  # fmt: skip


def _print_pixels(product: Product, row: dict[str, Any]) -> None:
    """Print the pixels of one set of sensors."""
    cells = [product.name, " ".join(row["sensors"])]
    for name in LIMITS:
        own = row[name]
        cells += [f"{own['best']} {own['alone'][own['best']].value:.3f}",
                  f"{own['fused'].value:.3f}", _told(own["gain"])]  # fmt: skip
    _line(*cells)


def _line(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def _told(one: Estimate) -> str:
    if one.low is None or one.high is None:
        return f"{one.value:+.3f}"
    return f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"
