"""Colour and points of one capture, judged end to end: features, two banks, one verdict.

The rival is our rendering of BTF on the same backbone: stages 2 and 3 of resnet18 (weights drawn at
random, which do not matter to the time) and the histograms of Open3D (30 nearest for normals, 100
for FPFH), 3 x 3 pooled and brought to 28 x 28, concatenated in one bank of a tenth of the patches
(float64, as its histograms make it), the nearest row by ``torch.cdist``, the score reweighted by
three neighbours, the map interpolated and blurred. Ours is late fusion of two memory banks with
the same backbone and ``fpfh``. Both learn from 16 good captures of 224 x 224, their background gone
already, and judge 6 good ones and 6 with a dent.

Four sensors (a simulated panel of 256 x 256, ``builtin`` features, the default fusion with its
calibration on 16 good parts) have no rival: they are asked for ten captures a second. Two processes
that judge captures of their own, with one thread each, tell what the machine gets done in a second.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from case import Case, Check
from scipy.ndimage import gaussian_filter
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, interpolate

from mmdefect.detectors._coreset import k_center
from mmdefect.registry import load
from mmdefect.scene import new_scene

TITLE = "Predict, end to end"
SIDE, LEARNT = 224, 16


def cases(quick: bool) -> dict[str, Callable[[], Case]]:
    side = 96 if quick else 256
    return {
        "colour and points, 224 x 224": partial(made, 6 if quick else LEARNT),
        f"four sensors, {side} x {side}": partial(judged, side, False),
        f"four sensors from their files, {side} x {side}": partial(judged, side, True),
    }


def judged(side: int, files: bool) -> Case:
    """Verdicts on a simulated station's captures, from scenes or from files."""
    from mmdefect import Dataset
    from mmdefect.learning import Learning
    from mmdefect.settings import Settings
    from mmdefect.simulate import simulate

    kept = Path(tempfile.gettempdir()) / f"mmdefect-bench-line-{side}"
    if not (kept / "card.toml").exists():
        simulate(kept, products=["panel"], train=32, test=6, size=side, seed=78)
    dataset = Dataset(kept / "card.toml", kept)
    category = dataset.categories[0]
    sensors = dataset.sensors(category)
    settings = Settings(features=dict.fromkeys(sensors, "builtin"))
    inspection = Learning(dataset, category, settings).inspection()
    captures = dataset.captures(category, "test")
    scenes = [dataset.scene(capture) for capture in captures]
    turn = iter(range(10**9))

    def ours() -> xr.Dataset:
        place = next(turn) % len(captures)
        scene = dataset.scene(captures[place]) if files else scenes[place]
        return inspection.predict(scene)

    if files:
        return Case(ours=ours, limit=0.1, rounds=21, memory=False)

    def checks() -> Sequence[Check]:
        rate = side_by_side(lambda turn: inspection.predict(scenes[turn % len(scenes)]))
        return (Check("captures a second, two processes with a thread each", rate, least=10.0),)

    return Case(ours=ours, limit=0.1, rounds=21, memory=False, checks=checks)


def side_by_side(work: Callable[[int], object], processes: int = 2, each: int = 60) -> float:
    """Tell how many captures a second processes judge that begin together."""
    fork = multiprocessing.get_context("fork")
    gate = fork.Barrier(processes + 1)

    def run() -> None:
        torch.set_num_threads(1)
        work(0)
        gate.wait()
        for turn in range(each):
            work(turn)

    hands = [fork.Process(target=run) for _ in range(processes)]
    for hand in hands:
        hand.start()
    gate.wait()
    start = time.perf_counter()
    for hand in hands:
        hand.join()
    if any(hand.exitcode for hand in hands):
        raise RuntimeError("a process that judged captures failed; see its error above")
    return processes * each / (time.perf_counter() - start)


def capture(number: int, dent: float = 0.0) -> xr.Dataset:
    """A bent part with a printed pattern, before a camera; dented or not."""
    rng = np.random.default_rng(number)
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE - 0.5
    on = np.hypot(x, y) < 0.42
    depth = 400 + 20 * np.sin(9 * x) * np.cos(7 * y) + rng.normal(0, 0.1, x.shape)
    color = np.stack([0.5 + 0.3 * np.sin(k * x + y * 20) for k in (30, 40, 50)])
    if dent:
        at = rng.uniform(-0.2, 0.2, 2)
        bump = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 2 / 0.02**2)
        depth, color = depth + dent * bump, color - 0.3 * bump
    color = np.clip(color + rng.normal(0, 0.02, color.shape), 0, 1).astype(np.float32)
    cloud = np.stack([0.5 * x * depth, 0.5 * y * depth, depth]).astype(np.float32)
    color[:, ~on], cloud[:, ~on] = np.nan, np.nan
    axes = {"rgb": ("color", ["red", "green", "blue"], "1"), "points": ("axis", list("xyz"), "mm")}
    frames = {
        name: xr.DataArray(values, dims=(axes[name][0], "y", "x"),
                           coords={axes[name][0]: axes[name][1]},
                           attrs={"modality": name, "units": axes[name][2]})
        for name, values in (("rgb", color), ("points", cloud))
    }  # fmt: skip
    return new_scene(frames, reference="rgb", attrs={"capture": f"part/{number}"})


def made(learnt: int) -> Case:
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = timm.create_model("resnet18").eval()
    weights = Path(tempfile.mkdtemp()) / "resnet18.safetensors"
    save_file(network.state_dict(), weights)
    good = [capture(n) for n in range(learnt)]
    features = {"rgb": f"timm:resnet18@{weights}?stages=2,3&size=224", "points": "fpfh?stride=8"}
    ours = load("fusion", "late")(features=features).fit(good)
    theirs = Btf(network).fit(good)
    asked = [capture(100 + n) for n in range(6)] + [capture(200 + n, 2.0) for n in range(6)]
    turn = iter(range(10**9))

    def checks() -> Sequence[Check]:
        own = [float(ours.predict(scene)["image_score"]) for scene in asked]
        other = [theirs.predict(scene)[0] for scene in asked]
        return (
            Check("AUROC of ours, 6 good and 6 dented", auroc(own), least=auroc(other)),
            Check("AUROC of the recipe", auroc(other)),
        )

    return Case(
        ours=lambda: ours.predict(asked[next(turn) % 12]),
        rivals={"BTF recipe": lambda: theirs.predict(asked[next(turn) % 12])},
        targets={"BTF recipe": 4.0},
        checks=checks,
        rounds=6,
        memory=False,
        threads=(1,),
    )


def auroc(scores: list[float]) -> float:
    good, bad = np.array(scores[:6])[:, None], np.array(scores[6:])[None]
    return float(((bad > good) + 0.5 * (bad == good)).mean())


class Btf:
    """Our rendering of BTF: colour and FPFH side by side in one bank."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network

    def fit(self, scenes: list[xr.Dataset]) -> "Btf":
        rows = torch.cat([self.patches(scene) for scene in scenes])
        self.bank = rows[k_center(rows.float(), len(rows) // 10)]
        return self

    def predict(self, scene: xr.Dataset) -> tuple[float, np.ndarray]:
        rows = self.patches(scene)
        distances = torch.cdist(rows, self.bank)
        nearest, at = distances.min(1)
        worst = int(nearest.argmax())
        around = torch.cdist(self.bank[at[worst]][None], self.bank)[0].argsort()[:3]
        scale = rows.shape[1] ** 0.5
        others = torch.cdist(rows[worst][None], self.bank[around[1:]])[0]
        weight = 1 - torch.exp(nearest[worst] / scale) / torch.exp(others / scale).sum()
        grid = nearest.reshape(1, 1, 28, 28)
        pixels = interpolate(grid, (SIDE, SIDE), mode="bilinear")[0, 0].numpy()
        return float(weight * nearest[worst]), gaussian_filter(pixels, 4)

    @torch.no_grad()
    def patches(self, scene: xr.Dataset) -> torch.Tensor:
        shown = torch.from_numpy(np.nan_to_num(scene["rgb"].values))[None]
        mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
        spread = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
        stages = self.network.forward_intermediates(
            (shown - mean) / spread, indices=[2, 3], intermediates_only=True, output_fmt="NCHW"
        )
        grids = [*stages, torch.from_numpy(histograms(scene["points"].values))[None]]
        sized = [adaptive_avg_pool2d(avg_pool2d(grid, 3, 1), (28, 28)) for grid in grids]
        return torch.cat([grid.double() for grid in sized], 1)[0].flatten(1).T


def histograms(cloud: np.ndarray) -> np.ndarray:
    """FPFH as BTF calls Open3D for it: float64 (33, y, x), zeros in holes."""
    import open3d as o3d

    seen = np.isfinite(cloud).all(0)
    points = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(cloud[:, seen].T.astype(float)))
    points.estimate_normals(o3d.geometry.KDTreeSearchParamHybrid(radius=1e6, max_nn=30))
    hundred = o3d.geometry.KDTreeSearchParamHybrid(radius=1e6, max_nn=100)
    found = o3d.pipelines.registration.compute_fpfh_feature(points, hundred).data
    grid = np.zeros((33, *seen.shape))
    grid[:, seen] = found
    return grid
