"""A coreset of a million patches of 1,536 numbers that are seen once, under a byte budget.

The patches arrive picture by picture (784 each) and would take 6.1 GB. They crowd around 40
centres, made up anew from their number when they are needed again. The offline coreset of as many,
which the covering radius is held against, sees all patches in the projection to 128 numbers that
both use; the radii are measured in it. Linear: twice the patches take twice the time.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from case import Case, Check
from rows import _patches

from mmdefect.detectors._coreset import Pool, _projected, k_center
from mmdefect.detectors._search import nearest

TITLE = "Streamed coreset"
BUDGET, MOST = 512 << 20, 5_000


def cases(quick: bool) -> dict[str, Callable[[], Case]]:
    counts = (40_000,) if quick else (250_000, 1_000_000)
    return {f"{count} patches": partial(made, count, count == counts[-1]) for count in counts}


SPREAD = torch.arange(1, _patches.WIDTH + 1) ** -0.7
CENTRES = 4 * torch.randn(40, _patches.WIDTH, generator=torch.Generator().manual_seed(2)) * SPREAD


def pictures(count: int) -> Iterator[torch.Tensor]:
    """Patches, picture by picture."""
    for start in range(0, count, _patches.A_PICTURE):
        generator = torch.Generator().manual_seed(start)
        size = min(_patches.A_PICTURE, count - start)
        rows = torch.randn(size, _patches.WIDTH, generator=generator) * SPREAD
        yield rows + CENTRES[torch.randint(40, (size,), generator=generator)]


def made(count: int, judged: bool) -> Case:
    kept: dict[str, torch.Tensor] = {}

    def ours() -> None:
        pool = Pool(BUDGET, share=0.1, seed=0, most=MOST)
        for rows in pictures(count):
            pool.add(rows)
        kept["ours"] = pool.coreset()

    def checks() -> Sequence[Check]:
        begun = time.process_time()
        for _ in pictures(count):
            pass
        making = Check("seconds of it spent on making the patches up", time.process_time() - begun)
        if not judged:
            return (making,)
        projected = torch.cat([_projected(rows, 0) for rows in pictures(count)])
        own = _projected(kept["ours"], 0)
        offline = projected[k_center(projected, len(own))]
        radius = [float(nearest(projected, picks)[0].max()) for picks in (own, offline)]
        told = "covering radius over that of the offline coreset"
        return making, Check(told, radius[0] / radius[1], most=1.1)

    return Case(
        ours=ours,
        checks=checks,
        rounds=1,
        warm=False,
        threads=(1,),
        bytes_most=2**30,
        memory=judged,
    )
