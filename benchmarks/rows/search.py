"""The nearest stored patch of every patch asked, exactly.

The bank holds 75,264 patches of 1,536 numbers (96 pictures), or 7,840 of them, chosen as every
bank is; 784 (one picture) or 3,136 ask. Real patches ask a bank of other pictures' patches; evenly
spread ones are the worst that can be asked. Rivals: the distances of torch and their smallest; one
product in float32 and nothing else, which is less than any search that looks at all; faiss' flat
index.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from case import Case, Check
from rows import _patches

from mmdefect.detectors._coreset import k_center
from mmdefect.detectors._search import Rows

TITLE = "Bank search"
BANK = 78_400 - 4 * _patches.A_PICTURE


def cases(quick: bool) -> dict[str, Callable[[], Case]]:
    sizes = [(784, 7840)] if quick else [(784, 7840), (3136, 7840), (784, BANK), (3136, BANK)]
    made = {
        f"{kind}, {asked} x {held}": partial(case, kind, asked, held)
        for kind in ("real", "even")
        for asked, held in sizes
    }
    if not quick:
        del made[f"even, 3136 x {BANK}"]
    return made


def patches(kind: str, asked: int, held: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Make what asks and what is asked."""
    if kind == "even":
        return _patches.even(asked, 1), _patches.even(held, 2)
    rows = _patches.real()
    every = torch.Generator().manual_seed(0)
    pictures = torch.randperm(len(rows) // _patches.A_PICTURE, generator=every)
    rows = rows.reshape(len(pictures), _patches.A_PICTURE, -1)[pictures].flatten(0, 1)
    bank = rows[: len(rows) - 3136]
    if held < BANK:
        return rows[-asked:], bank[k_center(bank, held)]
    return rows[-asked:], bank


def case(kind: str, asked: int, held: int) -> Case:
    queries, bank = patches(kind, asked, held)
    ready = Rows(bank)

    def product() -> None:
        for start in range(0, len(bank), 8192):
            queries @ bank[start : start + 8192].T

    def checks() -> Sequence[Check]:
        distances, found = ready.nearest(queries)
        some = queries[::4]
        exact = [torch.cdist(part.double(), bank.double()).min(1) for part in some.split(64)]
        truth = torch.cat([part.values for part in exact])
        same = (torch.cat([part.indices for part in exact]) == found[::4]).double().mean()
        apart = ((distances[::4] - truth).abs() / truth.clamp_min(1e-9)).max()
        return (
            Check("largest relative error of a distance", float(apart), most=1e-5),
            Check(
                "share of neighbours that are those of double precision",
                float(same.double().mean()),
            ),
            Check("directions looked at (0: bytes, -1: all)", directions(ready)),
        )

    rivals = {
        "torch.cdist": lambda: torch.cdist(queries, bank).min(1),
        "product alone": product,
        **flat(queries, bank),
    }
    goals = (2.0, 1.5) if kind == "real" else (1.0, 1.0)
    return Case(
        ours=lambda: ready.nearest(queries),
        rivals=rivals,
        targets={"torch.cdist": goals[0], "product alone": goals[1]},
        checks=checks,
        rounds=3 if held < BANK else 1,
        threads=(1,),
        once=("faiss flat",),
        memory=False,
    )


def directions(ready: Rows) -> float:
    if ready.bytes is not None:
        return 0.0
    return -1.0 if ready.basis is None else float(ready.basis.shape[1])


def flat(queries: torch.Tensor, bank: torch.Tensor) -> dict[str, Callable[[], object]]:
    """Name faiss' flat index, where it is installed."""
    try:
        import faiss
    except ImportError:
        return {}
    import os

    faiss.omp_set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    index = faiss.IndexFlatL2(bank.shape[1])
    index.add(bank.numpy())
    return {"faiss flat": lambda: index.search(queries.numpy(), 1)}
