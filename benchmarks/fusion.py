"""What fusion is worth on a simulated station: three disjoint training sets, one test set.

    mmdefect simulate FOLDER --train 288 --test 750 --size 192 --seed 6006
    python benchmarks/fusion.py FOLDER --work WORK --product panel

Every third good part is one seed's training set, divided into parts that fit and parts that
calibrate as everywhere. All numbers are means over the seeds; intervals (95 %) are of a bootstrap
over the test parts that redraws the same parts for every seed and both sides of a difference.
Definitions, the reference of each kind above all, stand in `fusion_tables.py` and in
docs/fusion.md. ``--only-fit`` stops before the test parts are looked at.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from fusion_parts import parts_of
from fusion_scores import Scored, Spill, kept_late
from fusion_tables import Product, Seed, tables

from mmdefect import Dataset, Inspection
from mmdefect.cache import SceneCache
from mmdefect.captures import Capture
from mmdefect.division import divide
from mmdefect.progress import progress_shown, track

FALSE_ALARM = 0.05
SEEDS = 3


def parser_of(described: str) -> argparse.ArgumentParser:
    """Make a parser of what both scripts are told."""
    parser = argparse.ArgumentParser(description=described.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--product", default="panel")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--weights", type=Path, help="mobilenetv2_100; without it builtin features")
    parser.add_argument("--card", type=Path, help="by default the folder's own")
    parser.add_argument("--good", type=int, default=300, help="good test parts at most")
    parser.add_argument("--defective", type=int, default=300, help="defective test parts at most")
    return parser


def features(dataset: Dataset, product: str, weights: Path | None) -> dict[str, str]:
    """Choose features: the network for pictures where its weights are given."""
    network = f"timm:mobilenetv2_100@{weights}?pad_type=same&mean=0.5&std=0.5"
    return {
        name: network if weights and name != "points" else "builtin"
        for name in dataset.sensors(product)
    }


def tested(dataset: Dataset, product: str, good: int, defective: int) -> list[Capture]:
    """Draw test parts of every kind in its share, good and defective ones in turn."""
    rng = np.random.default_rng(0)
    captures = [c for c in dataset.captures(product) if c.split == "test"]
    chosen: list[tuple[float, Capture]] = []
    for label, most in (("good", good), ("defect", defective)):
        own = [c for c in captures if c.label == label]
        drawn = [own[n] for n in rng.permutation(len(own))[:most]]
        chosen += [(n / len(drawn), capture) for n, capture in enumerate(drawn)]
    return [capture for _, capture in sorted(chosen, key=lambda one: one[0])]


def sides(dataset: Dataset, asked: argparse.Namespace, seed: int) -> Any:
    """Divide one third of the good parts into those that fit and those that calibrate."""
    train = [c for c in dataset.captures(asked.product) if c.split == "train"]
    return divide(train[seed :: asked.seeds], [], FALSE_ALARM, seed)


def fitted(
    dataset: Dataset, asked: argparse.Namespace, seed: int, specs: dict[str, str]
) -> Inspection:
    """Fit and calibrate on one third of the good parts."""
    options = {"places": asked.places, "heavy_tails": asked.heavy_tails}
    fusion = kept_late(asked.work / asked.product / f"seed{seed}", specs, seed, **options)
    scenes = [
        [dataset.scene(c) for c in track(side, len(side), "reading")]
        for side in sides(dataset, asked, seed)
    ]
    return Inspection(fusion, FALSE_ALARM).fit(*scenes)


def scored(
    dataset: Dataset, test: list[Capture], inspections: list[Inspection], work: Path
) -> tuple[list[Seed], np.ndarray]:
    """Score every test capture by every seed, and keep a seed's evidence as soon as it is there."""
    size = inspections[0].size_
    truth = np.zeros((len(test), *size), dtype=bool)
    seeds: list[Seed] = []
    for number, inspection in enumerate(inspections):
        sensors = inspection.calibration_.sensors
        kept = Scored(work, number, sensors, [c.id for c in test], inspection.fusion)
        if not kept.is_there:
            kept.path.unlink(missing_ok=True)  # its maps are about to change
            spill = Spill(kept.maps, len(test), sensors, size)
            evidence = np.full((len(test), len(sensors)), np.nan)
            for index, capture in enumerate(track(test, len(test), f"scoring, seed {number}")):
                said = inspection.fusion.predict(dataset.scene(capture))
                evidence[index] = said["evidence"].values
                spill.put(index, said["evidence_map"].values)
            kept.keep(evidence)
        seeds.append(Seed(kept.evidence, inspection.fusion, inspection.calibration_, kept.spill))
    for index, capture in enumerate(track(test, len(test), "reading masks")):
        if capture.label == "defect":
            truth[index] = dataset.scene(capture)["defect"].values
    return seeds, truth


def main() -> None:
    """Fit, score, print the tables; keep them as JSON."""
    parser = parser_of(__doc__ or "")
    parser.add_argument("--first", type=int, help="only so many of the seeds")
    parser.add_argument("--places", action="store_true", help="late fusion's places=True")
    parser.add_argument("--heavy-tails", action="store_true", help="and heavy_tails=True")
    parser.add_argument("--only-parts", action="store_true", help="leave the pixels out")
    parser.add_argument("--only-whole", action="store_true", help="take no sensor away")
    parser.add_argument("--only-fit", action="store_true")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    cache = SceneCache(asked.work / "scenes", 16 << 30)
    dataset = Dataset(asked.card or asked.folder / "card.toml", asked.folder, cache=cache)
    specs = features(dataset, asked.product, asked.weights)
    test = tested(dataset, asked.product, asked.good, asked.defective)
    folder, wanted = asked.work / asked.product, range(asked.first or asked.seeds)
    with progress_shown():
        if asked.only_parts and not asked.places and not asked.only_fit:
            seeds, truth = [], np.zeros((0, 0, 0), dtype=bool)
            for seed in wanted:
                late = kept_late(folder / f"seed{seed}", specs, seed, heavy_tails=asked.heavy_tails)
                fit, _ = sides(dataset, asked, seed)
                seeds.append(parts_of(dataset, fit, test, late, list(specs)))
        else:
            inspections = [fitted(dataset, asked, seed, specs) for seed in wanted]
            if asked.only_fit:
                return
            seeds, truth = scored(dataset, test, inspections, folder)
    _keep_evidence(asked.work / asked.product / "evidence.npz", seeds, test)
    told = json.loads((asked.folder / "truth.json").read_text())["captures"]
    groups: dict[str, Any] = {c.kind: told[c.id]["group"] for c in test}
    product = Product(
        asked.product, seeds, truth, [c.kind for c in test], [c.label for c in test], groups
    )
    named = "places" * asked.places + "heavy" * asked.heavy_tails
    path = asked.work / asked.product / f"tables{named}.json"
    fewest = len(product.sensors) if asked.only_whole else 2
    tables(product, lambda rows: _write(path, rows), asked.only_parts, fewest)


def _keep_evidence(path: Path, seeds: list[Seed], test: list[Capture]) -> None:
    """Keep all evidence of parts, for `fusion_voices.py`."""
    good = {f"good{n}": own.fusion.good_evidence_ for n, own in enumerate(seeds)}
    said = np.array([own.evidence for own in seeds])
    labels, kinds = [c.label for c in test], [c.kind for c in test]
    sensors = list(seeds[0].calibration.sensors)
    np.savez(path, sensors=sensors, test=said, labels=labels, kinds=kinds, **good)


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
