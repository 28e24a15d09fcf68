"""Plates seen by three sensors, with planted defects: what explanations are tested on."""

import numpy as np
import xarray as xr

from mmdefect.scene import new_scene

SIDE = 48
PITCH = 0.5
PLACE = (slice(16, 24), slice(24, 32))
DEPTH, KELVIN, ATTENUATION = 0.3, 2.0, 0.25

ENERGY = "120 kV"


def plate(
    seed: int,
    *,
    dent: bool = False,
    hot: bool = False,
    void: bool = False,
    blind: tuple[str, ...] = (),
    units: tuple[str, str, str] = ("mm", "K", "1"),
) -> xr.Dataset:
    """A wavy plate of a little noise; dented, hot or thinner inside at ``PLACE``."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((3, SIDE, SIDE))
    y, x = np.mgrid[:SIDE, :SIDE]
    wave = np.sin(x / 4) * np.sin(y / 4)
    height = 0.02 * wave + 0.02 * noise[0]
    kelvin = 300 + 0.1 * wave + 0.2 * noise[1]
    through = 0.5 * np.exp(0.02 * wave + 0.03 * noise[2])
    height[PLACE] -= DEPTH * dent
    kelvin[PLACE] += KELVIN * hot
    through[PLACE] *= np.exp(ATTENUATION * void)
    cloud = np.stack([x * PITCH, y * PITCH, height])
    made = {
        "points": (("axis", "y", "x"), cloud, "points", {"axis": ["x", "y", "z"]}),
        "infrared": (("y", "x"), kelvin, "infrared", {}),
        "xray": (("energy", "y", "x"), through[None], "xray", {"energy": [ENERGY]}),
    }
    frames = {}
    for (name, (dims, values, modality, coords)), unit in zip(made.items(), units, strict=True):
        frame = values.astype(np.float32)
        if name in blind:
            frame[...] = np.nan
        attrs = {"modality": modality, "units": unit}
        frames[name] = xr.DataArray(frame, dims=dims, coords=coords, attrs=attrs)
    return new_scene(frames, reference="points", attrs={"capture": f"plate/{seed:03d}"})
