"""A coreset of a million patches of 1,536 numbers that are seen once, under a byte budget.

The patches arrive picture by picture (784 each) and would take 6.1 GB. They crowd around 40
centres, made up anew from their number when they are needed again. The offline coreset of as many,
which the covering radius is held against, sees all patches in the projection to 128 numbers that
both use; the radii are measured in it. Linear: twice the patches take twice the time.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from case import Case, Check
from rows import _patches

from mmdefect.detectors._coreset import k_center, projected
from mmdefect.detectors._pool import Pool
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
    taken = {"making": 0.0, "pool": 0.0, "bytes": 0.0}

    def ours() -> None:
        peak_anew()
        before = resident("VmRSS")
        pool = Pool(BUDGET, share=0.1, seed=0, most=MOST)
        begun = time.process_time()
        for rows in pictures(count):
            taken["making"] += time.process_time() - begun
            begun = time.process_time()
            pool.add(rows)
            taken["pool"] += time.process_time() - begun
            begun = time.process_time()
        kept["ours"] = pool.coreset()
        taken["pool"] += time.process_time() - begun
        taken["bytes"] = resident("VmHWM") - before

    def checks() -> Sequence[Check]:
        told = (
            Check("microseconds a patch, without making it up", 1e6 * taken["pool"] / count),
            Check(
                "memory in GiB, the patches of one picture included", taken["bytes"] / 2**30, most=1
            ),
        )
        if not judged:
            return told
        seen = torch.cat([projected(rows, 0) for rows in pictures(count)])
        own = projected(kept["ours"], 0)
        offline = seen[k_center(seen, len(own))]
        radius = [float(nearest(seen, picks)[0].max()) for picks in (own, offline)]
        ratio = radius[0] / radius[1]
        return (*told, Check("covering radius over the offline coreset's", ratio, most=1.1))

    return Case(ours=ours, checks=checks, rounds=1, warm=False, threads=(1,), memory=False)


def peak_anew() -> None:
    """Let the largest resident size start anew."""
    Path("/proc/self/clear_refs").write_text("5")


def resident(entry: str) -> int:
    """Read a number of bytes from what the kernel tells of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(entry + ":"))
