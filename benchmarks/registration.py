"""Seconds for the registration of one capture: 800 x 800, four sensors, a scanner's cloud.

    OMP_NUM_THREADS=2 python benchmarks/registration.py

Runs of all ways alternate, and the medians are printed; processor time is that of all threads
together, and tells more than the clock where others use the machine too. The yardstick is what
one writes without compiled loops: a triangle mesh for open3d's ray caster, which finds the
surface and tests every point for occlusion, and SciPy's interpolation; it casts on two threads.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import open3d as o3d
import xarray as xr
from scipy import ndimage

from mmdefect.jit import threads
from mmdefect.registration import Rig
from mmdefect.registration.placing import Registration

sys.path.insert(0, str(Path(__file__).parent))
import planted
import registration_truth


def make_frames(rig: Rig, size: int) -> dict[str, xr.DataArray]:
    """Frames of one capture: noise for pictures, a realistic cloud for the scanner."""
    rng = np.random.default_rng(0)
    caster = planted.make_caster(rng)
    frames = {"points": planted.scan(caster, rig, rng, 0.04, registration_truth.cast).frame}
    leading = {"rgb": ("color", 3, "1"), "infrared": (None, 1, "K"), "xray": ("energy", 1, "1")}
    for name, (dim, count, unit) in leading.items():
        camera = rig.cameras[name]
        values = rng.random((count, camera.height, camera.width), dtype=np.float32)
        frames[name] = xr.DataArray(
            values if dim else values[0],
            dims=((dim,) if dim else ()) + ("y", "x"),
            attrs={"modality": name, "units": unit},
        )
    frames["rgb"] = frames["rgb"].assign_coords(color=["red", "green", "blue"])
    return frames


def naive(rig: Rig, frames: dict[str, xr.DataArray]) -> dict[str, np.ndarray]:
    """The same by open3d, NumPy and SciPy."""
    scanner, reference = rig.cameras["points"], rig.cameras[rig.reference]
    cloud = scanner.pose.out_of(np.moveaxis(frames["points"].values, 0, -1).astype(np.float64))
    rows, columns = cloud.shape[:2]
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1, 1)
    triangles = np.concatenate(
        [corner + np.array(c) for c in ((0, columns, 1), (1, columns, columns + 1))]
    )
    flat = cloud.reshape(-1, 3).astype(np.float32)
    depth = flat[:, 2][triangles]
    triangles = triangles[np.ptp(depth, axis=1) < 1.0].astype(np.uint32)
    caster = o3d.t.geometry.RaycastingScene(nthreads=threads())
    caster.add_triangles(o3d.core.Tensor(np.nan_to_num(flat)), o3d.core.Tensor(triangles))
    rays = reference.directions()
    lines = np.concatenate([np.broadcast_to(reference.centre, rays.shape), rays], -1)
    hit = caster.cast_rays(o3d.core.Tensor(lines.astype(np.float32)))["t_hit"].numpy()
    points = reference.centre + rays * np.where(np.isfinite(hit), hit, np.nan)[..., None]
    placed = {}
    for name, frame in frames.items():
        if name in (rig.reference, "points"):
            continue
        camera = rig.cameras[name]
        pixels = camera.project(points)
        values = frame.values.reshape(-1, *frame.shape[-2:])
        at = [pixels[..., 1], pixels[..., 0]]
        sampled = np.stack([ndimage.map_coordinates(v, at, order=1, cval=np.nan) for v in values])
        if not camera.through:
            away = points - camera.centre
            distance = np.linalg.norm(away, axis=-1, keepdims=True)
            lines = np.concatenate(
                [np.broadcast_to(camera.centre, away.shape), away / distance], -1
            )
            first = caster.cast_rays(o3d.core.Tensor(np.nan_to_num(lines).astype(np.float32)))
            sampled[:, first["t_hit"].numpy() < distance[..., 0] - 0.3] = np.nan
        placed[name] = sampled
    return placed


def main() -> None:
    """Time both ways for two references."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--size", type=int, default=800)
    asked.add_argument("--runs", type=int, default=7)
    told = asked.parse_args()
    print(f"{told.size} x {told.size}, {threads()} threads, median of {told.runs} runs")
    ways = {}
    for reference in ("rgb", "points"):
        rig = planted.make_rig(told.size, reference)
        frames = make_frames(rig, told.size)
        registration = Registration(rig)
        ways[f"reference {reference}: place"] = lambda r=registration, f=frames: r.place(f)
        ways[f"reference {reference}: scene"] = lambda r=registration, f=frames: r.scene(f)
        if reference == "rgb":
            ways["reference rgb: naive"] = lambda r=rig, f=frames: naive(r, f)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for run in range(told.runs + 1):
        for name, way in ways.items():
            start, busy = time.perf_counter(), time.process_time()
            way()
            if run:
                taken[name].append((time.perf_counter() - start, time.process_time() - busy))
    for name, runs in taken.items():
        wall, busy = (1e3 * statistics.median(column) for column in zip(*runs, strict=True))
        print(f"{name:<25} {wall:7.1f} ms, {busy:7.1f} ms of processor time")


if __name__ == "__main__":
    main()
