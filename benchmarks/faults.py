"""Faults planted in the registered frames of one sensor, as `failing_sensors.py` needs them."""

from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy import ndimage

FIELD_MM = 112.0

Planting = Callable[[np.ndarray, str, np.random.Generator], np.ndarray]


def _noise(values: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    level, spread = np.nanmean(values), np.nanstd(values)
    return np.where(np.isfinite(values), rng.normal(level, spread, values.shape), np.nan)


def _black(values: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    lowest = 273.15 if name == "infrared" else 450.0 if name == "points" else 0.0
    return np.where(np.isfinite(values), lowest, np.nan)


def _gain(values: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    if name == "points":
        return values * np.array([1.0, 1.0, 1.002])[:, None, None]
    return values + 2.0 if name == "infrared" else values * 1.2


def _blur(values: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    known = np.isfinite(values)
    sigma = (*[0] * (values.ndim - 2), 2, 2)
    weight = ndimage.gaussian_filter(known.astype(float), sigma)
    smooth = ndimage.gaussian_filter(np.where(known, values, 0.0), sigma)
    return np.where(known, smooth / np.maximum(weight, 1e-6), np.nan)


def _shift(values: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    # whole pixels: interpolation would blur, and the blur would be found instead
    pixels = int(np.ceil(values.shape[-1] / FIELD_MM))
    return np.concatenate([values[..., :1].repeat(pixels, -1), values[..., :-pixels]], axis=-1)


PLANTED: dict[str, Planting] = {
    "noise": _noise, "black": _black, "gain": _gain, "blur": _blur, "shift": _shift,
}  # fmt: skip


def spoiled(scene: xr.Dataset, name: str, fault: str, number: int) -> xr.Dataset:
    """The scene as a sensor with that fault would have seen it."""
    told = scene.copy()
    rng = np.random.default_rng(number)
    values = PLANTED[fault](scene[name].values.astype(np.float64), name, rng)
    told[name] = scene[name].copy(data=values.astype(np.float32))
    valid = scene["valid"].copy()
    seen = np.isfinite(values).all(axis=tuple(range(values.ndim - 2)))
    valid.loc[{"sensor": name}] = valid.sel(sensor=name).values & seen
    told["valid"] = valid
    return told
