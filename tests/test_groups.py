"""Groups of rows lose no neighbour: held against distances in double precision."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdefect.detectors._groups import Groups
from mmdefect.detectors._search import Rows

pytestmark = pytest.mark.usefixtures("three_threads")


def crowds(rows: int, width: int, seed: int, spread: float = 0.2) -> torch.Tensor:
    """Rows about a few places, as patches lie; some of them twice."""
    random = np.random.default_rng(seed)
    places = random.standard_normal((12, width)) * 3
    made = places[random.integers(0, 12, rows)] + spread * random.standard_normal((rows, width))
    made[rows // 2 :: 7] = made[0]
    return torch.from_numpy(made.astype(np.float32))


def held(rows: torch.Tensor, queries: torch.Tensor, skip: tuple[int, int]) -> None:
    """Hold the answers against all distances in double precision."""
    apart = torch.cdist(
        queries.double(), rows.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )
    apart[:, skip[0] : skip[1]] = torch.inf
    distances, found = Groups(rows).nearest(queries, skip)
    nearest = apart.min(1).values
    np.testing.assert_allclose(distances.double(), nearest, rtol=1e-5, atol=1e-12)
    if len(rows) > skip[1] - skip[0]:
        there = apart[torch.arange(len(queries)), found]
        np.testing.assert_allclose(there, nearest, rtol=1e-5, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(
    rows=st.integers(1, 700),
    width=st.integers(1, 40),
    queries=st.integers(0, 20),
    seed=st.integers(0, 999),
    share=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_no_neighbour_is_lost(rows, width, queries, seed, share):
    made = crowds(rows, width, seed)
    skip = sorted(int(part * rows) for part in share)
    asked = crowds(20, width, seed + 1, 0.5)[:queries]
    held(made, asked, (skip[0], skip[1]))


def test_of_equal_rows_the_first_is_found():
    rows = crowds(900, 8, 3)
    rows[450:] = rows[:450]
    distances, found = Groups(rows).nearest(rows[450:], (0, 0))
    assert not distances.any()
    assert (found < 450).all()
    _, later = Groups(rows).nearest(rows[:450], (0, 450))
    assert (later >= 450).all()


def test_they_are_used_where_they_pay_and_only_there():
    assert Rows(crowds(3000, 20, 0)).groups is not None
    even = torch.randn(3000, 20, generator=torch.Generator().manual_seed(0))
    assert Rows(even).groups is None
    assert Rows(crowds(100, 20, 0)).groups is None
    assert Rows(crowds(3000, 120, 0)).groups is None
    assert Rows(crowds(3000, 20, 0), pruned=False).groups is None


@pytest.mark.parametrize("skip", [(0, 0), (100, 700)])
def test_a_bank_that_is_asked_answers_as_without_groups(skip):
    rows, queries = crowds(1500, 21, 5), crowds(200, 21, 6, 0.4)
    with_groups, without = Rows(rows), Rows(rows, pruned=False)
    one, other = with_groups.nearest(queries, skip), without.nearest(queries, skip)
    torch.testing.assert_close(one[0], other[0], rtol=1e-5, atol=1e-6)
    alike = one[1] == other[1]
    assert alike.double().mean() > 0.9  # equal rows may be told either way
    torch.testing.assert_close(rows[one[1][~alike]], rows[other[1][~alike]])
