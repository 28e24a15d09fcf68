"""In which light a data set's parts were seen, and which of them are not inspectable for it.

    python benchmarks/other_light.py folder $MMDEFECT_DATA/mulsen-mini
    python benchmarks/other_light.py mvtec3d $MMDEFECT_DATA/mvtec3d-half

The looks are learnt, and the limit is set, by the parts that `mmdefect evaluate` takes for both
with seed 0 and α = 0.05. Told are

* for every sensor that light has a part in, and every group of captures, by which share the light
  is stronger than what was learnt, with nothing cut off (mean and standard deviation over parts),
  the same as it is forgiven, and how many parts lie beyond what is forgiven;
* by kind of test part, how many are `not_inspectable` and which sensors are named;
* of the test parts where such a sensor is named, and of the others, the least and the most light,
  and how many would be named if all light were forgiven, in the same spreads.

With `--forgiven 0` nothing is forgiven.
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect import Dataset, light
from mmdefect.captures import Capture
from mmdefect.division import divide
from mmdefect.familiar import Cells, Familiar

ALPHA = 0.05


class Part(NamedTuple):
    kind: str
    scene: xr.Dataset
    cells: dict[str, Cells]


Groups = dict[str, list[Part]]


def learnt(dataset: Dataset, category: str) -> tuple[Familiar, Groups]:
    """The looks with their limit, and all captures in groups."""
    train, extra = (
        [c for c in dataset.captures(category, split) if dataset.teaches(c)]
        for split in ("train", "calibration")
    )
    fit, calibrate = divide(train, extra, ALPHA, 0)
    calibrate = dataset.without_copies(calibrate, fit)
    familiar = Familiar.learn(map(dataset.scene, fit))

    def part(capture: Capture) -> Part:
        scene = dataset.scene(capture)
        return Part(capture.kind, scene, familiar.cells(scene))

    groups = {"fit": list(map(part, fit)), "calibrate": list(map(part, calibrate))}
    for label in ("good", "defect"):
        of_label = (c for c in dataset.captures(category, "test") if c.label == label)
        groups[f"test, {label}"] = list(map(part, of_label))
    strangeness = [max(familiar.of(*seen[1:]).values()) for seen in groups["calibrate"]]
    return familiar.joined(strangeness), groups


def light_in(familiar: Familiar, sensor: str, parts: list[Part]) -> NDArray[np.float64]:
    looks = familiar.mean[sensor], familiar.pattern[sensor], familiar.frames[sensor]
    return np.array([light.light_of(part.cells[sensor], *looks) for part in parts])


def tell_light(familiar: Familiar, category: str, groups: Groups, lit: list[str]) -> None:
    print("| category | sensor | parts | | light | as forgiven | above | below |")
    print("|---|---|---|---|---|---|---|---|")
    for sensor in lit:
        for name, parts in groups.items():
            share = light_in(familiar, sensor, parts)
            shares = [share, np.clip(share, -light.FORGIVEN, light.FORGIVEN)]
            told = [f"{100 * s.mean():+.1f} ± {100 * s.std():.1f} %" for s in shares]
            beyond = [int((share > light.FORGIVEN).sum()), int((share < -light.FORGIVEN).sum())]
            row = [category, sensor, name, len(parts), *told, *beyond]
            print("|", " | ".join(map(str, row)), "|", flush=True)


def named(familiar: Familiar, part: Part) -> list[str]:
    """The sensors that find a part stranger than is allowed."""
    strange = familiar.of(part.scene, part.cells)
    return [name for name, value in strange.items() if value > familiar.limit]


def tell_refused(familiar: Familiar, category: str, tested: list[Part]) -> None:
    print(f"\n| category | kind | not inspectable (limit {familiar.limit:.2f}) | named |")
    print("|---|---|---|---|")
    parts = Counter(part.kind for part in tested)
    found: dict[str, Counter[str]] = {kind: Counter() for kind in parts}
    for part in tested:
        if familiar.why_not(part.scene, part.cells):
            found[part.kind][" and ".join(named(familiar, part)) or "too little measured"] += 1
    found["all"] = sum(found.values(), Counter())
    parts["all"] = len(tested)
    for kind, whom in found.items():
        told = ", ".join(f"{name} {count}" for name, count in whom.most_common())
        print(f"| {category} | {kind} | {whom.total()} of {parts[kind]} | {told} |", flush=True)


def tell_named(familiar: Familiar, category: str, tested: list[Part], lit: list[str]) -> None:
    print("\n| category | sensor | test parts | | light | named, were all light forgiven |")
    print("|---|---|---|---|---|---|")
    forgiven, light.FORGIVEN = light.FORGIVEN, float("inf")
    then = [named(familiar, part) for part in tested]
    light.FORGIVEN = forgiven
    now = [named(familiar, part) for part in tested]
    for sensor in lit:
        share = 100 * light_in(familiar, sensor, tested)
        is_named, stays = (np.array([sensor in whom for whom in told]) for told in (now, then))
        for what, group in (("named", is_named), ("not named", ~is_named)):
            if group.any():
                told = f"{share[group].min():+.1f} to {share[group].max():+.1f} %"
                row = [category, sensor, group.sum(), what, told, stays[group].sum()]
                print("|", " | ".join(map(str, row)), "|", flush=True)
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("card", help="Name or file of the data set's card.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--forgiven", type=float, default=light.FORGIVEN, help="Share of light.")
    given = parser.parse_args()
    light.FORGIVEN = given.forgiven
    dataset = Dataset(given.card, given.folder)
    for category in dataset.categories:
        familiar, groups = learnt(dataset, category)
        tested = groups["test, good"] + groups["test, defect"]
        lit = [n for n in familiar.mean if np.isfinite(light_in(familiar, n, tested)).any()]
        tell_light(familiar, category, groups, lit)
        tell_refused(familiar, category, tested)
        tell_named(familiar, category, tested, lit)


if __name__ == "__main__":
    main()
