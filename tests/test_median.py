"""The median of many values, held against NumPy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdefect.geometry.median import median_of

KINDS = {
    "normal": lambda random, count: random.normal(size=count),
    "few values": lambda random, count: random.integers(0, 3, count).astype(float),
    "ordered": lambda random, count: np.sort(random.normal(size=count)),
    "one value": lambda random, count: np.full(count, 7.0),
    "saw": lambda random, count: np.resize(np.arange(8.0), count),
    "what the few do not see": lambda random, count: np.where(
        np.arange(count) % (count // 1024 or 1) == 0, -1.0, random.normal(5, 1, count)
    ),
}


@pytest.mark.parametrize("count", [1, 2, 8191, 8192, 8193, 30_000])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_median_to_the_bit(kind, count):
    values = KINDS[kind](np.random.default_rng(count), count)
    kept = values.copy()
    assert median_of(values) == np.median(values)
    np.testing.assert_array_equal(values, kept)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(8192, 20_000), st.floats(0.1, 5))
def test_heavy_tails_and_ties(seed, count, tail):
    random = np.random.default_rng(seed)
    values = np.round(random.pareto(tail, count), 2)
    assert median_of(values) == np.median(values)
