"""Scenes from files: read and registered, read from the cache, read ahead by a process.

The captures are simulated (four sensors, a rig), 160 pixels. ``raw`` reads and registers them; the
cache holds scenes as HDF5. Reading ahead is judged by what it hides: a consumer that works as
long on each scene as reading one takes is timed with a reader, without, and without reading at all.
The first scene of a run cannot be hidden; runs of 24 captures are timed.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import xarray as xr
from case import Case, Check

from mmdefect import Dataset
from mmdefect.cache import SceneCache

TITLE = "Reading captures"
COUNT, ROUNDS = 6, 4


def cases(quick: bool) -> dict[str, Callable[[], Case]]:
    side, large = (96, ()) if quick else (160, (400,))
    return {
        **{f"cached scenes, {size} x {size}": partial(cached, size) for size in (side, *large)},
        f"read ahead, {side} x {side}": partial(ahead, side),
    }


def folder(side: int) -> Path:
    """Simulate captures, once a machine."""
    from mmdefect.simulate import simulate

    kept = Path(tempfile.gettempdir()) / f"mmdefect-bench-captures-{side}"
    if not (kept / "card.toml").exists():
        simulate(kept, products=["panel"], train=COUNT, test=1, size=side, seed=77)
    return kept


def opened(side: int, **options: object) -> tuple[Dataset, list]:
    root = folder(side)
    dataset = Dataset(root / "card.toml", root, **options)
    return dataset, dataset.captures(dataset.categories[0], "train")[:COUNT]


def cached(side: int) -> Case:
    place = tempfile.mkdtemp()
    plain, captures = opened(side)
    kept, _ = opened(side, cache=SceneCache(place))
    for capture in captures:
        kept.scene(capture)

    def checks() -> Sequence[Check]:
        same = [plain.scene(capture).identical(kept.scene(capture)) for capture in captures]
        return (Check("share of scenes that are identical", sum(same) / len(same), least=1),)

    return Case(
        ours=lambda: [kept.scene(capture) for capture in captures],
        rivals={"raw": lambda: [plain.scene(capture) for capture in captures]},
        targets={"raw": 5.0},
        checks=checks,
        rounds=5,
        memory=False,
    )


def ahead(side: int) -> Case:
    plain, captures = opened(side)
    read, _ = opened(side, readers=1)
    captures = captures * ROUNDS
    list(read.scenes(captures[:2]))
    scenes = list(plain.scenes(captures))
    begun = time.perf_counter()
    for _ in plain.scenes(captures):
        pass
    each = (time.perf_counter() - begun) / len(captures)

    def consumed(given: object) -> float:
        begun = time.perf_counter()
        for scene in given:
            assert isinstance(scene, xr.Dataset)
            time.sleep(1.25 * each)
        return time.perf_counter() - begun

    def checks() -> Sequence[Check]:
        shares = []
        for _ in range(3):
            with_reader, without = consumed(read.scenes(captures)), consumed(plain.scenes(captures))
            bare = consumed(scenes)
            shares.append(1 - (with_reader - bare) / (without - bare))
        same = [a.identical(b) for a, b in zip(scenes, read.scenes(captures), strict=True)]
        return (
            Check("share of the reading that is hidden, median of 3", sorted(shares)[1], least=0.8),
            Check("share of scenes that are identical", sum(same) / len(same), least=1),
        )

    return Case(
        ours=lambda: consumed(read.scenes(captures)),
        rivals={"without a reader": lambda: consumed(plain.scenes(captures))},
        checks=checks,
        rounds=3,
        memory=False,
        threads=(1,),
    )
