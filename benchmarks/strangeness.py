"""How strange wrong parts, wrong poses and sensors that are off look, beside good parts.

    mmdefect simulate PANELS --product panel --train 40 --test 40 --size 128 --seed 77
    mmdefect simulate BRACKETS --product bracket --train 40 --test 40 --size 128 --seed 77
    python benchmarks/strangeness.py PANELS panel BRACKETS bracket

The looks are learnt from two thirds of the good captures and calibrated with the others. Told is
the strangeness of the strangest sensor: of the test captures, of the same capture turned by 180°,
shifted by 16 and by 4 px, with a dark colour camera and with a thermal camera that shows one
temperature, and of captures of another product. What is above the limit is not inspectable.
"""

import argparse
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import xarray as xr

from mmdefect import Dataset
from mmdefect.familiar import Familiar

Change = Callable[[np.ndarray], np.ndarray]


def changed(scene: xr.Dataset, change: Change, *sensors: str) -> xr.Dataset:
    """The scene with some sensors' frames changed; all, where none is named."""
    made = scene.copy()
    for name in sensors or [str(name) for name in scene["sensor"].values]:
        if name in scene:
            made[name] = scene[name].copy(data=change(scene[name].values).astype(np.float32))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("category")
    parser.add_argument("other", type=Path)
    parser.add_argument("other_category")
    parser.add_argument("--most", type=int, default=10, help="Captures of the other product.")
    given = parser.parse_args()
    dataset = Dataset(str(given.folder / "card.toml"), given.folder)
    other = Dataset(str(given.other / "card.toml"), given.other)
    good = [dataset.scene(c) for c in dataset.captures(given.category, "train")]
    count = 2 * len(good) // 3
    familiar = Familiar.learn(good[:count])
    familiar = familiar.joined([max(familiar.of(scene).values()) for scene in good[count:]])
    print(f"{count} learnt, {len(good) - count} for the limit, which is {familiar.limit:.2f}")

    def tell(what: str, scenes) -> None:
        found = [(max(familiar.of(s).values()), bool(familiar.why_not(s))) for s in scenes]
        high = [value for value, _ in found]
        print(f"| {what} | {len(found)} | {min(high):.1f} to {max(high):.1f} | "
              f"{sum(refused for _, refused in found)} |")  # fmt: skip

    print("| | captures | strangeness | refused |\n|---|---|---|---|")
    test = dataset.captures(given.category, "test")
    for label in ("good", "defect"):
        tell(
            f"{given.category}, {label}", map(dataset.scene, [c for c in test if c.label == label])
        )
    ways: dict[str, tuple[Change, tuple[str, ...]]] = {
        "turned by 180°": (lambda frame: frame[..., ::-1, ::-1], ()),
        "shifted by 16 px": (lambda frame: np.roll(frame, 16, -1), ()),
        "shifted by 4 px": (lambda frame: np.roll(frame, 4, -1), ()),
        "a dark colour camera": (lambda frame: 0 * frame + 0.02, ("rgb",)),
        "one temperature": (lambda frame: 0 * frame + 300, ("infrared",)),
    }
    for what, (change, sensors) in ways.items():
        tell(what, (changed(scene, change, *sensors) for scene in good[-5:]))
    wrong = islice(other.captures(given.other_category, "test"), given.most)
    tell(given.other_category, map(other.scene, wrong))


if __name__ == "__main__":
    main()
