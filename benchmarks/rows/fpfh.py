"""Normals and fast point feature histograms of an organised cloud.

The rival is Open3D, called as BTF calls it: normals of the 30 and histograms of the 100 nearest
points, found in a tree. Ours takes radii that hold as many on average. Agreement is that of each
point's 33 numbers when both sides are given the same oriented normals and the same radius.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from case import Case, Check
from rows._clouds import bent

from mmdefect.geometry.fpfh import fpfh
from mmdefect.geometry.grid import median_pitch
from mmdefect.geometry.normals import local_planes

TITLE = "Normals and FPFH on the grid"


def cases(quick: bool) -> dict[str, Callable[[], Case]]:
    sides = (224,) if quick else (224, 800)
    return {
        f"{side} x {side}, {share}": partial(made, side, share)
        for side in sides
        for share in ("object", "60 %")
    }


def made(side: int, share: str) -> Case:
    cloud = bent(side, share)
    pitch = median_pitch(cloud)
    near, far = (30 / np.pi) ** 0.5 * pitch, (101 / np.pi) ** 0.5 * pitch
    places = cloud[:, np.isfinite(cloud[0])].T.astype(float)
    return Case(
        ours=lambda: fpfh(cloud, local_planes(cloud, near).normals, far),
        rivals={"open3d": lambda: in_a_tree(places)},
        targets={"open3d": 12},
        checks=lambda: agreement(cloud, near, far),
        rounds=5 if side < 500 else 2,
    )


def in_a_tree(places: np.ndarray) -> object:
    import open3d as o3d

    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(places))
    cloud.estimate_normals(o3d.geometry.KDTreeSearchParamHybrid(radius=1e6, max_nn=30))
    hundred = o3d.geometry.KDTreeSearchParamHybrid(radius=1e6, max_nn=100)
    return o3d.pipelines.registration.compute_fpfh_feature(cloud, hundred).data


def agreement(cloud: np.ndarray, near: float, far: float) -> Sequence[Check]:
    import open3d as o3d

    normals = local_planes(cloud, near).normals
    seen = np.isfinite(cloud[0]) & np.isfinite(normals[0])
    ours = fpfh(cloud, normals, far)[:, seen].astype(float)
    tree = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(cloud[:, seen].T.astype(float)))
    tree.normals = o3d.utility.Vector3dVector(normals[:, seen].T.astype(float))
    search = o3d.geometry.KDTreeSearchParamRadius(far)
    theirs = o3d.pipelines.registration.compute_fpfh_feature(tree, search).data
    one, other = (side - side.mean(0) for side in (ours, theirs))
    cosine = (one * other).sum(0) / np.sqrt((one**2).sum(0) * (other**2).sum(0))
    return (
        Check("smallest correlation of a descriptor", float(np.nanmin(cosine)), least=0.998),
        Check("median correlation of a descriptor", float(np.nanmedian(cosine))),
    )
