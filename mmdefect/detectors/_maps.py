"""From scores of patches to a map over the scene's pixels, and to what is said of the part."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
import xarray as xr
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_filter1d
from torch.nn.functional import interpolate

from mmdefect.learnable import learn_mask
from mmdefect.prediction import new_prediction
from mmdefect.scene import apart_of

_WORST_SHARE = 0.001
_BY_MATRIX = 512


def to_pixels(grid: np.ndarray, valid: np.ndarray, blur: float) -> np.ndarray:
    """Bring patch scores to pixels and smooth them, never across holes.

    Parameters
    ----------
    grid : float array (y, x)
        Scores of patches that tile the scene; NaN where there is no evidence.
    valid : bool array (y, x)
        Where the sensor measured, in scene pixels.
    blur : float
        Standard deviation of the smoothing in spacings between patches.

    Returns
    -------
    float32 array (y, x)
        In floats throughout; NaN where the sensor was blind or its patch was.
    """
    height, width = valid.shape
    known = np.isfinite(grid)
    if not known.any():
        return np.full(valid.shape, np.nan, dtype=np.float32)
    planes = torch.from_numpy(np.stack([filled(grid, known), known]).astype(np.float32))[None]
    score, share = interpolate(planes, (height, width), mode="bilinear", align_corners=False)[
        0
    ].numpy()
    inside = valid & (share > 0)
    sigma = (blur * height / grid.shape[0], blur * width / grid.shape[1])
    weight = _blurred(inside.astype(np.float32), sigma) if not inside.all() else np.float32(1)
    smooth = _blurred(np.where(inside, score, np.float32(0)), sigma)
    return np.where(inside, smooth / np.maximum(weight, 1e-6), np.nan).astype(np.float32)


def filled(grid: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Give patches without evidence the score of the nearest one with it.

    Parameters
    ----------
    grid : float array (y, x)
    known : bool array (y, x)
        Where there is evidence: somewhere.

    Returns
    -------
    array (y, x)
    """
    if known.all():
        return grid
    rows, columns = distance_transform_edt(~known, return_distances=False, return_indices=True)
    nearest: np.ndarray = grid[rows, columns]
    return nearest


def _blurred(pixels: np.ndarray, sigma: tuple[float, float]) -> np.ndarray:
    """Smooth a small map by two products of matrices, a large one by sliding over it."""
    if max(pixels.shape) > _BY_MATRIX:
        wide: np.ndarray = gaussian_filter(pixels, sigma, mode="nearest")
        return wide
    down, across = (_blur(*of) for of in zip(pixels.shape, sigma, strict=True))
    small: np.ndarray = (down @ torch.from_numpy(pixels) @ across.T).numpy()
    return small


@lru_cache(maxsize=16)
def _blur(side: int, sigma: float) -> torch.Tensor:
    """Give the matrix that smooths a column: what the filter makes of each single pixel."""
    eye = np.eye(side, dtype=np.float32)
    return torch.from_numpy(gaussian_filter1d(eye, sigma, axis=0, mode="nearest") if sigma else eye)


def worst_mean(pixels: np.ndarray, share: float) -> float:
    """Average a map's worst pixels.

    Parameters
    ----------
    pixels : float array (y, x)
        Higher is worse; NaN without evidence.
    share : float
        Of the pixels with evidence; one pixel at least.

    Returns
    -------
    float
        NaN for a map without evidence.
    """
    known = pixels[np.isfinite(pixels)]
    if known.size == 0:
        return float("nan")
    worst = max(1, round(share * known.size))
    return float(np.partition(known, -worst)[-worst:].mean())


def rows_of(features: xr.DataArray) -> tuple[torch.Tensor, np.ndarray]:
    """Give the believable patches as rows, and where they lie.

    Parameters
    ----------
    features : DataArray (feature, y, x), float32
        NaN in every feature of a patch that is not to be believed.

    Returns
    -------
    Tensor (row, feature), float32
    bool array (y, x)
        Which patches the rows are, in reading order.
    """
    values = features.values
    believed = np.isfinite(values).all(0)
    return torch.from_numpy(np.ascontiguousarray(values[:, believed].T)), believed


def predicted(
    scene: xr.Dataset, sensor: str, grid_of: Callable[[], np.ndarray] | None, blur: float
) -> xr.Dataset:
    """Say what one sensor's detector thinks of a scene.

    Parameters
    ----------
    scene : Dataset
    sensor : str
    grid_of : callable or None
        Scores the scene's patches, (y, x), NaN where a patch is not to be believed; asked only
        where the sensor measured something. None where nothing was learnt.
    blur : float
        Standard deviation of the smoothing in spacings between patches.

    Returns
    -------
    Dataset
        ``sensor_map`` (sensor, y, x) of the one sensor, NaN where it was blind or may not be
        learnt from; ``sensor_score`` (sensor): the mean of the map's worst thousandth, without
        the pixels that are judged apart.
    """
    place = scene["sensor"].values.tolist().index(sensor)
    valid = scene["valid"].values[place] & learn_mask(scene)
    pixels = np.full(valid.shape, np.nan, dtype=np.float32)
    if grid_of is not None and valid.any():
        pixels = to_pixels(grid_of(), valid, blur)
    score = worst_mean(np.where(apart_of(scene, sensor), np.nan, pixels), _WORST_SHARE)
    return new_prediction(scene, [sensor], pixels[None], np.array([score]))
