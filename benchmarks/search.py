"""The nearest stored patch: time and agreement against other exact searches.

    python benchmarks/search.py [--rows FILE.npy] [--rounds 5]

FILE.npy holds patch features (row, feature) of real captures, float32, capture after capture: its
last 3,136 rows ask, and the others are the large bank; a tenth of them, chosen as every bank is,
the small one. Without a file the rows are made up, around 40 centres and with a spectrum that
falls as real ones do. Evenly spread rows, which no bound can help with, are searched beside them.
Rivals: the distances of torch and their smallest; one float32 product and its smallest; and the
product alone. All take turns, A B C A B C; printed are medians of processor time, and the largest
relative error of a distance against double precision.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from mmdefect.detectors._coreset import k_center
from mmdefect.detectors._search import Rows

WIDTH, PATCHES, BANK = 1536, 784, 78_400


def made_up(count: int, seed: int) -> torch.Tensor:
    """Rows that crowd as patches do."""
    shape = torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(1))
    shape *= torch.arange(1, WIDTH + 1)[:, None] ** -0.7
    generator = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(40, WIDTH, generator=torch.Generator().manual_seed(2))
    chosen = torch.randint(40, (count,), generator=generator)
    return (torch.randn(count, WIDTH, generator=generator) + centres[chosen]) @ shape


def rivals(asked: torch.Tensor, rows: torch.Tensor) -> dict[str, Callable[[], object]]:
    """Name what is compared."""
    ready, squares = Rows(rows), rows.square().sum(1)

    def product(smallest: bool) -> None:
        for start in range(0, len(rows), 8192):
            block = rows[start : start + 8192]
            if smallest:
                torch.addmm(squares[start : start + 8192], asked, block.T, alpha=-2).min(1)
            else:
                asked @ block.T

    return {
        "ours": lambda: ready.nearest(asked),
        "torch.cdist": lambda: torch.cdist(asked, rows).min(1),
        "product and smallest": lambda: product(True),
        "product alone": lambda: product(False),
    }


def compare(name: str, asked: torch.Tensor, rows: torch.Tensor, rounds: int) -> None:
    """Time all in turns, and check the distances."""
    begun = time.process_time()
    ready = Rows(rows)
    built = time.process_time() - begun
    ways = rivals(asked, rows)
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds + 1):
        for way, work in ways.items():
            begun = time.process_time()
            work()
            if turn:
                taken[way].append(time.process_time() - begun)
    distances, _ = ready.nearest(asked)
    exact = torch.cat(
        [torch.cdist(part.double(), rows.double()).min(1).values for part in asked.split(64)]
    )
    error = float(((distances - exact) / exact).abs().max())
    directions = "all" if ready.basis is None else ready.basis.shape[1]
    ours = np.array(taken.pop("ours"))
    print(
        f"{name}, {len(asked)} x {len(rows)} x {rows.shape[1]}: ours {np.median(ours):.3f} s "
        f"({directions} directions, made ready in {built:.2f} s), largest error {error:.0e}"
    )
    for way, seconds in taken.items():
        ratio = np.array(seconds) / ours
        print(
            f"  {way:<21}{np.median(seconds):7.3f} s, ratio {np.median(ratio):.2f} "
            f"({ratio.min():.2f} to {ratio.max():.2f})",
            flush=True,
        )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--rows")
    asked.add_argument("--rounds", type=int, default=5)
    told = asked.parse_args()
    torch.manual_seed(0)
    if told.rows:
        held = torch.from_numpy(np.load(told.rows))
        held = (held - held.mean(0)) / held.std(0).clamp_min(1e-6)
        bank, queries = held[: -4 * PATCHES], held[-4 * PATCHES :]
    else:
        bank, queries = made_up(BANK, 3), made_up(4 * PATCHES, 4)
    small = bank[k_center(bank, len(bank) // 10)]
    compare("patches", queries[:PATCHES], small, told.rounds)
    compare("patches", queries, small, told.rounds)
    compare("patches", queries[:PATCHES], bank, told.rounds)
    even = torch.randn(BANK // 10, WIDTH)
    compare("evenly spread rows", torch.randn(PATCHES, WIDTH), even, told.rounds)


if __name__ == "__main__":
    main()
