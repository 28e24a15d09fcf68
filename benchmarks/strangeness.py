"""Which share of wrong parts, wrong poses and sensors that are off is caught, and of good parts.

    mmdefect simulate FOLDER --seed 41 --size 128 --train 80 --test 120
    python benchmarks/strangeness.py FOLDER panel board bracket

For every product the looks are learnt from half of the good captures to learn from, and the limit
is set by the other half. Held against it are the product's test captures, good and defective; its
good test captures turned by 180°, shifted by 16, 8 and 4 px, with a dark and with an overexposed
colour camera, with a thermal camera that shows one temperature, with an X-ray source that is off,
with a scanner whose cloud lies 40 mm nearer at one side, with a lamp and an X-ray tube that are 2
and 5 % weaker, 10 and 20 % stronger, with a lamp alone that is 10 % stronger; and the good test
captures of the other products. Told are the number that is `not_inspectable`, its share with a 95 %
interval (Wilson), and how strange the strangest sensor finds them.
"""

import argparse
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import xarray as xr

from mmdefect import Dataset
from mmdefect.familiar import Familiar
from mmdefect.metrics import wilson

Change = Callable[[np.ndarray], np.ndarray]


def tilted(frame: np.ndarray) -> np.ndarray:
    """A cloud (axis, y, x) whose left side is 40 mm nearer."""
    nearer = frame.copy()
    nearer[2] -= np.linspace(40, 0, frame.shape[-1])
    return nearer


CHANGES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "turned by 180°": (lambda frame: frame[..., ::-1, ::-1], ()),
    "shifted by 16 px": (lambda frame: np.roll(frame, 16, -1), ()),
    "shifted by 8 px": (lambda frame: np.roll(frame, 8, -1), ()),
    "shifted by 4 px": (lambda frame: np.roll(frame, 4, -1), ()),
    "a dark colour camera": (lambda frame: 0 * frame + 0.02, ("rgb",)),
    "an overexposed colour camera": (lambda frame: np.clip(4 * frame, 0, 1), ("rgb",)),
    "one temperature": (lambda frame: 0 * frame + 300, ("infrared",)),
    "X-rays off": (lambda frame: 0 * frame + 0.001, ("xray",)),
    "a tilted cloud": (tilted, ("points",)),
    "2 % less light": (lambda frame: 0.98 * frame, ("rgb", "xray")),
    "5 % less light": (lambda frame: 0.95 * frame, ("rgb", "xray")),
    "10 % more light": (lambda frame: 1.1 * frame, ("rgb", "xray")),
    "10 % more light, colour alone": (lambda frame: 1.1 * frame, ("rgb",)),
    "20 % more light": (lambda frame: 1.2 * frame, ("rgb", "xray")),
}


def changed(scene: xr.Dataset, change: Change, *sensors: str) -> xr.Dataset:
    """The scene with some sensors' frames changed; all, where none is named."""
    made = scene.copy()
    for name in sensors or [str(name) for name in scene["sensor"].values]:
        made[name] = scene[name].copy(data=change(scene[name].values).astype(np.float32))
    return made


def learnt(scenes: Iterable[xr.Dataset], count: int) -> Familiar:
    """What half of the good parts look like, with the limit that the others set."""
    good = list(scenes)
    familiar = Familiar.learn(good[:count])
    return familiar.joined([max(familiar.of(scene).values()) for scene in good[count:]])


def tell(familiar: Familiar, product: str, what: str, scenes: Iterable[xr.Dataset]) -> None:
    found = [(max(familiar.of(s).values()), bool(familiar.why_not(s))) for s in scenes]
    if not found:
        return
    refused, parts = sum(told for _, told in found), len(found)
    share = wilson(refused, parts)
    values = np.array([value for value, _ in found])
    caught = f"{share.value:.2f} ({share.low:.2f} to {share.high:.2f})"
    spread = f"{values.min():.1f} to {values.max():.1f}"
    print(f"| {product} | {what} | {refused} of {parts} | {caught} | {spread} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("products", nargs="+")
    parser.add_argument("--most", type=int, default=48, help="Good captures that are changed.")
    given = parser.parse_args()
    dataset = Dataset(str(given.folder / "card.toml"), given.folder)
    print("| looks of | | not inspectable | share | strangeness |\n|---|---|---|---|---|")
    for product in given.products:
        train = dataset.captures(product, "train")
        familiar = learnt(map(dataset.scene, train), len(train) // 2)
        test = dataset.captures(product, "test")
        good = [dataset.scene(c) for c in test if c.label == "good"][: given.most]
        tell(familiar, product, f"good (limit {familiar.limit:.2f})", good)
        tell(familiar, product, "defective", (dataset.scene(c) for c in test if c.label != "good"))
        for what, (change, sensors) in CHANGES.items():
            tell(familiar, product, what, (changed(scene, change, *sensors) for scene in good))
        for other in (name for name in given.products if name != product):
            fair = (c for c in dataset.captures(other, "test") if c.label == "good")
            tell(familiar, product, f"a {other}", map(dataset.scene, islice(fair, given.most)))


if __name__ == "__main__":
    main()
