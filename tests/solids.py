"""What a closed mesh must be, for tests of shapes and of the products made of them."""

import numpy as np

from mmdefect.simulate.body import Planted
from mmdefect.simulate.raster import Raster


def told_of(defect: Planted) -> tuple[Raster, dict[str, float], set[str]]:
    """A defect's extent, its sizes, and what casts shadows that is no body of its part."""
    own = {body.name for body in defect.part.bodies}
    return defect.extent, defect.sizes, set(defect.shadows) - own


def signed_volume(vertices: np.ndarray, triangles: np.ndarray) -> float:
    """By the divergence theorem; negative when the mesh faces inwards."""
    a, b, c = np.moveaxis(vertices.astype(np.float64)[triangles], 1, 0)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def is_closed(vertices: np.ndarray, triangles: np.ndarray) -> bool:
    """Whether every edge is walked as often one way as the other, corners taken by place."""
    _, index = np.unique(np.round(vertices, 4), axis=0, return_inverse=True)
    faces = index.ravel()[triangles.astype(np.int64)]
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    count = int(index.max()) + 1
    ways = edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0]
    return np.array_equal(*(np.sort(way[edges[:, 0] != edges[:, 1]]) for way in ways))
