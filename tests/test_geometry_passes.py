"""Single passes over clouds, against NumPy said plainly."""

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdefect.geometry._passes import clear, sides, votes
from mmdefect.registration.resample import nearest

ODD = st.sampled_from([0.0, -0.0, 1.0, -2.0, 3e38, np.nan, np.inf, -np.inf])


@st.composite
def clouds(draw):
    height, width = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    numbers = draw(st.lists(ODD, min_size=3 * height * width, max_size=3 * height * width))
    return np.array(numbers, dtype=np.float32).reshape(3, height, width)


@given(clouds())
@settings(deadline=None)
def test_a_point_with_one_missing_coordinate_misses_all(cloud):
    wanted = cloud.copy()
    wanted[:, ~np.isfinite(cloud).all(0)] = np.nan
    clear(cloud)
    np.testing.assert_array_equal(cloud, wanted)


@given(clouds())
@settings(deadline=None)
def test_sides_are_counted_as_numpy_counts_them(cloud):
    told = sides(cloud)
    seen = cloud[:, np.isfinite(cloud[2])]
    with np.errstate(over="ignore"):
        far = np.float32(1.5) * abs(seen[2])
    wide = (abs(seen[0]) > far) | (abs(seen[1]) > far)
    assert told == (seen.shape[1], (seen[2] > 0).sum(), wide.sum())


@given(st.integers(0, 60), st.integers(1, 20), st.integers(0, 99))
@settings(deadline=None)
def test_votes_are_the_points_near_each_plane(points, planes, seed):
    rng = np.random.default_rng(seed)
    places, normals = rng.normal(size=(points, 3)), rng.normal(size=(planes, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    offsets = rng.normal(size=planes)
    counts = np.empty(planes, dtype=np.int64)
    votes(np.ascontiguousarray(places.T), normals, offsets, 0.5, counts)
    np.testing.assert_array_equal(counts, (abs(places @ normals.T - offsets) <= 0.5).sum(0))


@given(clouds(), st.integers(1, 9), st.integers(1, 9))
@settings(deadline=None)
def test_the_nearest_pixels_are_those_under_the_new_centres(cloud, height, width):
    if not cloud.size:
        return
    rows = [int((y + 0.5) * cloud.shape[1] / height) for y in range(height)]
    columns = [int((x + 0.5) * cloud.shape[2] / width) for x in range(width)]
    taken = nearest(cloud, height, width)
    np.testing.assert_array_equal(taken, cloud[:, rows][:, :, columns])
    assert taken.dtype == np.float32
    assert taken.flags.c_contiguous


def test_the_pixel_under_the_centre_is_found_as_in_fractions():
    for old in (*range(1, 40), 224, 800, 1023, 4096):
        numbers = np.arange(old, dtype=np.float32)[None]
        for new in (*range(1, 40), 223, 224, 800, 1025):
            wanted = [int(Fraction(2 * x + 1, 2 * new) * old) for x in range(0, new, 17)]
            assert nearest(numbers, 1, new)[0, ::17].tolist() == wanted
            assert nearest(numbers.T, new, 1)[::17, 0].tolist() == wanted
