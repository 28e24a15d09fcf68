"""Radiographs against the part's shape: planted lengths, laws, blurs, places and voids."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from mmdefect.dataset import Dataset
from mmdefect.errors import CardError, SensorError
from mmdefect.features._contrast import contrast_of
from mmdefect.radiography.absorption import attenuation, repaired
from mmdefect.radiography.expected import blurred, expected_attenuation
from mmdefect.radiography.normalise import Normaliser, behind
from mmdefect.radiography.pose import find_pose, moved
from mmdefect.radiography.shape import ShapeOptions
from mmdefect.radiography.solid import Solid
from mmdefect.registration import Camera, Plane, Pose, Rig, write_rig
from mmdefect.sensors.xray import Xray
from mmdefect.simulate.shapes import box

SIZE = 96
CAMERA = Camera(SIZE, SIZE, 400.0, 400.0, 48.3, 47.1, pose=Pose(), through=True)
MIDDLE = np.array([0.0, 0.0, 300.0])
GDXRAY = Path(__file__).resolve().parents[2] / "shared/data/gdxray"


def block(
    *sides: float, at: tuple[float, float, float] = (0, 0, 0)
) -> tuple[np.ndarray, np.ndarray]:
    """A box about the middle of the view, in the rig's frame."""
    x, y, z = sides
    vertices, triangles = box(x, y, -z / 2, z / 2)
    return vertices * [1, 1, -1] + MIDDLE + at, triangles


def joined(*meshes: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in meshes)])
    faces = [f + s for (_, f), s in zip(meshes, starts, strict=False)]
    return np.concatenate([vertices for vertices, _ in meshes]), np.concatenate(faces)


STEPPED = joined(
    block(40, 30, 6), block(12, 12, 4, at=(8, -4, -5)), block(6, 20, 8, at=(-12, 0, -7))
)


def test_attenuation_adds_up_and_ends_where_nothing_comes_through():
    through = np.array([1.0, np.exp(-2), 0.0, -0.01, np.nan])
    told = attenuation(through)
    np.testing.assert_allclose(told[:2], [0, 2], atol=1e-12)
    np.testing.assert_allclose(told[2:4], -np.log(1e-4))
    assert np.isnan(told[4])


def test_dead_pixels_get_their_neighbours_median_and_deep_clusters_stay_blind():
    slope = np.add.outer(np.arange(12.0), np.arange(15.0))
    dead = np.zeros(slope.shape, bool)
    dead[2, 3] = dead[0, 0] = True
    dead[4:11, 6:13] = True
    filled = repaired(np.where(dead, 1e9, slope), dead)
    assert filled[2, 3] == slope[2, 3]
    assert abs(filled[0, 0] - slope[0, 0]) <= 1
    assert np.isnan(filled[6:9, 8:11]).all()
    assert np.isfinite(filled).sum() == filled.size - 9
    np.testing.assert_array_equal(filled[~dead], slope[~dead])


def test_a_ray_runs_as_far_in_a_block_as_geometry_says():
    lengths = Solid(*block(40, 30, 6)).lengths(CAMERA)
    rays = CAMERA.directions()
    place = rays / rays[..., 2:] * 300.0
    inside = (np.abs(place[..., 0]) < 19) & (np.abs(place[..., 1]) < 14)
    np.testing.assert_allclose(lengths[inside], (6 / rays[..., 2])[inside], rtol=1e-4)
    outside = (np.abs(place[..., 0]) > 21) | (np.abs(place[..., 1]) > 16)
    assert (lengths[outside] == 0).all()
    both = Solid(*STEPPED).lengths(CAMERA)
    parts = [block(40, 30, 6), block(12, 12, 4, at=(8, -4, -5)), block(6, 20, 8, at=(-12, 0, -7))]
    alone = sum(Solid(*mesh).lengths(CAMERA) for mesh in parts)
    known = np.isfinite(both) & np.isfinite(alone)
    np.testing.assert_allclose(both[known], alone[known], atol=1e-3)


def test_a_moved_solid_is_the_mesh_with_moved_corners():
    vertices, triangles = STEPPED
    solid = Solid(vertices, triangles)
    pose = moved(np.array([1.0, -0.7, 2.0, 0.02, -0.03, 0.1]), solid.middle)
    one, other = solid.lengths(CAMERA, pose), Solid(pose.into(vertices), triangles).lengths(CAMERA)
    close = np.abs(one - other) < 1e-2
    assert close.mean() > 0.995


def test_a_mesh_that_is_not_closed_is_refused(tmp_path):
    vertices, triangles = block(40, 30, 6)
    top = (vertices[triangles][..., 2] < 298).all(axis=1)
    open_mesh = Solid(vertices, triangles[~top], "cad 'part.stl'")
    with pytest.raises(CardError, match=r"in and not out again, but a closed mesh"):
        open_mesh.lengths(CAMERA)
    with pytest.raises(CardError, match=r"cad cannot be read: .*none.stl"):
        Solid.read("cad", tmp_path / "none.stl")
    (tmp_path / "empty.stl").write_text("solid nothing\nendsolid nothing\n")
    with pytest.raises(CardError, match=r"cad cannot be read: .*empty.stl"):
        Solid.read("cad", tmp_path / "empty.stl")


def radiograph(
    lengths: np.ndarray, void: np.ndarray | float = 0.0, blur: float = 1.2, noise: float = 0.004
) -> np.ndarray:
    """−log transmission of a hardening beam behind a blurred, noisy, tilted panel."""
    way = np.nan_to_num(lengths) - void
    through = 0.6 * np.exp(-0.09 * way) + 0.4 * np.exp(-0.05 * way)
    seen = ndimage.gaussian_filter(through, blur)
    seen *= 1.02 + 0.01 * np.linspace(-1, 1, SIZE)[:, None]
    return attenuation(seen + np.random.default_rng(0).normal(0, noise, seen.shape))


def hollow() -> np.ndarray:
    """A flattened ball, 4 mm wide and 2.5 mm high, in the block, as lengths (y, x), mm."""
    rows, columns = np.indices((SIZE, SIZE))
    away = np.hypot(columns - 40, rows - 60) * 0.75 / 2
    return 2.5 * np.sqrt(np.maximum(1 - away**2, 0))


def test_what_the_shape_leaves_is_the_void():
    lengths = Solid(*STEPPED).lengths(CAMERA)
    void = hollow()
    seen = radiograph(lengths, void)
    found = expected_attenuation(seen, [lengths])
    inside = (lengths > 1) & np.isfinite(lengths)
    raw, left = (roc_auc_score((void > 0.5)[inside], -p[inside]) for p in (seen, seen - found[0]))
    assert raw < 0.9
    assert left > 0.97
    assert found.blur == pytest.approx(1.2, abs=0.3)
    assert found.spread == pytest.approx(0.006, abs=0.003)
    without = expected_attenuation(seen, [lengths], blur=0.0)
    assert np.abs(seen - without[0])[inside].max() > 1.5 * np.abs(seen - found[0])[inside].max()


def test_two_materials_have_each_their_own_law():
    body, insert = (Solid(*mesh).lengths(CAMERA) for mesh in (block(40, 30, 6), block(8, 8, 6)))
    way = 0.08 * (np.nan_to_num(body) - np.nan_to_num(insert)) + 0.4 * np.nan_to_num(insert)
    seen = blurred(way, 1.0) + np.random.default_rng(1).normal(0, 0.003, way.shape)
    one = expected_attenuation(seen, [body])
    two = expected_attenuation(seen, [body, insert])
    inserted = insert > 3
    assert np.median((seen - one.attenuation)[inserted]) > 0.7
    assert abs(np.median((seen - two.attenuation)[inserted])) < 0.02


def test_a_frame_without_the_part_is_refused():
    air = np.random.default_rng(0).normal(0, 0.01, (SIZE, SIZE))
    with pytest.raises(SensorError, match="0 pixels whose thickness is known"):
        expected_attenuation(air, [np.zeros((SIZE, SIZE))])


def test_the_place_of_a_moved_part_is_found_to_a_fraction_of_a_pixel():
    solid = Solid(*STEPPED)
    true = moved(np.array([0.8, -0.6, 0.0, 0.0, 0.0, 0.02]), solid.middle)
    seen = radiograph(solid.lengths(CAMERA, true))
    found = find_pose(seen, [solid], CAMERA)
    corners = STEPPED[0].astype(np.float64)
    before, off = (
        float(np.sqrt(((pose.into(corners) - true.into(corners))[:, :2] ** 2).mean()))
        for pose in (Pose(), found)
    )
    assert before > 0.7
    assert off < 0.35  # mm; a pixel is 0.75 mm there


def test_from_a_front_to_a_flat_back_is_the_way_of_the_beam():
    rays = CAMERA.directions()
    front = np.moveaxis(rays / rays[..., 2:] * 297.0, -1, 0)
    front[:, 5, 6] = np.nan
    front[:, 7, 8] *= 310 / 297
    back = Plane(np.array([5.0, 5.0, 303.0]), np.array([0.0, 0.0, -2.0]))
    way = behind(front, CAMERA, back)
    wanted = 6 / rays[..., 2]
    assert np.isnan(way[5, 6])
    assert way[7, 8] == 0
    wanted[[5, 7], [6, 8]] = way[[5, 7], [6, 8]]
    np.testing.assert_allclose(way, wanted, rtol=1e-6)


# ---------------------------------------------------------------- adapter and cards


def test_the_adapter_gives_attenuation_and_names_it(tmp_path):
    counts = np.array([[1000, 500, 250], [0, 1000, 900]], np.uint16)
    Image.fromarray(counts).save(tmp_path / "a.png")
    frame = Xray(white=1000, quantity="attenuation").read(tmp_path / "a.png")
    np.testing.assert_allclose(frame.values[0], -np.log(np.maximum(counts / 1000, 1e-4)), rtol=1e-5)
    assert frame.attrs == {"units": "1", "modality": "xray", "quantity": "attenuation"}
    planes, _ = contrast_of(frame)
    np.testing.assert_array_equal(planes.numpy(), frame.values)
    plain = Xray(white=1000).read(tmp_path / "a.png")
    assert "quantity" not in plain.attrs
    np.testing.assert_allclose(contrast_of(plain)[0].numpy()[0], frame.values[0], rtol=1e-4)


def test_dead_pixels_are_repaired_when_the_card_says_so(tmp_path):
    flat = np.full((6, 7), 1000.0)
    flat[2, 3] = 0
    np.save(tmp_path / "flat.npy", flat)
    np.save(tmp_path / "a.npy", np.full((6, 7), 300.0))
    options = {"flat": tmp_path / "flat.npy"}
    assert np.isnan(Xray(**options).read(tmp_path / "a.npy").values[0, 2, 3])
    frame = Xray(**options, repair=True).read(tmp_path / "a.npy")
    np.testing.assert_allclose(frame, 0.3, rtol=1e-6)


def test_two_energies_are_two_labels(tmp_path):
    np.save(tmp_path / "a.npy", np.dstack([np.full((4, 5), 0.3), np.full((4, 5), 0.6)]))
    frame = Xray(unit="1", energies=[80, 140], quantity="attenuation").read(tmp_path / "a.npy")
    assert frame.energy.values.tolist() == [80, 140]
    np.testing.assert_allclose(frame.sel(energy=140), -np.log(0.6), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quantity": "density"}, "one of transmission, attenuation, excess, ratio"),
        ({"quantity": "attenuation"}, "the open beam's level is not known"),
        ({"white": 9, "cad": "a.stl"}, "cad were given for quantity 'transmission'"),
        ({"white": 9, "quantity": "excess"}, "needs the part's shape from cad"),
        ({"white": 9, "quantity": "excess", "cad": "a.stl", "surface": "points"}, "one of the two"),
        ({"white": 9, "quantity": "ratio", "surface": "points", "fittings": "b.stl"}, "one of the"),
        ({"white": 9, "quantity": "excess", "cad": 3}, "cad is 3"),
        ({"white": 9, "quantity": "excess", "surface": 3}, "surface is 3"),
        ({"white": 9, "quantity": "excess", "cad": "a.stl", "blur": -1}, "blur is -1"),
        ({"white": 9, "quantity": "excess", "cad": "a.stl", "align": 1}, "align is 1"),
        ({"repair": "yes"}, "repair is 'yes'"),
        ({"energies": [80, 80]}, "energies is"),
        ({"energies": []}, "energies is"),
    ],
)
def test_a_quantity_that_cannot_be_told_is_an_error_of_the_card(options, said):
    with pytest.raises(CardError, match=said):
        Xray(**options)


@pytest.mark.skipif(not GDXRAY.is_dir(), reason="GDXray is not here")
def test_castings_of_gdxray_give_an_attenuation():
    path = sorted(GDXRAY.glob("Castings/C0001/*.png"))[0]
    frame = Xray(white=255, quantity="attenuation", repair=True).read(path)
    grey = np.asarray(Image.open(path), dtype=float)
    np.testing.assert_allclose(frame.values[0], -np.log(np.maximum(grey / 255, 1e-4)), rtol=1e-4)
    assert np.isfinite(frame).all()


CARD = """
name = "block"
[frames]
xray = "{{split}}/{{kind}}/xray/{{capture}}.npy"
points = "{{split}}/{{kind}}/points/{{capture}}.npy"
[sensors.xray]
unit = "1"
quantity = "excess"
{shape}
[sensors.points]
unit = "mm"
[rig]
file = "rig.toml"
"""
LOOKING = Camera(SIZE, SIZE, 400.0, 400.0, 47.5, 47.5, pose=Pose())


@pytest.fixture
def station(tmp_path):
    """A block with a hollow under an X-ray source and a scanner, as files."""
    vertices, triangles = block(40, 30, 6)
    corners = vertices[triangles]
    lines = ["solid block"]
    for a, b, c in corners:
        lines += ["facet normal 0 0 0", "outer loop"]
        lines += [f"vertex {x:.6f} {y:.6f} {z:.6f}" for x, y, z in (a, b, c)]
        lines += ["endloop", "endfacet"]
    (tmp_path / "part.stl").write_text("\n".join([*lines, "endsolid block"]))
    plane = Plane(np.array([0.0, 0.0, 297.0]), np.array([0.0, 0.0, -1.0]))
    write_rig(
        Rig("cell", "points", {"points": LOOKING, "xray": CAMERA}, plane), tmp_path / "rig.toml"
    )
    rays = LOOKING.directions()
    front = rays / rays[..., 2:] * 297.0
    beside = (np.abs(front[..., 0]) > 20) | (np.abs(front[..., 1]) > 15)
    front[beside] = (rays / rays[..., 2:] * 303.0)[beside]
    seen = radiograph(Solid(vertices, triangles).lengths(CAMERA), hollow())
    for name, frame in {"xray": np.exp(-seen), "points": front}.items():
        (tmp_path / "train/good" / name).mkdir(parents=True)
        np.save(tmp_path / "train/good" / name / "1.npy", frame.astype(np.float32))
    return tmp_path


@pytest.mark.parametrize(
    "shape", ['cad = "part.stl"', 'cad = "part.stl"\nalign = false', 'surface = "points"\nback = 6']
)
def test_a_card_holds_radiographs_against_cad_or_the_scanners_surface(station, shape):
    (station / "card.toml").write_text(CARD.format(shape=shape))
    parts = Dataset(station / "card.toml", station)
    capture = parts.captures(parts.categories[0])[0]
    scene = parts.scene(capture)
    assert not parts.refused
    assert scene["xray"].attrs["quantity"] == "excess"
    excess = scene["xray"].values[0]
    inner = excess[24:72, 24:72]
    row, column = np.unravel_index(np.nanargmin(inner), inner.shape)
    wanted = LOOKING.project(CAMERA.directions()[60, 40] * 300)
    assert np.hypot(row + 24 - wanted[1], column + 24 - wanted[0]) < 3
    assert np.nanmin(inner) < -0.06
    assert abs(np.nanmedian(inner)) < 0.005


def test_a_shape_without_a_rig_or_a_scan_says_what_lacks(station):
    told = 'surface = "points"\nback = 6'
    (station / "card.toml").write_text(CARD.format(shape=told))
    (station / "train/good/points/1.npy").unlink()
    parts = Dataset(station / "card.toml", station)
    scene = parts.scene(parts.captures(parts.categories[0])[0])
    assert not scene["valid"].sel(sensor="xray").any()
    assert "that frame is missing" in parts.refused[0].why
    text = CARD.format(shape=told).split("[rig]")[0]
    (station / "card.toml").write_text(text)
    parts = Dataset(station / "card.toml", station)
    with pytest.raises(
        CardError, match=r"\[sensors.xray\] quantity 'excess' needs .* \[rig\] file"
    ):
        parts.scene(parts.captures(parts.categories[0])[0])


def test_a_rig_that_does_not_know_the_panel_the_scanner_or_the_back_is_refused(tmp_path):
    plane = Plane(np.array([0.0, 0.0, 297.0]), np.array([0.0, 0.0, -1.0]))
    by_scan = ShapeOptions("excess", surface="points", back=6.0)
    with pytest.raises(CardError, match=r"has no \[cameras.xray\]"):
        Normaliser(Rig("cell", "points", {"points": LOOKING}, plane), "xray", by_scan)
    both = {"points": LOOKING, "xray": CAMERA}
    with pytest.raises(CardError, match="surface is 'depth'"):
        Normaliser(
            Rig("cell", "points", both, plane), "xray", ShapeOptions("excess", surface="depth")
        )
    with pytest.raises(CardError, match=r"has none; add \[surface\]"):
        Normaliser(Rig("cell", "points", both), "xray", by_scan)
