"""Time and memory as pictures and banks grow.

The growth of a case is the exponent of its time: 1 is linear, from the smallest to the case's size,
timed in turns. Pictures: ``builtin`` features of colour, ``fpfh`` of points. Banks: 784 patches of
1,536 made-up numbers ask; making the bank ready to be asked is timed apart.
"""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import numpy as np
import torch
import xarray as xr
from case import Case, Check
from rows import _patches
from rows._clouds import bent

from mmdefect.detectors._search import Rows
from mmdefect.features import extractor

TITLE = "Scaling with the size of pictures and banks"
SIDES = (224, 448, 896)
BANKS = (5_000, 20_000, 80_000)


def cases(quick: bool) -> dict[str, Callable[[], Case]]:
    sides, banks = (SIDES[:2], BANKS[:1]) if quick else (SIDES, BANKS)
    made = {f"{kind}, {side} x {side}": partial(pictures, kind, side)
            for kind in ("builtin", "fpfh") for side in sides}  # fmt: skip
    made |= {f"search, {held} rows": partial(search, held) for held in banks}
    return made | {f"made ready, {held} rows": partial(ready, held) for held in banks}


def frame_of(kind: str, side: int) -> xr.DataArray:
    if kind == "fpfh":
        return xr.DataArray(bent(side, "60 %"), dims=("axis", "y", "x"),
                            coords={"axis": list("xyz")},
                            attrs={"modality": "points", "units": "mm"})  # fmt: skip
    values = np.random.default_rng(0).random((3, side, side), dtype=np.float32)
    return xr.DataArray(values, dims=("color", "y", "x"), attrs={"modality": "rgb", "units": "1"})


def pictures(kind: str, side: int) -> Case:
    frames = {size: frame_of(kind, size) for size in {SIDES[0], side}}
    described = extractor(kind)
    works = {size**2: partial(described.features, frame) for size, frame in frames.items()}
    return growing(works)


def search(held: int) -> Case:
    rows, asked = _patches.made_up(held, 3), _patches.made_up(784, 4)
    works = {len(rows): partial(Rows(rows).nearest, asked)}
    if held > BANKS[0]:
        works[BANKS[0]] = partial(Rows(rows[: BANKS[0]].clone()).nearest, asked)
    return growing(works)


def ready(held: int) -> Case:
    rows = _patches.made_up(held, 3)
    return growing({size: partial(Rows, rows[:size]) for size in {BANKS[0], held}})


def growing(works: dict[int, Callable[[], object]]) -> Case:
    """Time the largest, and hold its growth against the smallest."""
    small, large = min(works), max(works)

    def checks() -> Sequence[Check]:
        if small == large:
            return ()
        ratios = [seconds(works[large]) / seconds(works[small]) for _ in range(3)]
        growth = math.log(median(ratios)) / math.log(large / small)
        return (Check("growth", growth, most=1.1),)

    return Case(ours=works[large], checks=checks, rounds=3, threads=(1,))


def seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


torch.manual_seed(0)
