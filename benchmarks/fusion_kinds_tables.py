"""Tables of `fusion_kinds.py`: groups, kinds against their reference, pixels.

All numbers are means over seeds; every interval (95 %) is of a bootstrap over the test parts, the
same draw for all seeds and both sides of a difference. References of kinds are those of
`fusion_tables.py`, of the banks' evidence.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from fusion_scores import Spill
from fusion_tables import LIMITS, Product, Seed, combined, kinds_of, references
from paired_draws import replicated, wins

from mmdefect import Dataset
from mmdefect.captures import Capture
from mmdefect.metrics import Estimate, difference, pixel_replicates
from mmdefect.progress import track
from mmdefect.registry import load
from mmdefect.verdict import Calibration

KINDS = ("bank", "transformer", "both", "mapping", "concat")
ALONE, LEFT = "only ", "left "


class Told(NamedTuple):
    """Scores (capture,) by kind, a table a seed; labels, kinds and groups of the captures."""

    product: str
    tables: Sequence[Mapping[str, np.ndarray]]
    labels: Sequence[str]
    kinds: Sequence[str]
    groups: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """Kinds of fusion that every seed has scores of."""
        return [name for name in KINDS if all(name in table for table in self.tables)]

    @property
    def sensors(self) -> list[str]:
        """Sensors whose banks were asked by themselves."""
        return [name.removeprefix(ALONE) for name in self.tables[0] if name.startswith(ALONE)]

    def auroc(self, name: str, chosen: np.ndarray) -> np.ndarray:
        """Mean over seeds of a kind's AUROC and its replicates, on chosen defective captures."""
        good = np.array(self.labels) == "good"
        return replicated(np.mean([wins(t[name][good], t[name][chosen]) for t in self.tables], 0))

    def of(self, kind: str) -> np.ndarray:
        """Choose the defective captures of a kind."""
        chosen: np.ndarray = (np.array(self.kinds) == kind) & (np.array(self.labels) == "defect")
        return chosen

    def combined(self, sensors: Sequence[str]) -> Callable[[np.ndarray], np.ndarray]:
        """Give the AUROC of some sensors' banks, as a function of the captures."""
        late, good = load("fusion", "late")(), np.array(self.labels) == "good"
        rows = [np.stack([table[ALONE + n] for n in sensors], axis=1) for table in self.tables]
        own = [combined(late, one, sensors) for one in rows]
        return lambda chosen: replicated(np.mean([wins(r[good], r[chosen]) for r in own], 0))

    def best(self) -> str:
        """Name the sensor that is best by itself."""
        bad = np.array(self.labels) == "defect"
        return max(self.sensors, key=lambda name: self.auroc(ALONE + name, bad)[0])


def show(told: Told) -> None:
    """Print a row a group: AUROC of every kind, and what it adds to banks and best sensor."""
    bad = np.array(told.labels) == "defect"
    group = np.array([told.groups[kind] for kind in told.kinds])
    best = ALONE + told.best() if told.sensors and "both" in told.names else None
    others = [name for name in told.names if name != "bank" and "bank" in told.names]
    apart = [f"{name} − bank" for name in others] + [f"both − {best}"] * bool(best)
    shown = ([best] if best else []) + told.names
    print(f"\n{len(told.tables)} seeds\n")
    line(told.product, "group", "n", *shown, *apart)
    for name in ["", *sorted(set(group[bad].tolist()))]:
        chosen = bad & ((group == name) | (name == ""))
        drawn = {k: told.auroc(k, chosen) for k in shown}
        gains = [difference(drawn[k] - drawn["bank"]) for k in others]
        gains += [difference(drawn["both"] - drawn[best])] if best else []
        values = [f"{own[0]:.3f}" for own in drawn.values()]
        line(told.product, name or "all", str(int(chosen.sum())), *values, *map(spelt, gains))


def show_kinds(told: Told) -> None:
    """Print a row a kind of defect: best sensor, reference, banks, both."""
    if not told.sensors or "both" not in told.names:
        return
    print()
    line(told.product, "group", "kind", "n", "best", "alone", "reference", "bank", "both",
         "both − reference", "both − bank")  # fmt: skip
    for kind, best, reference in referred(told, told.sensors):
        chosen = told.of(kind)
        own, bank = (told.auroc(name, chosen) for name in ("both", "bank"))
        line(told.product, told.groups[kind], kind, str(int(chosen.sum())), best,
             f"{told.auroc(ALONE + best, chosen)[0]:.3f}", f"{reference[0]:.3f}", f"{bank[0]:.3f}",
             f"{own[0]:.3f}", spelt(difference(own - reference)),
             spelt(difference(own - bank)))  # fmt: skip


def show_left(told: Told) -> None:
    """Print a row for every set of sensors: best of them, banks, both, kinds below reference."""
    bad = np.array(told.labels) == "defect"
    sets = [told.sensors, *(name.removeprefix(LEFT).split() for name in told.tables[0]
            if name.startswith(LEFT) and all(name in table for table in told.tables))]  # fmt: skip
    if len(sets) == 1 or "both" not in told.names:
        return
    print()
    line(told.product, "sensors", "best", "bank", "both", "both − best", "both − bank",
         "kinds within", "farthest below")  # fmt: skip
    for left in sets:
        name = LEFT + " ".join(left) if left != told.sensors else "both"
        banks = told.combined(left)
        best = max(left, key=lambda s: told.auroc(ALONE + s, bad)[0])
        alone, own, bank = told.auroc(ALONE + best, bad), told.auroc(name, bad), banks(bad)
        below = [(difference(told.auroc(name, told.of(kind)) - reference), kind)
                 for kind, _, reference in referred(told, left)]  # fmt: skip
        within = sum(gain.value >= -0.01 for gain, _ in below)
        gain, kind = min(below, key=lambda one: one[0].value)
        line(told.product, ", ".join(left), f"{best} {alone[0]:.3f}", f"{bank[0]:.3f}",
             f"{own[0]:.3f}", spelt(difference(own - alone)), spelt(difference(own - bank)),
             f"{within} of {len(below)}", f"{kind} {spelt(gain)}")  # fmt: skip


def referred(told: Told, sensors: Sequence[str]) -> list[tuple[str, str, np.ndarray]]:
    """Give every kind with the sensor that is best at it and its reference, of some sensors."""
    product = as_product(told)
    seen_by = {
        kind: max(sensors, key=lambda s, k=kind: told.auroc(ALONE + s, told.of(k))[0])
        for kind in kinds_of(product)
    }
    reference, _ = references(product, sensors, seen_by)
    return [(kind, best, reference[kind]) for kind, best in seen_by.items()]


def pixels_measured(folder: Path) -> bool:
    """Tell whether `fusion.py` kept the banks' maps and measured them."""
    path = folder / "tables.json"
    return path.exists() and all(limit in json.loads(path.read_text())[0] for limit in LIMITS)


def show_pixels(
    told: Told, dataset: Dataset, test: Sequence[Capture], folders: Sequence[Path]
) -> None:
    """Print AUPRO of best sensor, banks and both; `fusion.py` kept the banks' maps."""
    truth = None
    for number, capture in enumerate(track(test, len(test), "reading masks")):
        if capture.label == "defect":
            mask = dataset.scene(capture)["defect"].values
            truth = np.zeros((len(test), *mask.shape), bool) if truth is None else truth
            truth[number] = mask
    rows = json.loads((folders[0].parent / "tables.json").read_text())[0]
    late, sensors = load("fusion", "late")(), tuple(rows["sensors"])
    drawn: dict[str, list[Any]] = {}
    for folder in folders:
        kept = folder.parent / f"maps{folder.name.removeprefix('seed')}.npy"
        banks = Spill(kept, len(test), sensors)
        both = Spill(folder / f"both{len(test)}.npy", len(test), ("both",))
        asked = {name: banks.joined((name,), truth, _first) for name in
                 {rows[limit]["best"] for limit in LIMITS}}  # fmt: skip
        asked |= {"bank": banks.joined(sensors, truth, late.combine),
                  "both": both.joined(("both",), truth, _first)}  # fmt: skip
        for name, pairs in asked.items():
            drawn.setdefault(name, []).append(pixel_replicates(pairs, byte_budget=2 << 30))
    print()
    line(told.product, "limit", "best sensor", "bank", "both", "both − best", "both − bank")
    for limit in LIMITS:
        mean = {name: np.mean([one[limit] for one in own], axis=0) for name, own in drawn.items()}
        best = rows[limit]["best"]
        line(told.product, limit, f"{best} {mean[best][0]:.3f}", f"{mean['bank'][0]:.3f}",
             f"{mean['both'][0]:.3f}", spelt(difference(mean["both"] - mean[best])),
             spelt(difference(mean["both"] - mean["bank"])))  # fmt: skip


def as_product(told: Told) -> Product:
    """Lay the banks' evidence out as `fusion_tables.py` has it."""
    names, late = tuple(told.sensors), load("fusion", "late")()
    nothing = np.empty((0, len(names)))
    seeds = [
        Seed(np.stack([table[ALONE + n] for n in names], axis=1), late,
             Calibration(names, nothing, nothing, late.combine), None)
        for table in told.tables
    ]  # fmt: skip
    masks = np.zeros((0, 0, 0), dtype=bool)
    return Product(told.product, seeds, masks, told.kinds, told.labels, told.groups)


def line(*cells: str) -> None:
    """Print a row of Markdown."""
    print("| " + " | ".join(cells) + " |", flush=True)


def spelt(one: Estimate) -> str:
    """Spell a difference and its interval."""
    return f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"


def _first(maps: Any) -> Any:
    """Take the only map there is."""
    return maps.isel(sensor=0)
