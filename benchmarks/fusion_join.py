"""How bank and network are joined: part AUROC and AUPRO of several ways, on development parts.

    mmdefect simulate dev --train 80 --test 120 --size 128 --seed 41
    python benchmarks/fusion_join.py dev/card.toml dev board bracket panel --work kept-dev

The way that `mmdefect.fusion.transformer` takes was chosen by these numbers, which have no part in
common with those that docs/fusion.md shows it on. The first 56 good parts fit, the others and the
test parts are ranked. Each way is brought to the scale by held-out good parts, sensor by sensor,
and sensors are joined by their norm. What the sources say is kept.
"""

import argparse
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from mmdefect import Dataset
from mmdefect.fusion._held_out import _PART_TAIL, _PIXEL_TAIL
from mmdefect.fusion._scales import Scale
from mmdefect.metrics import aupro
from mmdefect.progress import progress_shown, track
from mmdefect.registry import load

FIT = 56
PIXELS = 200_000
Join = Callable[[np.ndarray, np.ndarray], np.ndarray]


def less(nats: float) -> Join:
    """Take the larger evidence, after the network's lost some nats."""
    return lambda bank, network: np.fmax(bank, np.where(np.isnan(bank), network, network - nats))


def norm(bank: np.ndarray, network: np.ndarray) -> np.ndarray:
    """Take the Euclidean norm; where only one source speaks, what it says."""
    both = np.hypot(np.nan_to_num(bank), np.nan_to_num(network))
    return np.where(np.isnan(bank) & np.isnan(network), np.nan, both)


WAYS: dict[str, Join] = {
    "bank": lambda bank, network: bank,
    "network": lambda bank, network: network,
    "norm": norm,
    "larger": less(0.0),
    **{f"larger, less {nats:g}": less(nats) for nats in (0.5, 1.0, 1.5, 2.0)},
    "larger, less ln 10": less(float(np.log(10))),
    "larger, less 3": less(3.0),
}


def said_of(card: Path, root: Path, category: str, work: Path) -> dict[str, np.ndarray]:
    """Fit, and keep what both sources say: ``held`` of good parts as strangers, ``test``.

    Parts (part, source, sensor), maps (part, source, sensor, y, x), masks (part, y, x).
    """
    path = work / f"{category}.npz"
    if not path.exists():
        _keep(Dataset(card, root), category, path)
    with np.load(path) as held:
        return {name: held[name] for name in held.files}


def _keep(dataset: Dataset, category: str, path: Path) -> None:
    transformer: Any = load("fusion", "transformer")
    held: list[Any] = []

    class Heard(transformer):  # type: ignore[misc]
        def _strangers(self, *asked: Any) -> Any:
            for one in super()._strangers(*asked):
                held.append(one[1])
                yield one

    good = dataset.captures(category, "train")
    specs = dict.fromkeys(dataset.sensors(category), "builtin")
    fusion = Heard(features=specs, seed=0, checkpoint=path.with_suffix(""))
    fusion.fit(list(dataset.scenes(good[:FIT])))
    told, masks = [], []
    captures = dataset.captures(category, "test") + good[FIT:]
    for capture in track(captures, len(captures), "scoring"):
        scene = dataset.scene(capture)
        told.append(fusion._said(scene, None))
        bad = capture.label == "defect"
        masks.append(scene["defect"].values if bad else np.zeros(told[-1].maps.shape[2:], bool))
    every = {f"{of}_{what}": np.array([getattr(said, what) for said in own], dtype=kind)
             for of, own in (("held", held), ("test", told))
             for what, kind in (("parts", np.float64), ("maps", np.float16))}  # fmt: skip
    np.savez(path, masks=masks, bad=[c.label == "defect" for c in captures], **every)


def ranked(said: dict[str, np.ndarray], join: Join) -> tuple[float, float, float]:
    """Give part AUROC, AUPRO@30 % and @5 % of one way."""
    scores = _fused(said["held_parts"], said["test_parts"], join, _PART_TAIL)
    maps = _fused(said["held_maps"], said["test_maps"], join, _PIXEL_TAIL)
    found = aupro(list(zip(maps.astype(np.float32), said["masks"], strict=True)))
    return float(roc_auc_score(said["bad"], scores)), found["aupro_30"], found["aupro_05"]


def _fused(held: np.ndarray, test: np.ndarray, join: Join, tail: float) -> np.ndarray:
    """Join sources (part, source, sensor, …), scale them by held-out parts, join sensors."""
    squares, rng = np.zeros(0), np.random.default_rng(0)
    for sensor in range(test.shape[2]):
        good = join(*(held[:, source, sensor].astype(np.float32) for source in (0, 1))).ravel()
        good = good[np.isfinite(good)]
        scale = Scale(tail).fit(rng.choice(good, PIXELS) if good.size > PIXELS else good)
        own = join(*(test[:, source, sensor].astype(np.float32) for source in (0, 1)))
        evidence = np.nan_to_num(scale.evidence(own)) ** 2
        squares = evidence if sensor == 0 else squares + evidence
    return np.sqrt(squares)


def main() -> None:
    """Fit, rank, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("card", type=Path)
    parser.add_argument("root", type=Path)
    parser.add_argument("categories", nargs="+")
    parser.add_argument("--work", type=Path, required=True)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    read = functools.partial(said_of, asked.card, asked.root, work=asked.work)
    with progress_shown():
        found = {name: {way: ranked(read(category=name), join) for way, join in WAYS.items()}
                 for name in asked.categories}  # fmt: skip
    titles = [f"{name} {what}" for what in ("AUROC", "@30 %", "@5 %") for name in found]
    print("| " + " | ".join(["joined by", *titles]) + " |")
    for way in WAYS:
        cells = [f"{found[name][way][k]:.3f}" for k in range(3) for name in found]
        print("| " + " | ".join([way, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
