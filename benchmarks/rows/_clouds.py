"""Organised clouds made up for the rows: parts before a camera, mm, NaN where blind."""

import numpy as np


def bent(side: int, share: str) -> np.ndarray:
    """A smooth bent surface with a scanner's noise and holes: (3, y, x), float32."""
    rng = np.random.default_rng(0)
    y, x = (np.mgrid[:side, :side] + 0.5) / side - 0.5
    depth = 400 + 20 * np.sin(9 * x) * np.cos(7 * y) + 5 * np.hypot(x, y) + 20 * x
    depth += rng.normal(0, 0.1 * 224 / side, depth.shape)
    cloud = np.stack([0.5 * x * depth, 0.5 * y * depth, depth]).astype(np.float32)
    if share != "all":
        cloud[:, np.hypot(x, y) > {"60 %": 0.44, "object": 0.3}[share]] = np.nan
        cloud[:, rng.random(depth.shape) < 0.02] = np.nan
    return cloud


def on_a_table(side: int, crumbs: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """A round part of 100 mm on a table, loose crumbs beside it: cloud (3, y, x) and the part."""
    rng = np.random.default_rng(0)
    y, x = ((np.mgrid[:side, :side] + 0.5) / side - 0.5) * 200
    dome = 30 - 0.006 * (x**2 + y**2) + np.sin(x / 4) * np.cos(y / 5)
    part = np.hypot(x, y) < 50
    loose = np.zeros_like(part)
    if crumbs:
        for _ in range(6):
            angle = rng.uniform(0, 2 * np.pi)
            loose |= np.hypot(x - 80 * np.cos(angle), y - 80 * np.sin(angle)) < 1.5
    height = np.where(part, dome, np.where(loose, 12.0, 0.0)) + rng.normal(0, 0.15, x.shape)
    depth = 450 - height
    cloud = np.stack([x * depth / 450, y * depth / 450, depth]).astype(np.float32)
    cloud[:, rng.random(depth.shape) < 0.02] = np.nan
    return cloud, part
