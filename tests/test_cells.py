"""Means of smoothed planes over cells, and energies of edges, held against SciPy's filters."""

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.ndimage import correlate1d
from torch.nn.functional import adaptive_avg_pool2d

from mmdefect.features import builtin
from mmdefect.features._cells import cells_of
from mmdefect.features._edges import energies
from mmdefect.features.builtin import _gaussian


def filtered(planes, down, across):
    """Filter by a column and a row in double precision; the border is repeated."""
    wide = correlate1d(planes.astype(np.float64), down, axis=-2, mode="nearest")
    return correlate1d(wide, across, axis=-1, mode="nearest")


@pytest.mark.parametrize(
    ("shape", "cells"),
    [((1, 1, 1), (1, 1)), ((2, 8, 12), (2, 3)), ((3, 37, 50), (10, 13)), ((1, 5, 64), (5, 16))],
)
@pytest.mark.parametrize("scale", [None, 1.0, 4.0])
def test_cells_average_what_a_filter_gives(shape, cells, scale):
    planes = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    bell = np.ones(1) if scale is None else _gaussian(scale, 0)
    wanted = adaptive_avg_pool2d(torch.from_numpy(filtered(planes, bell, bell)), cells).numpy()
    np.testing.assert_allclose(cells_of(planes, cells, tuple(bell.tolist())), wanted, atol=2e-6)


@pytest.mark.parametrize("shape", [(1, 1), (9, 40), (64, 7)])
@pytest.mark.parametrize("scale", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("weighed", [False, True])
def test_energies_of_derivatives_of_gaussians(shape, scale, weighed):
    random = np.random.default_rng(1)
    plane = random.standard_normal(shape).astype(np.float32)
    weight = random.uniform(size=shape).astype(np.float32) if weighed else np.empty((0, 0), "f")
    smooth, first, second = bells = np.stack([_gaussian(scale, order) for order in range(3)])
    dx, dy = filtered(plane, smooth, first), filtered(plane, first, smooth)
    blob = filtered(plane, smooth, second) + filtered(plane, second, smooth)
    wanted = [abs(dx), abs(dx + dy) / 2**0.5, abs(dy), abs(dx - dy) / 2**0.5]
    wanted = [energy * scale for energy in wanted]
    wanted += [np.maximum(blob, 0) * scale**2, np.maximum(-blob, 0) * scale**2]
    wanted = np.stack(wanted) * (weight if weighed else 1.0)
    np.testing.assert_allclose(energies(plane, bells, scale, weight), wanted, rtol=2e-5, atol=2e-6)


def test_a_ramp_and_a_dot():
    y, x = np.mgrid[:21, :21].astype(np.float32)
    whole = np.empty((0, 0), np.float32)
    bells = np.stack([_gaussian(1.0, order) for order in range(3)])
    ramp = energies(x, bells, 1.0, whole)[:, 10, 10]
    np.testing.assert_allclose(ramp, [1, 0.7071, 0, 0.7071, 0, 0], atol=0.02)
    dot = np.exp(-((x - 10) ** 2 + (y - 10) ** 2) / 2).astype(np.float32)
    dark, bright = energies(dot, bells, 1.0, whole)[4:, 10, 10]
    assert dark == 0
    assert bright > 0.4


def plain(planes, weight, rgb):
    """Describe patches by SciPy's filters in double precision, whole pictures at a time."""
    planes, weight = planes.astype(np.float64), weight.astype(np.float64)

    def blurred(picture, scale):
        return filtered(picture, _gaussian(scale, 0), _gaussian(scale, 0))

    def normed(picture, scale):
        if weight.all():
            return blurred(picture, scale)
        return blurred(picture * weight, scale) / np.maximum(blurred(weight, scale), 1e-3)

    if rgb:
        planes = np.einsum("ij,jyx->iyx", builtin._OPPONENT.astype(np.float64), planes)
    fine, coarse = (np.stack([normed(plane, scale) for plane in planes]) for scale in (2, 4))
    square = np.stack([normed(plane**2, 4) for plane in planes])
    described = [*fine, *coarse, *np.sqrt(np.maximum(square - coarse**2, 0))]
    for scale in (1.0, 2.0, 4.0):
        smooth, first, second = (_gaussian(scale, order) for order in range(3))
        dx, dy = filtered(planes[0], smooth, first), filtered(planes[0], first, smooth)
        blob = filtered(planes[0], smooth, second) + filtered(planes[0], second, smooth)
        edges = [abs(dx), abs(dx + dy) * 0.7071, abs(dy), abs(dx - dy) * 0.7071]
        found = [energy * scale for energy in edges]
        found += [np.maximum(blob, 0) * scale**2, np.maximum(-blob, 0) * scale**2]
        described += [normed(energy, max(2, 1.5 * scale)) for energy in found]
    return np.stack(described)


@pytest.mark.parametrize("size", [(32, 32), (30, 41)])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("modality", ["rgb", "xray"])
def test_the_features_without_weights_are_those_of_plain_filters(size, holes, modality):
    random = np.random.default_rng(2)
    planes = random.uniform(1, 2, (3 if modality == "rgb" else 1, *size)).astype(np.float32)
    weight = np.ones(size, bool)
    if holes:
        weight[5:9, 4:20] = False
        planes[:, ~weight] = np.nan
    dims = ("color", "y", "x") if modality == "rgb" else ("channel", "y", "x")
    frame = xr.DataArray(planes, dims=dims, attrs={"modality": modality, "units": "relative"})
    told = builtin.Builtin().features(frame).values
    cells = builtin._Cells(weight, told.shape[1:])
    bridged = cells.bridged(planes)
    np.testing.assert_array_equal(bridged[:, weight], planes[:, weight])
    assert np.isfinite(bridged).all()
    wanted = adaptive_avg_pool2d(
        torch.from_numpy(plain(bridged, weight, modality == "rgb")), told.shape[1:]
    ).numpy()
    seen = np.isfinite(told)
    assert seen.mean() > 0.9
    np.testing.assert_allclose(told[seen], wanted[seen], rtol=1e-3, atol=2e-4)


def test_a_bright_dot_is_a_bright_blob():
    y, x = np.mgrid[:40, :40].astype(np.float32)
    dot = np.exp(-((x - 19.5) ** 2 + (y - 19.5) ** 2) / 8).astype(np.float32)
    frame = xr.DataArray(dot[None], dims=("channel", "y", "x"),
                         attrs={"modality": "xray", "units": "relative"})  # fmt: skip
    told = builtin.Builtin().features(frame)
    here = told.sel(y=19.5, x=19.5, method="nearest")
    bright = here.values[here["group"] == "bright blobs"]
    dark = here.values[here["group"] == "dark blobs"]
    assert bright.max() > 2 * dark.max()
