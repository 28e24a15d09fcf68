"""A part, a rig and a scanner whose truth is known without the product: open3d casts the rays.

Floor with waves, steps of 0.3 to 12 mm, a pin, a tilted slab, a cylinder; a scanner with a
projector's shadow, noise and dropouts; colour, infrared and X-ray cameras elsewhere.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import open3d as o3d
import xarray as xr

from mmdefect.registration import BrownConrady, Camera, Division, Plane, Pose, Rig

DISTANCE = 450.0
FIELD = 112.0
PROJECTOR = np.array([-95.0, 20.0, 12.0])


def looking(place, at, roll_degrees=0.0) -> Pose:
    """Pose of a camera that looks from one place at another."""
    place, at = np.asarray(place, float), np.asarray(at, float)
    ahead = (at - place) / np.linalg.norm(at - place)
    right = np.cross([0.0, 1.0, 0.0], ahead)
    right /= np.linalg.norm(right)
    turn = cv2.Rodrigues(np.array([0, 0, np.deg2rad(roll_degrees)]))[0]
    rotation = turn @ np.stack([right, np.cross(ahead, right), ahead])
    return Pose(rotation, -rotation @ place)


def camera(place, size, field, lens, roll=0.0, **more) -> Camera:
    """Camera at a place, looking at the middle of the part."""
    at = np.array([0.0, 0.0, DISTANCE])
    focal = size * np.linalg.norm(at - place) / field
    middle = (size - 1) / 2
    return Camera(
        size, size, focal, 1.001 * focal, middle + 0.011 * size, middle - 0.007 * size, lens,
        looking(place, at, roll), **more,
    )  # fmt: skip


def make_rig(size: int, reference: str = "rgb") -> Rig:
    """Four sensors that share nothing; the X-ray source looks through the part."""
    source, pitch = np.array([21.0, -13.0, DISTANCE - 600.0]), FIELD * 1.15 * 1.04 / (1.2 * size)
    panel, shift = round(1.2 * size), source[:2] * 1.15 / pitch
    cameras = {
        "rgb": camera((0, 0, 0), size, FIELD, BrownConrady(-0.11, 0.05, 4e-4, -3e-4)),
        "points": camera((62, 8, 6), size, 118, BrownConrady(-0.06, 0.02, -2e-4, 3e-4), 0.8),
        "infrared": camera((-14, -105, 38), 3 * size // 4, 124, Division(-0.19), -1.5),
        "xray": Camera(
            panel, panel, 690 / pitch, 690 / pitch, (panel - 1) / 2 + shift[0],
            (panel - 1) / 2 + shift[1], pose=Pose(np.eye(3), -source), through=True,
        ),
    }  # fmt: skip
    plane = Plane(np.array([0.0, 0.0, DISTANCE]), np.array([0.0, 0.0, -1.0]))
    return Rig("planted", reference, cameras, plane)


def make_caster(rng: np.random.Generator) -> o3d.t.geometry.RaycastingScene:
    """Ray caster of a part in the rig's frame, mm."""
    caster = o3d.t.geometry.RaycastingScene()

    def add(mesh: o3d.geometry.TriangleMesh, turn=(0, 0, 0), to=(0, 0, 0)) -> None:
        mesh.rotate(cv2.Rodrigues(np.asarray(turn, float))[0], center=(0, 0, 0))
        mesh.translate(np.asarray(to, float) + np.array([0, 0, DISTANCE]))
        caster.add_triangles(o3d.t.geometry.TriangleMesh.from_legacy(mesh))

    nodes, phase = 240, rng.uniform(0, 6, 2)
    y, x = np.meshgrid(*[np.linspace(-75, 75, nodes)] * 2, indexing="ij")
    z = 0.8 * np.sin(x / 6 + phase[0]) * np.sin(y / 8 + phase[1]) + 0.02 * x
    corner = (np.arange(nodes - 1)[:, None] * nodes + np.arange(nodes - 1)).reshape(-1, 1)
    halves = [corner + np.array(c) for c in ((0, nodes, 1), (1, nodes, nodes + 1))]
    floor = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(np.stack([x, y, z], -1).reshape(-1, 3)),
        o3d.utility.Vector3iVector(np.concatenate(halves)),
    )
    add(floor)
    spots = iter(rng.permutation([(x, y) for x in (-33, 0, 33) for y in (-33, 0, 33)]))
    for height in (0.3, 1.0, 2.5, 6.0, 12.0):
        wide, long = rng.uniform(10, 24, 2)
        box = o3d.geometry.TriangleMesh.create_box(wide, long, height + 4)
        box.translate((-wide / 2, -long / 2, -height))
        add(box, (0, 0, rng.uniform(0, 3)), (*(next(spots) + rng.uniform(-3, 3, 2)), 0))
    for radius, height in ((1.2, 9.0), (7.0, 4.0)):
        tube = o3d.geometry.TriangleMesh.create_cylinder(radius, 2 * height, 48)
        add(tube, (0, 0, 0), (*next(spots), 0))
    slab = o3d.geometry.TriangleMesh.create_box(20, 14, 6)
    slab.translate((-10, -7, -3))
    add(slab, (rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), 0), (*next(spots), 0))
    return caster


@dataclass(frozen=True)
class Scan:
    """What the scanner delivers: realistic, and what it would without noise."""

    frame: xr.DataArray
    noise: float


def scan(caster, rig: Rig, rng: np.random.Generator, noise: float, truth) -> Scan:
    """Scan the part: noise along the ray, the projector's shadow, steep faces and dropouts.

    ``truth`` is ``registration_truth.cast``, which knows cameras by cv2 alone.
    """
    eye = rig.cameras["points"]
    points, centre, normals = truth(caster, eye)
    rays = points - centre
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    light = PROJECTOR - points
    reach = np.linalg.norm(light, axis=-1, keepdims=True)
    light /= reach
    start = points + 0.01 * light
    cast = np.concatenate([np.nan_to_num(start), np.nan_to_num(light)], -1).astype(np.float32)
    shadow = caster.test_occlusions(o3d.core.Tensor(cast)).numpy()
    facing = [abs((normals * towards).sum(-1)) for towards in (rays, light)]
    dark = np.minimum(*facing) < np.cos(np.deg2rad(72))
    lost = rng.random(shadow.shape) < 0.01
    for _ in range(25):
        row, column = rng.integers(0, eye.height, 2)
        radius = rng.integers(1, max(eye.height // 80, 3))
        lost[max(row - radius, 0) : row + radius, max(column - radius, 0) : column + radius] = True
    measured = points + rays * rng.normal(0, noise, reach.shape)
    own = measured @ eye.pose.rotation.T + eye.pose.translation
    own[shadow | dark | lost] = np.nan
    frame = xr.DataArray(
        np.moveaxis(own, -1, 0).astype(np.float32),
        dims=("axis", "y", "x"),
        coords={"axis": ["x", "y", "z"]},
        attrs={"modality": "points", "units": "mm"},
    )
    return Scan(frame, noise)
