"""Every reader against damaged files, a few of each kind; benchmarks/fuzz_readers.py tries more."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pydicom", reason="the extra 'dicom' is not installed")
from specimens import SPECIMENS, Specimen

from mmdefect.errors import SensorError

EACH = pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda specimen: specimen.name)
PLACES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=5)


@pytest.fixture
def whole(specimen: Specimen, tmp_path) -> tuple:
    """Write a specimen, and read it once."""
    path = tmp_path / specimen.name
    specimen.write(path)
    return path, path.read_bytes(), specimen.read(path)


def tried(specimen: Specimen, path, body: bytes) -> np.ndarray | None:
    """Read a damaged file; None where it is refused with its name."""
    path.write_bytes(body)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return specimen.read(path)
    except SensorError as error:
        assert path.parent.name in str(error) or path.name in str(error)  # noqa: PT017
        return None


@EACH
def test_a_file_with_flipped_bits_is_read_or_refused(specimen, whole):
    path, body, wanted = whole

    @given(PLACES)
    @settings(max_examples=10, deadline=None, derandomize=True, database=None)
    def flipped(places):
        made = bytearray(body)
        for where, bit in places:
            made[int(where * len(made))] ^= 1 << bit
        found = tried(specimen, path, bytes(made))
        if found is None:
            return
        assert found.dtype == np.float32
        assert not np.isinf(found).any()
        if specimen.sure:
            np.testing.assert_array_equal(found, wanted)

    flipped()


@EACH
def test_a_file_cut_off_is_refused_or_whole(specimen, whole):
    path, body, wanted = whole
    for length in np.linspace(0, len(body) - 1, 9).astype(int):
        found = tried(specimen, path, body[:length])
        if found is not None and specimen.ends:
            np.testing.assert_array_equal(found, wanted)


@EACH
def test_a_header_that_lies_is_refused_or_read_within_its_file(specimen, whole):
    path, body, wanted = whole

    @given(st.integers(0, 300), st.sampled_from([2, 4]), st.sampled_from([0, 0x7FFF, 0xFFFFFFFF]))
    @settings(max_examples=10, deadline=None, derandomize=True, database=None)
    def lying(start, width, number):
        lie = (number & ((1 << 8 * width) - 1)).to_bytes(width, "little")
        found = tried(specimen, path, body[:start] + lie + body[start + width :])
        if found is not None:
            assert found.size <= 4 * max(wanted.size, len(body))
            assert not np.isinf(found).any()

    lying()
