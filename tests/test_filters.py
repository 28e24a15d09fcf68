"""Separable filters, held against SciPy's correlation."""

import numpy as np
import pytest
from scipy.ndimage import correlate1d

from mmdefect.features._filters import separable

pytestmark = pytest.mark.usefixtures("three_threads")


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 7, 5), (3, 40, 33), (1, 3, 130), (1, 90, 2)])
@pytest.mark.parametrize("taps", [(1, 1), (3, 7), (5, 9), (13, 3), (37, 25)])
def test_a_filter_is_a_column_times_a_row(shape, taps):
    random = np.random.default_rng(0)
    planes = random.standard_normal(shape).astype(np.float32)
    down, across = (random.standard_normal(count).astype(np.float32) for count in taps)
    wanted = correlate1d(planes.astype(np.float64), down, axis=1, mode="nearest")
    wanted = correlate1d(wanted, across, axis=2, mode="nearest")
    np.testing.assert_allclose(separable(planes, down, across), wanted, rtol=1e-4, atol=1e-4)


def test_planes_are_filtered_apart_and_left_as_they_were():
    planes = np.zeros((2, 9, 9), np.float32)
    planes[0] = 1
    kept = planes.copy()
    third = np.full(3, 1 / 3, np.float32)
    filtered = separable(planes, third, third)
    np.testing.assert_allclose(filtered[0], 1, rtol=1e-6)
    assert not filtered[1].any()
    np.testing.assert_array_equal(planes, kept)
