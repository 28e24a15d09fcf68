"""Scenes of two sensors that show one relief, and tokens that foretell each other."""

import numpy as np
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter

from mmdefect.scene import new_scene

SIDE = 64
PLANTED = (slice(24, 40), slice(24, 40))


def relief(seed: int) -> np.ndarray:
    """A texture that no two parts share, (y, x), of unit spread."""
    rough = gaussian_filter(np.random.default_rng(seed).standard_normal((SIDE, SIDE)), 3)
    return rough / rough.std()


def frame(name: str, shown: np.ndarray) -> xr.DataArray:
    """What a sensor makes of a relief: colour, kelvins or millimetres."""
    attrs = {"modality": name, "units": {"rgb": "1", "infrared": "K", "points": "mm"}[name]}
    if name == "rgb":
        values, dims = np.stack([0.5 + 0.05 * shown] * 3), ("color", "y", "x")
        coords = {"color": ["red", "green", "blue"]}
    elif name == "points":
        y, x = np.mgrid[:SIDE, :SIDE] * 0.5
        values, dims = np.stack([x, y, 400 + 0.2 * shown]), ("axis", "y", "x")
        coords = {"axis": ["x", "y", "z"]}
    else:
        values, dims, coords = 300 + shown, ("y", "x"), {}
    return xr.DataArray(values.astype(np.float32), dims=dims, coords=coords, attrs=attrs)


def scene(
    seed: int,
    *,
    sensors: tuple[str, ...] = ("rgb", "points"),
    unlike: str = "",
    absent: tuple[str, ...] = (),
    apart: tuple[str, ...] = (),
) -> xr.Dataset:
    """A part whose sensors show one relief; one may show another part's in the middle.

    ``absent`` sensors are blind, ``apart`` ones lie on a grid of their own.
    """
    frames = {}
    for number, name in enumerate(sensors):
        shown = relief(seed) + 0.1 * np.random.default_rng([seed, number]).normal(size=(SIDE, SIDE))
        if name == unlike:
            shown[PLANTED] = relief(seed + 5000)[PLANTED]
        frames[name] = frame(name, np.full_like(shown, np.nan) if name in absent else shown)
    grids = {name: name if name in apart else sensors[0] for name in sensors}
    return new_scene(frames, reference=sensors[0], grids=grids)


def coupled(count: int, cells: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens (scene, 2, cell, 3) of two sensors, the second the first's turned, and all there."""
    rng = torch.Generator().manual_seed(seed)
    first = torch.randn(count, cells, 3, generator=rng)
    second = first[..., [1, 2, 0]] * torch.tensor([1.0, -1.0, 1.0])
    values = torch.stack([first, second], 1)
    return values, torch.ones(values.shape[:3], dtype=torch.bool)
