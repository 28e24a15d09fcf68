"""Greedy k-centre coresets: processor time against the plain algorithm, and the picks.

    python benchmarks/coreset.py [--rows FILE.npy] [--picks 200]

FILE.npy holds patch features (row, feature), float32, 78,400 of them at least; without it they are
made up as `benchmarks/search.py` says. The plain algorithm, as anomalib's and the M3DM and BTF
recipes have it, measures all rows against every pick; each pick costs the same, so so many
picks are timed and the rest is reckoned. It gets the same projected rows, hence the same task. The
streaming pool is fed the same rows capture by capture under a tenth of their bytes, and judged by
its covering radius over that of the offline coreset of the same size.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

from mmdefect.detectors._coreset import Pool, _projected, k_center

sys.path.insert(0, str(Path(__file__).parent))
import search


def plain(points: torch.Tensor, first: int, count: int) -> list[int]:
    """Pick the farthest row again and again, measuring all rows against every pick."""
    picks = [first]
    gaps = (points - points[first]).norm(dim=1)
    while len(picks) < count:
        picks.append(int(gaps.argmax()))
        gaps = torch.minimum(gaps, (points - points[picks[-1]]).norm(dim=1))
    return picks


def radius(rows: torch.Tensor, picks: torch.Tensor) -> float:
    """Give the covering radius: the largest distance of a row to the nearest picked one."""
    nearest, _ = search.Rows(picks).nearest(rows)
    return float(nearest.max())


def compare(rows: torch.Tensor, share: float, timed: int) -> None:
    """Time both on the same rows."""
    count = round(share * len(rows))
    begun = time.process_time()
    picks = k_center(rows, count)
    ours = time.process_time() - begun
    points = _projected(rows, 0)
    begun = time.process_time()
    theirs = plain(points, int(picks[0]), timed)
    rest = (time.process_time() - begun) * count / timed
    same = next((n for n, pair in enumerate(zip(theirs, picks.tolist(), strict=False))
                 if pair[0] != pair[1]), timed)  # fmt: skip
    print(
        f"{len(rows)} x {rows.shape[1]} to {count}: ours {ours:.2f} s, plain {rest:.0f} s, "
        f"ratio {rest / ours:.0f}; the first {same} of {timed} picks are the same",
        flush=True,
    )


def stream(rows: torch.Tensor, most: int) -> None:
    """Feed a pool capture by capture."""
    pool = Pool(rows.nbytes // 10, share=1.0, seed=0, most=most)
    begun = time.process_time()
    for part in rows.split(search.PATCHES):
        pool.add(part)
    kept = pool.coreset()
    seconds = time.process_time() - begun
    ratio = radius(rows, kept) / radius(rows, rows[k_center(rows, len(kept))])
    print(f"streamed under {rows.nbytes // 10 >> 20} MiB to {len(kept)}: {seconds:.1f} s, "
          f"covering radius {ratio:.3f} of the offline one")  # fmt: skip


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--rows")
    asked.add_argument("--picks", type=int, default=200)
    told = asked.parse_args()
    torch.set_num_threads(1)
    if told.rows:
        rows = torch.from_numpy(np.load(told.rows))[: search.BANK]
        rows = (rows - rows.mean(0)) / rows.std(0).clamp_min(1e-6)
    else:
        rows = search.made_up(search.BANK, 3)
    k_center(rows[:2000], 50)
    for count in (15_680, search.BANK):
        compare(rows[:count], 0.1, told.picks)
    stream(rows, 2000)


if __name__ == "__main__":
    main()
