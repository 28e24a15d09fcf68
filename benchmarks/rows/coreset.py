"""Greedy k-centre coresets of patch features, 1,536 numbers a patch, to a tenth of them.

The rival is anomalib's ``KCenterGreedy`` itself, projection included. Its picks cost the same each,
so the large case times its first 400 of 7,840, without the projection before them, and reckons the
rest, unless ``MMDEFECT_BENCH_WHOLE=1``; then all of it runs, once. Each side is judged by its
covering radius in all 1,536 numbers: the largest distance of a patch to the nearest picked one.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial

import torch
from case import Case, Check
from rows import _patches

from mmdefect.detectors._coreset import k_center
from mmdefect.detectors._search import nearest

TITLE = "Coreset"
WHOLE = bool(os.environ.get("MMDEFECT_BENCH_WHOLE"))


def cases(quick: bool) -> dict[str, Callable[[], Case]]:
    sizes = (3136,) if quick else (15_680, 78_400)
    return {f"real, {count} to {count // 10}": partial(made, count) for count in sizes}


def made(count: int) -> Case:
    from anomalib.models.components.sampling import KCenterGreedy

    rows = _patches.real()[:count].clone()
    wanted = len(rows) // 10
    large = len(rows) > 50_000
    kept: dict[str, torch.Tensor] = {}
    part = large and not WHOLE
    share = 400 / len(rows) if part else 0.1
    ready = projected(rows) if part else None

    def rival() -> None:
        torch.manual_seed(0)
        # of three axes, it takes for projected already
        given = rows if ready is None else ready[:, :, None]
        sampler = KCenterGreedy(given, sampling_ratio=share)
        kept["anomalib"] = rows[torch.as_tensor(sampler.select_coreset_idxs())]

    def ours() -> None:
        kept["ours"] = rows[k_center(rows, wanted)]

    def checks() -> Sequence[Check]:
        own = radius(rows, kept["ours"])
        if len(kept["anomalib"]) < wanted:
            return (Check("covering radius of ours", own),)
        told = "covering radius of ours over anomalib's"
        return (Check(told, own / radius(rows, kept["anomalib"]), most=1.02),)

    return Case(
        ours=ours,
        rivals={"anomalib": rival},
        targets={"anomalib": 100 if large else 25},
        checks=checks,
        rounds=1 if large else 3,
        memory=not large,
        once=("anomalib",),
        scale={"anomalib": wanted / (share * len(rows))},
        threads=(1,),
    )


def projected(rows: torch.Tensor) -> torch.Tensor:
    """Project as anomalib does."""
    from anomalib.models.components.dimensionality_reduction import SparseRandomProjection

    return SparseRandomProjection(eps=0.9).fit(rows).transform(rows)


def radius(rows: torch.Tensor, picks: torch.Tensor) -> float:
    """Give the covering radius."""
    return float(nearest(rows, picks)[0].max())
