"""Rows in bytes, whose distances are cheap and wrong by no more than is known.

A row b is rounded to b̂ = s · B with whole numbers B from −127 to 127 and s = max |b| / 127; what is
lost has the length e_b = |b − b̂|. By the triangle inequality, for a query q rounded likewise,

    |q − b| ≥ |q̂ − b̂| − e_q − e_b,        |q̂ − b̂|² = |q̂|² + |b̂|² − 2 s_q s_b (Q · B).

So a row can only be as near as the best one so far, at distance d, when

    |b̂|² − 2 s_q s_b (Q · B) ≤ (d + e_q + e_b)² − |q̂|²,

and only such rows are measured by their difference to the query: no neighbour is ever lost. Q · B
is a product of bytes summed in 32 bits, which is exact for up to 130,000 features and which
processors with instructions for it (VNNI, AMX) do several times as fast as one of floats; whether
this one does is measured once a process. The left side is reckoned in single precision: it errs
and the right one err by at most sixteen roundings u = 2⁻²⁴ of (|q̂| + |b̂| + e_q + e_b)² together,
which are added to the right side.
"""

import time
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmdefect.detectors._measuring import measure
from mmdefect.jit import reordered

MOST_FEATURES = 130_000
_LEVELS = 127.0
_AT_ONCE = 4096
_TINY = 1e-37
_ROUNDING = 16 * 2.0**-24
_FAR = np.float32(np.inf)


class Bytes(NamedTuple):
    """Rows rounded to bytes.

    Attributes
    ----------
    values : Tensor (row, feature), int8
    scale : Tensor (row,), float32
        What one level is worth.
    square : Tensor (row,), float32
        Squared length of the rounded row.
    lost : Tensor (row,), float32
        Length of what rounding took away, rounded up.
    """

    values: Tensor
    scale: Tensor
    square: Tensor
    lost: Tensor


def rounded(rows: Tensor) -> Bytes:
    """Round rows to bytes.

    Parameters
    ----------
    rows : Tensor (row, feature), float32

    Returns
    -------
    Bytes
    """
    parts = [_rounded(part) for part in torch.split(rows, _AT_ONCE)]
    return Bytes(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _rounded(rows: Tensor) -> Bytes:
    scale = (rows.abs().amax(1) / _LEVELS).clamp_min(_TINY)
    levels = (rows / scale[:, None]).round_().clamp_(-_LEVELS, _LEVELS)
    values = levels.to(torch.int8)
    square = levels.square_().sum(1, dtype=torch.float64) * scale.double() ** 2
    lost = torch.addcmul(rows, values.float(), scale[:, None], value=-1.0)
    length = lost.double().square_().sum(1).sqrt()
    length += rows.shape[1] ** 0.5 * _LEVELS * scale.double() * 2.0**-23  # rounding of `lost`
    return Bytes(values, scale, square.float(), (length * (1 + 2.0**-20)).float())


def settled_by(queries: Bytes, rows: Bytes) -> tuple[Tensor, Tensor]:
    """Give what a query's best distance lets rows be that may be nearer.

    Parameters
    ----------
    queries, rows : Bytes

    Returns
    -------
    Tensor (query,), float32
        The bound on all roundings, less the query's own rounded square.
    Tensor (query,), float32
        What rounding may have taken from the query and any of the rows together.
    """
    lost = queries.lost + rows.lost.max()
    longest = queries.square.sqrt() + rows.square.max().sqrt() + lost
    return _ROUNDING * longest.square() - queries.square, lost


@cache
def byte_cost() -> float:
    """Measure what a product of bytes costs, in products of floats of the same size.

    Returns
    -------
    float
        Infinite where this build of torch has none.
    """
    floats = torch.ones(128, 1024), torch.ones(1024, 1024)
    levels = [side.to(torch.int8) for side in floats]
    try:
        return _fastest(lambda: torch._int_mm(levels[0], levels[1].T)) / _fastest(
            lambda: floats[0] @ floats[1].T
        )
    except (AttributeError, RuntimeError):
        return float("inf")


def _fastest(work: Callable[[], object]) -> float:
    """Time the quickest of a few runs after a first one."""
    work()
    taken = []
    for _ in range(5):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken)


@reordered
def settle_bytes(
    band: int,
    start: int,
    stop: int,
    products: NDArray[np.int32],
    query_scale: NDArray[np.float32],
    spare: NDArray[np.float32],
    lost: NDArray[np.float32],
    scale: NDArray[np.float32],
    square: NDArray[np.float32],
    queries: NDArray[np.float32],
    rows: NDArray[np.float32],
    best: NDArray[np.float32],
    found: NDArray[np.int64],
    first: int,
) -> None:
    """Measure the rows of a block that may be as near as the best so far.

    `spare` is the slack less the query's own rounded square, `lost` what rounding may have taken
    from a query and any row of the block together; `best` holds squared distances.
    """
    columns = products.shape[1]
    bounds = np.empty(columns, np.float32)
    for q in range(start, stop):
        twice = np.float32(2) * query_scale[q]
        lowest = _FAR
        for row in range(np.uint64(columns)):
            bound = square[row] - twice * scale[row] * np.float32(products[q, row])
            bounds[row] = bound
            lowest = min(lowest, bound)
        measure(bounds, lowest, lost[q], spare[q], queries[q], rows, best, found, q, first)
