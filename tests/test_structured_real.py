"""A real capture by two cameras: words against an independent decoder, depth against a plane."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mmdefect.images import read_image

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def plane(shared_folder):
    """The benchmark of the capture, and its folder."""
    folder = shared_folder / "data" / "graycode-plane"
    if not folder.is_dir():
        pytest.skip("the capture of a plane (../shared/data/graycode-plane) is not here")
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import graycode_plane
    finally:
        sys.path.remove(str(BENCHMARKS))
    return graycode_plane, folder


def published(folder: Path, side: str, first: int, bits: int, clear: int):
    """The textbook's decoder: a stripe is what is brighter than its inverse, then Gray to binary.

    Pixels with a pair whose difference is below `clear` counts are no pixels.
    """
    frames = [
        read_image(folder / "captures" / f"{number:02d}-{side}.png", 1 << 26).astype(int)
        for number in range(first, first + 2 * bits)
    ]
    known = np.ones(frames[0].shape, bool)
    gray = []
    for stripe, inverse in zip(frames[::2], frames[1::2], strict=True):
        known &= abs(stripe - inverse) >= clear
        gray.append(stripe > inverse)
    word = np.zeros(known.shape, int)
    binary = np.zeros(known.shape, bool)
    for stripe in gray:
        binary = binary != stripe
        word = 2 * word + binary
    return word, known


def test_words_are_those_of_an_independent_decoder(plane):
    benchmark, folder = plane
    for side, decoded in zip(("left", "right"), benchmark.decoded(folder, 9), strict=True):
        for axis, first, bits in (("column", 1, 9), ("row", 27, 7)):
            word, known = published(folder, side, first, bits, clear=5)
            both = known & decoded.valid
            assert both.sum() > 200_000
            assert (np.floor(decoded.places[axis] + 0.5) == word)[both].mean() > 0.9999


def test_a_real_plane_is_flat(plane):
    benchmark, folder = plane
    depths = benchmark.measured(folder)
    found = depths.flags == 0
    off = benchmark.residuals(depths, found)
    assert found.sum() >= 241_960
    assert benchmark.rms(off) <= 0.55
    sure = found & (depths.noise < 0.5)
    assert sure.sum() > 235_000
    assert benchmark.rms(benchmark.residuals(depths, sure)) <= 0.45
