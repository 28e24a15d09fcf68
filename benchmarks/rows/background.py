"""The plane behind a part and the crumbs around it, taken away.

The rival is our rendering of the recipe that BTF, M3DM and CFM share, with Open3D: RANSAC on a
frame of ten pixels (4 mm, 50 points a hypothesis, 1,000 iterations), points within 5 mm of the
plane dropped, DBSCAN of the rest (6 mm, 30 points), the largest cluster kept.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from case import Case, Check
from rows._clouds import on_a_table

from mmdefect.geometry.background import background

TITLE = "Plane removal and cleaning"


def cases(quick: bool) -> dict[str, Callable[[], Case]]:
    sides = (224,) if quick else (224, 800)
    return {f"{side} x {side}": partial(made, side) for side in sides}


def made(side: int) -> Case:
    cloud, part = on_a_table(side)
    seen = np.isfinite(cloud[0])

    def checks() -> Sequence[Check]:
        ours = seen & ~background(cloud).mask
        theirs = recipe(cloud)
        truth = part & seen
        return (
            Check("IoU of the kept pixels with the recipe's", iou(ours, theirs), least=0.99),
            Check("IoU of ours with the true part", iou(ours, truth)),
            Check("IoU of the recipe's with the true part", iou(theirs, truth)),
        )

    return Case(
        ours=lambda: background(cloud),
        rivals={"DBSCAN recipe": lambda: recipe(cloud)},
        targets={"DBSCAN recipe": 100} if side > 500 else {},
        checks=checks,
        rounds=3,
        once=("DBSCAN recipe",) if side > 500 else (),
        threads=(1,),  # of each but RANSAC, which is the least of it
        memory=side < 500,
    )


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def recipe(cloud: np.ndarray) -> np.ndarray:
    """Keep what the recipe keeps: bool (y, x)."""
    import open3d as o3d

    o3d.utility.random.seed(0)
    points = np.moveaxis(cloud, 0, -1).astype(np.float64) / 1000
    points[~np.isfinite(points).all(-1)] = 0
    frame = np.concatenate(
        [points[:10].reshape(-1, 3), points[-10:].reshape(-1, 3),
         points[10:-10, :10].reshape(-1, 3), points[10:-10, -10:].reshape(-1, 3)]
    )  # fmt: skip
    border = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(frame[(frame != 0).all(1)]))
    plane, _ = border.segment_plane(distance_threshold=0.004, ransac_n=50, num_iterations=1000)
    flat = points.reshape(-1, 3)
    kept = (np.abs(flat @ plane[:3] + plane[3]) >= 0.005) & (flat != 0).all(1)
    rest = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(flat[kept]))
    labels = np.asarray(rest.cluster_dbscan(eps=0.006, min_points=30))
    largest = np.bincount(labels[labels >= 0]).argmax()
    mask = np.zeros(len(flat), dtype=bool)
    mask[np.flatnonzero(kept)[labels == largest]] = True
    return mask.reshape(cloud.shape[1:])
