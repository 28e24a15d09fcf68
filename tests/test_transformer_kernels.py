"""The compiled passes of the prepared transformer against the same things written plainly."""

from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import layer_norm

attention, errors, network, passes, windows = (
    import_module(f"mmdefect.fusion._{name}")
    for name in ("attention", "errors", "network", "passes", "windows")
)
GRIDS = {grid: windows.windows_of(grid) for grid in [(4, 4), (8, 4), (8, 12)]}
F32 = np.float32

seeds = st.integers(0, 9999)
some = st.sampled_from([0.0, 0.3, 0.8, 1.0])
grids = st.sampled_from(sorted(GRIDS))


@pytest.fixture(autouse=True, scope="module")
def bands(three_threads):
    """Let threads share even the smallest grid."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "WORTH_A_THREAD", 1)
        yield


def normal(row: np.ndarray) -> np.ndarray:
    exact = torch.from_numpy(np.asarray(row, dtype=np.float64))
    return layer_norm(exact, exact.shape[-1:]).numpy()


def scene(seed: int, grid: tuple[int, int], share: float):
    """Dice, sensors of which the last may have answers of its own, and where they are."""
    random = np.random.default_rng(seed)
    sets = np.zeros(int(random.integers(2, 5)), dtype=np.int64)
    sets[-1] = random.integers(0, 2)
    there = random.random((len(sets), grid[0] * grid[1])) < share
    return random, sets, there


@settings(deadline=None, max_examples=15)
@given(seeds, grids, some, st.sampled_from([0.1, 1.0, 60.0]))
def test_queries_attend_as_a_softmax_over_what_they_may_see(seed, grid, share, size):
    cut = GRIDS[grid]
    random, sets, there = scene(seed, grid, share)
    heads, each = int(random.integers(1, 3)), int(random.integers(1, 6))
    wide = heads * each
    count = len(sets) * (there.shape[1] + len(cut.regions)) + 1
    asked = (size * random.standard_normal((*there.shape, wide))).astype(F32)
    told = random.standard_normal((sets.max() + 1, count, 2 * wide)).astype(F32)
    keys = attention.Keys(cut, there, sets)
    found = attention.attended(asked, told, heads, sets, keys)
    seen = network._seen(list(range(len(sets))), torch.from_numpy(there)[None], cut)[:, 0].numpy()
    near, places = cut.answering(len(sets))
    order = [sensor * there.shape[1] + near.numpy() for sensor in range(len(sets))]
    order = np.r_[np.concatenate(order), len(sets) * there.shape[1] : count][places]
    queries = asked.reshape(*there.shape, heads, each).astype(float)
    for block, cells in enumerate(cut.cells.numpy()):
        for t in range(len(sets)):
            mask = seen[block].reshape(len(sets), len(cells), -1)[t, 0]
            own = told[sets[t]][order[block][mask]].astype(float)
            named, said = (half.reshape(len(own), heads, each) for half in np.split(own, 2, 1))
            logits = np.einsum("chw,khw->hck", queries[t, cells], named)
            shares = np.exp2(logits - logits.max(-1, keepdims=True))
            shares /= shares.sum(-1, keepdims=True)
            wanted = np.einsum("hck,khw->chw", shares, said).reshape(len(cells), wide)
            slack = 3e-6 * max(1, float(abs(logits).max()))
            np.testing.assert_allclose(found[t, cells], wanted, atol=slack, rtol=1e-5)


@pytest.mark.parametrize("shift", [-400, -130, -100, 0, 100, 130, 400])
def test_shares_do_not_depend_on_what_is_added_to_all_logits(shift):
    """Sums that leave a float32 are counted from the highest, without what is hidden."""
    cut, sets = GRIDS[8, 4], np.array([0, 0])
    there = np.ones((2, 32), dtype=bool)
    keys = attention.Keys(cut, there, sets)
    random = np.random.default_rng(3)
    count = int(keys.lists.max()) + 1
    logits, said = random.uniform(-9, 9, count), random.standard_normal((count, 2)).astype(F32)
    own = int(cut.cells[0, 0])
    logits[own] = 900  # seen by the other sensor's queries, hidden from its own
    asked = np.ones((2, 32, 2), dtype=F32)
    named = np.stack([logits, np.full(count, shift)], axis=1).astype(F32)
    told = np.concatenate([named, said], axis=1)[None]
    found = attention.attended(asked, told, 1, sets, keys)[:, own]
    block, gap = keys.lists[0, 0, : keys.counts[0, 0]], keys.gaps[0, 0]
    left = np.r_[block[: gap[0]], block[gap[1] : gap[2]], block[gap[3] :]]
    exact = np.exp2(logits[left].astype(F32).astype(float))
    np.testing.assert_allclose(found[0], exact @ said[left] / exact.sum(), rtol=2e-4, atol=1e-5)
    np.testing.assert_allclose(found[1], said[own], rtol=1e-6)


def test_powers_of_two_are_those_of_a_float():
    row = np.linspace(-126, 126, 80_001, dtype=F32)
    exact = np.exp2(row.astype(np.float64))
    attention._exponentiate(row)
    assert abs(row / exact - 1).max() < 3e-7
    edges = np.array([-np.inf, -3000, -127, 0, 1, 127], dtype=F32)
    attention._exponentiate(edges)
    assert edges.tolist() == [0, 0, 0, 1, 2, 2.0**127]


@settings(deadline=None, max_examples=15)
@given(seeds, grids, some)
def test_what_is_shown_is_placed_and_summed_up(seed, grid, share):
    cut = GRIDS[grid]
    random, sets, there = scene(seed, grid, share)
    wide = int(random.integers(6, 20))
    rows = random.standard_normal((*there.shape, wide)).astype(F32)
    where = random.standard_normal((sets.max() + 1, there.shape[1], wide)).astype(F32)
    nothing, shift = random.standard_normal((2, wide)).astype(F32)
    own = cut.regions.argmax(0).numpy()
    told = (there, (own, len(cut.regions)), sets, nothing)
    answers, beside = passes.embedded(rows, shift, where, *told)
    weight = there[..., None].astype(float)
    for k, places in enumerate(where):
        placed = rows.astype(float) + shift + places
        shown = placed * weight
        total = np.stack([shown[:, own == r].sum(1) for r in range(len(cut.regions))], 1)
        count = np.stack([weight[:, own == r].sum(1) for r in range(len(cut.regions))], 1)
        parts = [normal(part).reshape(-1, wide) for part in (placed, total / np.maximum(count, 1))]
        wanted = np.concatenate([*parts, nothing[None]])
        np.testing.assert_allclose(answers[k], wanted, atol=1e-4)
        left = np.maximum(weight.sum(0) - weight, 1)
        others = (shown.sum(0) - shown) / left
        np.testing.assert_allclose(beside[sets == k], others[sets == k], atol=1e-5)


@settings(deadline=None, max_examples=10)
@given(seeds, st.integers(6, 40))
def test_rows_are_added_to_and_normalised(seed, wide):
    random = np.random.default_rng(seed)
    rows, more = (random.standard_normal((3, 7, wide)).astype(F32) * 5 for _ in range(2))
    own, where = random.standard_normal((3, wide)), random.standard_normal((2, 7, wide))
    own, where, sets = own.astype(F32), where.astype(F32), np.array([1, 0, 0])
    one, two = rows.copy(), rows.copy()
    opened, added = passes.opened(one, where, sets, own), passes.added(two, more, own[0])
    for found, normed, wanted in (
        (one, opened, rows.astype(float) + where[sets] + own[:, None]),
        (two, added, rows.astype(float) + more + own[0]),
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        np.testing.assert_allclose(normed, normal(found), atol=1e-4)


@settings(deadline=None, max_examples=10)
@given(seeds, some)
def test_errors_count_in_spreads_that_were_foretold(seed, share):
    random = np.random.default_rng(seed)
    shape = (2, 9, int(random.integers(1, 30)))
    mean, shown = (3 * random.standard_normal(shape).astype(F32) for _ in range(2))
    spread = random.uniform(-5, 2, shape).astype(F32)
    kept = np.arange(shape[2]) < np.array([[shape[2]], [shape[2] // 2 + 1]])
    there = random.random(shape[:2]) < share
    found = errors.standing_out(mean, spread, shown, kept, there)
    variance = np.exp(spread.astype(float))
    away = np.minimum((shown - mean.astype(float)) ** 2 / variance, 100)
    weight = (np.maximum(1 - variance, 0) + 0.1) * kept[:, None]
    wanted = (weight * (away - 1)).sum(-1) / np.sqrt(2 * (weight**2).sum(-1))
    np.testing.assert_allclose(found, np.where(there, wanted, np.nan), rtol=2e-5, atol=1e-4)
