"""Tables of `fusion_kinds.py`: groups, kinds against their reference, pixels.

All numbers are means over seeds; every interval (95 %) is of a bootstrap over the test parts, the
same draw for all seeds and both sides of a difference. References of kinds are those of
`fusion_tables.py`, of the banks' evidence.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from fusion_scores import Spill
from fusion_tables import LIMITS, Product, Seed, kinds_of, references
from paired_draws import replicated, wins

from mmdefect import Dataset
from mmdefect.captures import Capture
from mmdefect.metrics import Estimate, difference, pixel_replicates
from mmdefect.progress import track
from mmdefect.registry import load
from mmdefect.verdict import Calibration

KINDS = ("bank", "transformer", "both", "mapping", "concat")
ALONE = "only "


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

    def best(self) -> str:
        """Name the sensor that is best by itself."""
        bad = np.array(self.labels) == "defect"
        return max(self.sensors, key=lambda name: self.auroc(ALONE + name, bad)[0])


def show(told: Told) -> None:
    """Print a row a group: AUROC of every kind, and what it adds to banks and best sensor."""
    bad = np.array(told.labels) == "defect"
    group = np.array([told.groups[kind] for kind in told.kinds])
    best = ALONE + told.best() if told.sensors else None
    others = [name for name in told.names if name != "bank"]
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
    if not told.sensors:
        return
    product = as_product(told)
    alone = {s: {k: told.auroc(ALONE + s, _of(told, k)) for k in kinds_of(product)}
             for s in told.sensors}  # fmt: skip
    seen_by = {k: max(told.sensors, key=lambda s, k=k: alone[s][k][0]) for k in kinds_of(product)}
    reference, _ = references(product, told.sensors, seen_by)
    print()
    line(told.product, "group", "kind", "n", "best", "alone", "reference", "bank", "both",
         "both − reference", "both − bank")  # fmt: skip
    for kind, best in seen_by.items():
        own, bank = (told.auroc(name, _of(told, kind)) for name in ("both", "bank"))
        line(told.product, product.groups[kind], kind, str(int(_of(told, kind).sum())), best,
             f"{alone[best][kind][0]:.3f}", f"{reference[kind][0]:.3f}", f"{bank[0]:.3f}",
             f"{own[0]:.3f}", spelt(difference(own - reference[kind])),
             spelt(difference(own - bank)))  # fmt: skip


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


def _of(told: Told, kind: str) -> np.ndarray:
    chosen: np.ndarray = (np.array(told.kinds) == kind) & (np.array(told.labels) == "defect")
    return chosen


def _first(maps: Any) -> Any:
    """Take the only map there is."""
    return maps.isel(sensor=0)
