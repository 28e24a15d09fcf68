"""A capture of four sensors, small and known in every pixel, for the tests of the viewer."""

from types import SimpleNamespace

import numpy as np
import xarray as xr

from mmdefect.evidence import Match, Neighbour
from mmdefect.scene import new_scene, present_in
from mmdefect.viewer import GoodParts, Packed, pack_capture
from mmdefect.viewer.beside import beside

HEIGHT, WIDTH = 48, 64
SPOT = (slice(20, 28), slice(40, 50))
PEAK = {"rgb": 0.5, "points": 6.0, "infrared": 20.0, "xray": 1.0}
SENSORS = tuple(PEAK)
GOOD = tuple(0.5 + 0.1 * n for n in range(19))


def frame_of(values, dims, modality, units, **coords) -> xr.DataArray:
    return xr.DataArray(
        np.asarray(values, dtype=np.float32),
        dims=dims,
        coords=coords,
        attrs={"modality": modality, "units": units},
    )


def scene_of(
    height=HEIGHT, width=WIDTH, *, absent=(), apart=(), constant=False, units=None, name="part/7"
) -> xr.Dataset:
    """A plate with a bowl in it, warm there; the infrared camera is blind in one corner."""
    rng = np.random.default_rng(7)
    y, x = np.indices((height, width), dtype=np.float64)
    bowl = np.exp(-((y - height / 2) ** 2 + (x - 0.7 * width) ** 2) / (0.01 * height * width))
    noise = 0.0 if constant else 1.0
    z = 450 + noise * (2 * bowl + rng.normal(0, 0.02, (height, width)))
    warm = 300 + noise * (bowl + rng.normal(0, 0.03, (height, width)))
    warm[:8, :8] = np.nan
    through = 0.5 + noise * rng.normal(0, 0.002, (2, height, width))
    units = {"points": "mm", "infrared": "K", "xray": "1", **(units or {})}
    frames = {
        "rgb": frame_of(np.full((3, height, width), 0.4), ("color", "y", "x"), "rgb", "1",
                        color=["red", "green", "blue"]),
        "points": frame_of(np.stack([0.5 * x - 16, 0.5 * y - 12, z]), ("axis", "y", "x"), "points",
                           units["points"], axis=["x", "y", "z"]),
        "infrared": frame_of(warm, ("y", "x"), "infrared", units["infrared"]),
        "xray": frame_of(through, ("energy", "y", "x"), "xray", units["xray"],
                         energy=["low", "high"]),
    }  # fmt: skip
    for sensor in absent:
        frames[sensor][:] = np.nan
    truth = np.zeros((height, width), dtype=bool)
    truth[SPOT] = True
    grids = dict(zip(apart, apart, strict=True))
    attrs = {"capture": name, "category": "plate", "kind": "bowl", "label": "defect"}
    return new_scene(frames, reference="rgb", grids=grids, defect=truth, attrs=attrs)


def prediction_of(scene: xr.Dataset) -> xr.Dataset:
    """A hot spot of known evidence in every sensor, on a background of 0.25."""
    valid = scene["valid"].values
    maps = np.full(valid.shape, 0.25)
    for own, peak in zip(maps, PEAK.values(), strict=True):
        own[SPOT] = peak
    maps = np.where(valid, maps, np.nan)
    on_grid = scene["grid"].values == "rgb"
    shares = np.where(on_grid[:, None, None], np.nan_to_num(maps), 0.0)
    seen = valid.any((1, 2))
    evidence = np.where(seen, list(PEAK.values()), np.nan)
    fused = np.where(valid[on_grid].any(0), shares.sum(0), np.nan)
    return xr.Dataset(
        {
            "evidence_map": (("sensor", "y", "x"), maps),
            "anomaly_map": (("y", "x"), fused),
            "evidence": ("sensor", evidence),
            "attribution": ("sensor", np.nan_to_num(evidence)),
            "attribution_map": (("sensor", "y", "x"), shares),
        },
        coords={name: scene[name] for name in ("sensor", "grid", "y", "x")},
        attrs=dict(scene.attrs),
    )


class OnePart:
    """A folder that holds one good part, ``part/1``."""

    def __init__(self, scene: xr.Dataset) -> None:
        self.capture = SimpleNamespace(id="part/1")
        self.read = scene

    def captures(self, _category):
        return [self.capture]

    def scene(self, _capture):
        return self.read

    def parts(self, _captures):
        return [["learnt"]]


def match_of(sensor="infrared", capture="part/1") -> Match:
    return Match(sensor, 23.5, 44.5, 4.0, 9.0, (Neighbour(capture, 5.0, 60.0, 9.0),))


def good_parts(learnt="learnt", **changes) -> GoodParts:
    origin = SimpleNamespace(category="plate", fit=[[learnt]])
    return GoodParts(OnePart(scene_of(name="part/1", **changes)), origin)


def record_of(scene: xr.Dataset, **changes) -> dict:
    alone = {"score": 1.0, "evidence": 2.0, "p_value": 0.05}
    region = {
        "place": "part", "box": [40, 20, 50, 28], "area_px": 80, "area_mm2": 20.0,
        "peak": [44, 23], "evidence": 27.5, "p_value": 0.05, "sensors": ["infrared", "points"],
        "shares": {"infrared": 20.0, "points": 6.0, "rgb": -0.5},
        "measured": ["1 K warmer than good parts there (infrared)", "attenuation 2 more (xray)"],
        "matches": ["infrared: 9 times the usual distance; that is part/1 at x 4, y 2"],
        "what_if": ["with the 4 patches of infrared replaced the score falls from 3 to 1: good"],
    }  # fmt: skip
    if "infrared" in present_in(scene):
        region["beside"] = [beside(scene, match_of(), good_parts())]
    keys = ("capture", "category", "kind", "label")
    return {
        **{key: scene.attrs[key] for key in keys}, "verdict": "defect", "image_score": 3.0,
        "p_value": 0.05, "threshold": 2.3, "sensors": dict.fromkeys(SENSORS, alone),
        "regions": [region], "guarantee": "of good parts at most 5 %", **changes,
    }  # fmt: skip


def packed(scene: xr.Dataset | None = None, good=GOOD, most_bytes=2_900_000, **changes) -> Packed:
    scene = scene_of() if scene is None else scene
    told = record_of(scene, **changes)
    return pack_capture(scene, prediction_of(scene), told, good, most_bytes)
