"""Normals and FPFH on the grid against Open3D: time and agreement.

    python benchmarks/fpfh.py [--rounds 5] [--sizes 224,800]

Open3D is called as BTF calls it: normals of the 30, FPFH of the 100 nearest points, found in a
tree (hybrid search, the radius no limit). Ours takes radii that hold as many on average. Both sides
get the same float32 cloud in turns, A B A B, in one process for each number of threads, so that
another load on the machine meets both. Printed: medians; the median ratio of neighbouring runs and
its range, by the clock and in processor time, which a busy machine disturbs less; and how far the
two agree when both are given the same normals: on the same neighbours (Open3D with a pure radius)
and on the 100 nearest.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="224,800")
    parser.add_argument("--threads", type=int, help="used by this script itself")
    given = parser.parse_args()
    if given.threads:
        compare(given.threads, [int(side) for side in given.sizes.split(",")], given.rounds)
        return
    for threads in (1, 2):
        arguments = [*sys.argv[1:], "--threads", str(threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        subprocess.run([sys.executable, __file__, *arguments], env=environment, check=True)


def compare(threads: int, sides: list[int], rounds: int) -> None:
    import numpy as np

    for side in sides:
        for share in ("all", "60 %", "object"):
            cloud = made_up(side, share)
            seen = np.isfinite(cloud[0])
            ours, theirs = on_the_grid(cloud), in_a_tree(cloud[:, seen].T.astype(float))
            ours()
            rows = np.array([[*seconds(theirs), *seconds(ours)] for _ in range(rounds)])
            wall, cpu = rows[:, 0] / rows[:, 2], rows[:, 1] / rows[:, 3]
            middle = 1e3 * np.median(rows, axis=0)
            print(
                f"{side}x{side} {share:>6}  {threads} thread(s)  {seen.sum():>6} points: "
                f"open3d {middle[0]:7.0f} ms  grid {middle[2]:7.1f} ms  "
                f"ratio {np.median(wall):5.1f} ({wall.min():.1f} to {wall.max():.1f}), of "
                f"processor time {np.median(cpu):5.1f} ({cpu.min():.1f} to {cpu.max():.1f})",
                flush=True,
            )
        if threads == 1:
            agreement(made_up(side, "60 %"))


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Time by the clock, and of all processors."""
    clock, processors = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processors


def made_up(side: int, share: str):
    """A smooth part before a camera, noise of a scanner, holes: (3, y, x), mm, float32."""
    import numpy as np

    rng = np.random.default_rng(0)
    y, x = (np.mgrid[:side, :side] + 0.5) / side - 0.5
    depth = 400 + 20 * np.sin(9 * x) * np.cos(7 * y) + 5 * np.hypot(x, y) + 20 * x
    depth += rng.normal(0, 0.1 * 224 / side, depth.shape)
    cloud = np.stack([0.5 * x * depth, 0.5 * y * depth, depth]).astype(np.float32)
    if share != "all":
        cloud[:, np.hypot(x, y) > {"60 %": 0.44, "object": 0.3}[share]] = np.nan
        cloud[:, rng.random(depth.shape) < 0.02] = np.nan
    return cloud


def radii(cloud) -> tuple[float, float]:
    """Radii that hold 30 and 101 points of a square grid, the middle one included."""
    from mmdefect.geometry.grid import median_pitch

    pitch = median_pitch(cloud)
    return (30 / 3.1416) ** 0.5 * pitch, (101 / 3.1416) ** 0.5 * pitch


def on_the_grid(cloud) -> Callable[[], object]:
    from mmdefect.geometry.fpfh import fpfh
    from mmdefect.geometry.normals import local_planes

    near, far = radii(cloud)
    return lambda: fpfh(cloud, local_planes(cloud, near).normals, far)


def in_a_tree(places) -> Callable[[], object]:
    import open3d as o3d

    def work() -> object:
        tree = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(places))
        tree.estimate_normals(o3d.geometry.KDTreeSearchParamHybrid(radius=1e6, max_nn=30))
        hundred = o3d.geometry.KDTreeSearchParamHybrid(radius=1e6, max_nn=100)
        return o3d.pipelines.registration.compute_fpfh_feature(tree, hundred).data

    return work


def agreement(cloud) -> None:
    """Compare the descriptors when both sides are given the same oriented normals."""
    import numpy as np
    import open3d as o3d

    from mmdefect.geometry.fpfh import fpfh
    from mmdefect.geometry.normals import local_planes

    near, far = radii(cloud)
    normals = local_planes(cloud, near).normals
    seen = np.isfinite(cloud[0]) & np.isfinite(normals[0])
    ours = fpfh(cloud, normals, far)[:, seen].astype(float)
    tree = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(cloud[:, seen].T.astype(float)))
    tree.normals = o3d.utility.Vector3dVector(normals[:, seen].T.astype(float))
    searches = {
        "same neighbours": o3d.geometry.KDTreeSearchParamRadius(far),
        "100 nearest": o3d.geometry.KDTreeSearchParamHybrid(radius=1e6, max_nn=100),
    }
    for name, search in searches.items():
        theirs = o3d.pipelines.registration.compute_fpfh_feature(tree, search).data
        one, other = (side - side.mean(0) for side in (ours, theirs))
        cosine = (one * other).sum(0) / np.sqrt((one**2).sum(0) * (other**2).sum(0))
        apart = np.abs(ours - theirs)
        print(
            f"    {name}: correlation of descriptors, smallest {np.nanmin(cosine):.6f}, "
            f"median {np.nanmedian(cosine):.6f}; numbers that differ by more than 0.01 of 200: "
            f"{(apart > 0.01).mean():.1e}, at most by {apart.max():.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
