"""Deviation from a reference shape: signs and distances by hand, alignment, models."""

import struct
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from mmdefect import Inspection
from mmdefect.cards import read_card
from mmdefect.dataset import Dataset
from mmdefect.errors import FeatureError
from mmdefect.features import extractor
from mmdefect.fitting import fit
from mmdefect.geometry.deviation import Shape
from mmdefect.mesh_files import Mesh, read_mesh
from mmdefect.miniature import write_miniature
from mmdefect.settings import Settings

pytest.importorskip("open3d", exc_type=ImportError)

L = np.array([[0, 0], [40, 0], [40, 15], [15, 15], [15, 30], [0, 30]], np.float64)
HIGH = 10.0


def bracket() -> Mesh:
    """Extrude an L: convex edges, one hollow edge, corners of all kinds."""
    low, high = (np.column_stack([L, np.full(6, z)]) for z in (0.0, HIGH))
    caps = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 5], [3, 4, 5]])
    walls = [[i, (i + 1) % 6, (i + 1) % 6 + 6] for i in range(6)]
    walls += [[i, (i + 1) % 6 + 6, i + 6] for i in range(6)]
    triangles = np.vstack([caps[:, ::-1], caps + 6, walls])
    return Mesh(np.vstack([low, high]).astype(np.float32), triangles.astype(np.int32))


def inside(points: np.ndarray) -> np.ndarray:
    """Tell by hand which points lie in the L."""
    x, y, z = points.T
    arm = (x > 0) & (x < 40) & (y > 0) & (y < 15)
    leg = (x > 0) & (x < 15) & (y > 0) & (y < 30)
    return (arm | leg) & (z > 0) & (z < HIGH)


def test_the_sign_is_right_everywhere_and_at_edges_too():
    rng = np.random.default_rng(0)
    spread = rng.uniform([-20, -20, -15], [60, 50, 25], (20000, 3))
    mesh = bracket()
    ends = mesh.corners[rng.integers(0, 12, 4000)] + rng.normal(0, 1.5, (4000, 3))
    points = np.vstack([spread, ends])
    found = Shape(mesh).deviation(points)
    clear = np.abs(found) > 1e-4
    assert ((found < 0) == inside(points))[clear].all()


def test_the_distance_from_a_box_is_the_one_of_the_formula():
    mesh = Mesh(
        np.array([[x, y, z] for x in (-3, 3) for y in (-4, 4) for z in (-5, 5)], np.float32),
        np.array([[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7],
                  [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]], np.int32),
    )  # fmt: skip
    points = np.random.default_rng(1).uniform(-9, 9, (5000, 3))
    out = np.abs(points) - [3, 4, 5]
    wanted = np.linalg.norm(out.clip(0), axis=1) + out.max(axis=1).clip(max=0)
    np.testing.assert_allclose(Shape(mesh).deviation(points), wanted, atol=2e-5)


def save(path: Path, mesh: Mesh) -> Path:
    """Write a mesh as STL."""
    body = b"".join(
        struct.pack("<12fH", 0, 0, 0, *corners.ravel(), 0)
        for corners in mesh.corners[mesh.triangles]
    )
    path.write_bytes(bytes(80) + struct.pack("<I", len(mesh.triangles)) + body)
    return path


def scan(dent: float = 0.0) -> np.ndarray:
    """Look at the top of the L from above: (3, y, x), a dent around (8, 22)."""
    y, x = np.mgrid[0.25:30:0.5, 0.25:40:0.5]
    z = np.full(x.shape, HIGH)
    z[(x - 8) ** 2 + (y - 22) ** 2 < 9] -= dent
    cloud = np.stack([x, y, z])
    cloud[:, (x > 15) & (y > 15)] = np.nan
    return cloud


def frame(cloud: np.ndarray, units: str = "mm") -> xr.DataArray:
    return xr.DataArray(
        cloud.astype(np.float32),
        dims=("axis", "y", "x"),
        coords={"axis": ["x", "y", "z"]},
        attrs={"modality": "points", "units": units},
    )


def moved(cloud: np.ndarray, degrees: float, shift: tuple[float, float, float]) -> np.ndarray:
    """Turn a cloud about z and shift it."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turned = np.einsum("ab,byx->ayx", np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]), cloud)
    return turned + np.array(shift)[:, None, None]


def test_a_dent_is_as_deep_as_it_was_made(tmp_path):
    made = extractor(f"deviation@{save(tmp_path / 'part.stl', bracket())}")
    flat = made.deviation(scan().astype(np.float32))
    seen = np.isfinite(scan()[0])
    assert np.array_equal(np.isfinite(flat), seen)
    np.testing.assert_allclose(flat[seen], 0, atol=1e-5)
    dented = made.deviation(scan(0.3).astype(np.float32))
    y, x = np.mgrid[0.25:30:0.5, 0.25:40:0.5]
    where = (x - 8) ** 2 + (y - 22) ** 2 < 9
    np.testing.assert_allclose(dented[where], -0.3, atol=1e-5)
    np.testing.assert_allclose(dented[seen & ~where], 0, atol=1e-5)


def test_features_are_mean_spread_size_and_share_of_a_patch(tmp_path):
    made = extractor(f"deviation@{save(tmp_path / 'part.stl', bracket())}?stride=5")
    made.adapt([frame(scan())])
    described = made.features(frame(scan(0.3)))
    assert described.shape == (4, 12, 16)
    deepest = described.sel(y=44 - 0.5, x=16 - 0.5, method="nearest")
    level, spread, size, share = deepest.values
    assert level == pytest.approx(-size, rel=1e-4)
    assert level < -0.14
    assert 0 < spread < 0.15
    assert share == pytest.approx(1)
    assert np.isnan(described.sel(y=50, x=70, method="nearest")).all()
    assert np.abs(described.sel(y=10, x=60, method="nearest").values[:3]).max() < 1e-4


@pytest.mark.parametrize(
    ("degrees", "shift"),
    [(0.0, (0.0, 0.0, 0.4)), (1.5, (0.6, -0.5, 0.2)), (-0.2, (-0.1, 0.1, -0.8))],
)
def test_a_cloud_is_brought_onto_its_shape_and_a_dent_has_no_say(tmp_path, degrees, shift):
    mesh = save(tmp_path / "part.stl", bracket())
    tilted = moved(scan(0.3), degrees, shift)
    tilted[2] += 0.01 * tilted[0] * np.sign(degrees or 1)
    plain, aligned = (extractor(f"deviation@{mesh}{how}") for how in ("", "?align=5"))
    before, after = (each.deviation(tilted.astype(np.float32)) for each in (plain, aligned))
    y, x = np.mgrid[0.25:30:0.5, 0.25:40:0.5]
    where = (x - 8) ** 2 + (y - 22) ** 2 < 6
    rest = np.isfinite(scan()[0]) & ((x - 8) ** 2 + (y - 22) ** 2 > 12)
    assert np.nanmax(np.abs(before[rest])) > 0.3
    assert np.nanquantile(np.abs(after[rest]), 0.95) < 0.01
    np.testing.assert_allclose(after[where], -0.3, atol=0.02)


def test_a_cloud_that_lies_elsewhere_is_not_dragged_onto_the_shape(tmp_path):
    mesh = save(tmp_path / "part.stl", bracket())
    far = moved(scan(), 0, (0, 0, 6)).astype(np.float32)
    found = extractor(f"deviation@{mesh}?align=5").deviation(far)
    np.testing.assert_allclose(found[np.isfinite(found)], 6, atol=1e-4)


def test_unit_pose_and_reach_bring_mesh_and_cloud_together(tmp_path):
    mesh = bracket()
    inches = save(tmp_path / "part.stl", Mesh(mesh.corners / np.float32(25.4), mesh.triangles))
    placed = moved(scan(0.3), 90, (100, -20, 7)).astype(np.float32)
    made = extractor(f"deviation@{inches}?unit=inch&pose=100,-20,7,0,0,90&reach=0.2")
    found = made.deviation(placed)
    known = np.isfinite(found)
    np.testing.assert_allclose(found[known], 0, atol=1e-4)
    assert 0 < (np.isfinite(placed[0]) & ~known).sum() < 200  # the dent is out of reach


def test_the_name_tells_the_mesh_by_its_content(tmp_path):
    first, second = (save(tmp_path / f"{name}.stl", bracket()) for name in "ab")
    names = [extractor(f"deviation@{file}?align=1.5").name for file in (first, second)]
    assert names[0] == names[1]
    assert names[0].startswith("deviation@mesh#")
    assert names[0].endswith("?align=1.5")
    assert read_mesh(first).digest.startswith(names[0].partition("#")[2][:12])


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("deviation", "was given no mesh"),
        ("deviation@gone.stl", r"the mesh of 'deviation' cannot be read: gone\.stl: is no file"),
        ("deviation?pose=1,2,3", "pose is .1, 2, 3., but a shift in mm and turns"),
        ("deviation?unit=foot", "unit is 'foot'"),
        ("deviation?align=-1", "align is -1"),
    ],
)
def test_what_cannot_be_a_reference_is_refused(spec, said):
    with pytest.raises(FeatureError, match=said):
        extractor(spec).features(frame(scan()))


def test_points_without_a_unit_are_refused(tmp_path):
    made = extractor(f"deviation@{save(tmp_path / 'part.stl', bracket())}")
    with pytest.raises(FeatureError, match="the points are in 'relative'"):
        made.features(frame(scan(), "relative"))


def test_a_model_carries_its_mesh_and_loads_elsewhere(tmp_path):
    write_miniature(read_card("mvtec3d"), tmp_path / "plates", train=8, test=4, side=32)
    scenes = Dataset("mvtec3d", tmp_path / "plates", sensors=["points"])
    scene = scenes.scene(scenes.captures("plate", "test")[0])
    x, y, z = (float(scene["points"].sel(axis=axis).median()) for axis in "xyz")
    corners = np.array([[x - a, y - b, z] for a in (-999, 999) for b in (-999, 999)], np.float32)
    sheet = Mesh(corners, np.array([[0, 1, 2], [2, 1, 3]], np.int32))
    spec = f"deviation@{save(tmp_path / 'part.stl', sheet)}?reach=500"
    settings = Settings(sensors=("points",), features={"points": spec}, false_alarm=0.3)
    inspection, _ = fit("mvtec3d", tmp_path / "plates", tmp_path / "model", settings=settings)
    wanted = inspection.predict(scene)
    (tmp_path / "part.stl").unlink()
    (tmp_path / "model").rename(tmp_path / "elsewhere")
    again = Inspection.load(tmp_path / "elsewhere").predict(scene)
    np.testing.assert_array_equal(again["sensor_map"], wanted["sensor_map"])
    assert np.isfinite(wanted["sensor_map"]).any()
    (carried,) = (tmp_path / "elsewhere" / "weights").iterdir()
    assert read_mesh(carried).digest == Mesh(*_sorted(sheet)).digest


def _sorted(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Order corners as a reader does."""
    corners, places = np.unique(mesh.corners, axis=0, return_inverse=True)
    return corners, places.reshape(-1)[mesh.triangles].astype(np.int32)
