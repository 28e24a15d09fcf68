"""The simulated bracket: closed solids, honest twins, defects within their hosts."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import ndimage
from solids import is_closed, signed_volume, told_of

from mmdefect.simulate.body import CHANNELS, Body, Part, Planted
from mmdefect.simulate.bracket import BRACKET
from mmdefect.simulate.bracket import defects as defects
from mmdefect.simulate.bracket.plan import (
    BORE_RADIUS_MM,
    HEIGHT_MM,
    INSERT_RADIUS_MM,
    OPTION_RADIUS_MM,
    WIDTH_MM,
    Bracket,
)
from mmdefect.simulate.bracket.shape import METAL, level, outline
from mmdefect.simulate.light.rgb import Lighting, render_rgb
from mmdefect.simulate.raster import Raster
from mmdefect.simulate.station import DISTANCE_MM, station
from mmdefect.simulate.tracer import World

KINDS = sorted(BRACKET.kinds)
SEEDS = range(8)


def drawn(seed: int) -> Bracket:
    plan: Bracket = BRACKET.draw(np.random.default_rng(seed))
    return plan


def planted(kind: str, seed: int) -> Planted:
    return BRACKET.kinds[kind].plant(np.random.default_rng(100 + seed), drawn(seed))


@cache
def told(kind: str, seed: int) -> tuple[Raster, dict[str, float], set[str]]:
    """What is kept of a defect; the parts are large."""
    return told_of(planted(kind, seed))


def volume_of(body: Body) -> float:
    return signed_volume(body.vertices, body.triangles)


def names(part: Part) -> set[str]:
    return {body.name for body in part.bodies}


@pytest.fixture(scope="module")
def good() -> dict[int, Part]:
    return {seed: BRACKET.build(drawn(seed)) for seed in range(6)}


def test_the_same_seed_makes_the_same_bracket(good: dict[int, Part]) -> None:
    again = BRACKET.build(drawn(3))
    for one, other in zip(good[3].bodies, again.bodies, strict=True):
        np.testing.assert_array_equal(one.vertices, other.vertices)
    np.testing.assert_array_equal(
        good[3].body(METAL).look.raster.values, again.body(METAL).look.raster.values
    )
    assert good[3].pose == again.pose
    assert not np.array_equal(good[3].pose.rotation, good[4].pose.rotation)


@pytest.mark.parametrize("seed", [0, 1])
def test_every_body_is_closed_and_faces_outwards(good: dict[int, Part], seed: int) -> None:
    for body in good[seed].bodies:
        assert is_closed(body.vertices, body.triangles), body.name
        assert volume_of(body) > 0, body.name


def test_the_metal_weighs_what_its_drawing_says(good: dict[int, Part]) -> None:
    plan = drawn(0)
    part = good[0]
    corner = (4 - np.pi) * 6.0**2
    slot = (16.0 - 5.6) * 5.6 + np.pi * 2.8**2
    gone = sum(np.pi * hole.radius**2 for hole in (*plan.holes, *plan.pins))
    gone += 2 * np.pi * INSERT_RADIUS_MM**2 + slot
    volume = (WIDTH_MM * HEIGHT_MM - corner - gone) * plan.thickness
    volume -= (34.0 * 22.0 - (4 - np.pi) * 4.0**2) * plan.pocket_depth
    volume += (52.0 * 5.0 - (4 - np.pi)) * plan.flange_height
    for boss in plan.bosses:
        volume += np.pi * (boss.radius**2 - INSERT_RADIUS_MM**2) * boss.height
    for hole in (spot for spot in plan.spots if spot.sunk):
        wide = hole.radius + 2.3
        cone = np.pi * 2.3 / 3 * (wide**2 + wide * hole.radius + hole.radius**2)
        volume -= cone - np.pi * hole.radius**2 * 2.3
    pieces = (METAL, "pocket", "bosses", "sinks", "flange")
    assert sum(volume_of(part.body(name)) for name in pieces) == pytest.approx(volume, rel=2e-3)


def test_rays_measure_the_volume_of_the_metal_and_of_a_bush(good: dict[int, Part]) -> None:
    world = World(good[0])
    pitch, far = 0.4, 1e5
    x, y = np.meshgrid(np.arange(-56, 56, pitch), np.arange(-50, 50, pitch))
    ends = np.stack([x.ravel(), y.ravel(), np.full(x.size, DISTANCE_MM)], -1)
    origin = np.array([0.0, 0.0, DISTANCE_MM - far])
    rays = ends - origin
    paths = world.paths(origin, rays / np.linalg.norm(rays, axis=1, keepdims=True))
    measured = paths.sum(axis=0) * pitch**2
    for name in (METAL, "pocket", "flange", "insert_1"):
        volume = volume_of(good[0].body(name))
        assert measured[world.body_index(name)] == pytest.approx(volume, rel=0.015), name


def test_from_the_camera_no_ray_slips_through_the_metal(good: dict[int, Part]) -> None:
    world, camera = World(good[0]), station(128).cameras["xray"]
    rays = camera.directions().reshape(-1, 3)
    hits = world.cast(camera.centre, rays)
    paths = world.paths(camera.centre, rays)
    x, y, _ = hits.places.T
    deep = np.flatnonzero(level(drawn(0))(x, y) < -1.5)
    assert len(deep) > 3000
    assert paths[deep][:, 1:6].sum(axis=1).min() > 6.8


def test_pose_and_dimensions_stay_within_their_tolerances(good: dict[int, Part]) -> None:
    for seed, part in good.items():
        plan = drawn(seed)
        middle = part.to_rig(np.zeros(3))
        assert np.abs(middle[:2]).max() <= 0.5 + 1e-4
        assert abs(middle[2] - DISTANCE_MM) <= 0.1 + 1e-4
        turn = np.rad2deg(np.arccos(np.clip((np.trace(part.pose.rotation) - 1) / 2, -1, 1)))
        assert turn <= 1.1
        assert abs(plan.thickness - 7.0) <= 0.1
        assert all(abs(spot.x) + 0.12 >= 38.0 for spot in plan.spots)
        table = part.to_rig(part.body("fixture").vertices)
        assert np.ptp(table[:, 2]) == pytest.approx(3.0, abs=1e-3), "the table lies level"


def test_about_half_of_the_brackets_are_drilled() -> None:
    drilled = np.mean([drawn(seed).drilled for seed in range(200)])
    assert 0.38 < drilled < 0.62


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_builds_and_has_its_extent_on_the_part(kind: str) -> None:
    for seed in SEEDS:
        extent, sizes, strange = told(kind, seed)
        where = extent.values > 0.5
        x, y = np.broadcast_arrays(*extent.axes)
        assert where.any(), seed
        assert (outline()(x[where], y[where]) < 0).all()
        assert where.mean() < 0.05, "a local defect is small"
        assert not strange
        assert all(np.isfinite(size) and size >= 0 for size in sizes.values())


@pytest.mark.parametrize(
    ("kind", "size", "limits"),
    [
        ("burr", "height_mm", defects.BURR_MM),
        ("dent", "diameter_mm", defects.DENT_MM),
        ("dent", "depth_mm", defects.DENT_DEPTH_MM),
        ("displaced_hole", "shift_mm", defects.SHIFT_MM),
        ("null", "depth_mm", (0.0, 0.0)),
        ("porosity", "pores", defects.PORES),
        ("porosity", "pore_mm", defects.PORE_MM),
        ("scratch", "length_mm", defects.SCRATCH_LENGTH_MM),
        ("scratch", "depth_mm", defects.SCRATCH_DEPTH_MM),
        ("stain", "diameter_mm", defects.STAIN_MM),
        ("void", "width_mm", defects.VOID_MM),
    ],
)
def test_sizes_lie_within_their_stated_ranges(
    kind: str, size: str, limits: tuple[float, float]
) -> None:
    sizes = [told(kind, seed)[1][size] for seed in SEEDS]
    assert limits[0] <= min(sizes)
    assert max(sizes) <= limits[1]


def differences(
    good: dict[int, Part], seed: int, kind: str
) -> tuple[Planted, np.ndarray, np.ndarray]:
    """Distances (mm) from a defect's extent to changed skin values, and to changed vertices."""
    one, other = good[seed], planted(kind, seed)
    raster = other.extent
    away = ndimage.distance_transform_edt(raster.values < 0.5) * raster.pitch
    skins = [part.body(METAL).look.raster.values for part in (one, other.part)]
    changed = away[(skins[0] != skins[1]).any(axis=-1)]
    moved = []
    for body in one.bodies:
        if body.name not in names(other.part):
            moved.append(body.vertices)
            continue
        rows = [{tuple(row) for row in part.body(body.name).vertices.tolist()} for part in (
            one, other.part)]  # fmt: skip
        moved.append(np.array(sorted(rows[0] ^ rows[1]), np.float32).reshape(-1, 3))
    places = np.concatenate(moved)
    reach = Raster(raster.x, raster.y, raster.pitch, away.astype(np.float32))
    return other, changed, reach.at(places[:, 0], places[:, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_twins_differ_only_within_the_reach_of_the_defect(good: dict[int, Part], kind: str) -> None:
    for seed in (0, 1):
        _, skin, vertices = differences(good, seed, kind)
        assert skin.size == 0 or skin.max() <= 2.5, "scratches fade over two millimetres"
        assert vertices.size == 0 or vertices.max() <= 1.2, "a mesh's cell and a half"


def test_a_null_defect_changes_nothing_at_all(good: dict[int, Part]) -> None:
    for seed in range(5):
        one, other = good[seed], planted("null", seed).part
        assert names(one) == names(other)
        for body in one.bodies:
            np.testing.assert_array_equal(body.vertices, other.body(body.name).vertices)
            np.testing.assert_array_equal(body.triangles, other.body(body.name).triangles)
        np.testing.assert_array_equal(
            one.body(METAL).look.raster.values, other.body(METAL).look.raster.values
        )


@pytest.mark.parametrize(("kind", "name"), [("void", "void"), ("porosity", "pores")])
def test_flaws_lie_inside_their_hosts(kind: str, name: str) -> None:
    for seed in range(8):
        part = planted(kind, seed).part
        flaw = part.body(name)
        assert flaw.material == "air"
        assert is_closed(flaw.vertices, flaw.triangles)
        host = part.body(flaw.host)
        world = World(replace(part, bodies=(host, flaw)))
        places = part.to_rig(flaw.vertices)
        centre = station(64).cameras["xray"].centre
        rays = places - centre
        paths = world.paths(centre, rays / np.linalg.norm(rays, axis=1, keepdims=True))
        assert (paths[:, 0] > paths[:, 1]).all(), "the host reaches beyond the flaw on every ray"
        heights = flaw.vertices[:, 2]
        assert heights.max() < -0.2
        assert heights.min() > -drawn(seed).thickness + 0.2


def test_pores_do_not_touch() -> None:
    defect = planted("porosity", 5)
    flaw = defect.part.body("pores")
    assert volume_of(flaw) > 0
    count = int(defect.sizes["pores"])
    rows = flaw.vertices.reshape(count, -1, 3)
    middles, radii = rows.mean(axis=1), np.ptp(rows[..., 2], axis=1) / 2
    gaps = np.linalg.norm(middles[:, None] - middles, axis=-1) - radii[:, None] - radii
    assert gaps[~np.eye(count, dtype=bool)].min() > 0


def test_a_dent_is_as_deep_as_it_was_drawn(good: dict[int, Part]) -> None:
    defect = planted("dent", 2)
    one, other = (
        np.concatenate([part.body(name).vertices for name in (METAL, "pocket")])
        for part in (good[2], defect.part)
    )
    drop = (one - other)[:, 2]
    assert 0.9 * defect.sizes["depth_mm"] < drop.max() <= defect.sizes["depth_mm"] + 1e-6


def test_a_missing_insert_leaves_its_hole_and_a_wrong_one_its_look(good: dict[int, Part]) -> None:
    for seed in range(6):
        one = good[seed]
        gone = names(one) - names(planted("missing_insert", seed).part)
        assert gone in ({"insert_1"}, {"insert_2"})
        other = planted("wrong_insert", seed).part
        wrong = [b.name for b in other.bodies if b.material != one.body(b.name).material]
        assert len(wrong) == 1
        np.testing.assert_array_equal(one.body(wrong[0]).vertices, other.body(wrong[0]).vertices)
        assert one.body(wrong[0]).look == other.body(wrong[0]).look


def test_a_printed_dot_looks_drilled_and_is_solid() -> None:
    plan = drawn(0)
    drilled, blank = (BRACKET.build(replace(plan, drilled=is_so)) for is_so in (True, False))
    dot = planted("printed_dot", 0).part
    option = plan.option
    skins = [part.body(METAL).look.raster for part in (drilled, dot)]
    x, y = skins[0].filled(lambda x, y: x + 0 * y), skins[0].filled(lambda x, y: y + 0 * x)
    away = option.away(x.values, y.values)
    rim = (away > option.radius + 0.2) & (away < option.radius + 3)
    np.testing.assert_array_equal(skins[0].values[rim], skins[1].values[rim])
    inside = away < OPTION_RADIUS_MM - 0.3
    ink = skins[1].values[inside]
    assert ink[:, :3].max() < 0.02, "nearly as dark as the depth of a hole"
    assert (ink[:, CHANNELS.index("metal")] == 0).all()
    for body in blank.bodies:
        np.testing.assert_array_equal(body.vertices, dot.body(body.name).vertices)


def test_the_printed_dot_reads_as_a_hole_in_colour_and_as_metal_in_height() -> None:
    plan = drawn(0)
    camera = station(128).cameras["rgb"]
    parts = {
        "drilled": BRACKET.build(replace(plan, drilled=True)),
        "blank": BRACKET.build(replace(plan, drilled=False)),
        "dot": planted("printed_dot", 0).part,
    }
    worlds = {name: World(part) for name, part in parts.items()}
    option = parts["dot"].to_rig(np.array([plan.option.x, plan.option.y, 0.0], np.float32))
    column, row = np.rint(camera.project(option)).astype(int)
    near = np.s_[row - 6 : row + 7, column - 6 : column + 7]
    seen = {n: render_rgb(w, camera, Lighting()).signal[near] / 655.35 for n, w in worlds.items()}
    assert np.abs(seen["dot"] - seen["drilled"]).mean() < 3
    assert np.abs(seen["dot"] - seen["blank"]).mean() > 8
    rays = camera.directions()[near].reshape(-1, 3)
    heights = {n: w.cast(camera.centre, rays).places[:, 2] for n, w in worlds.items()}
    np.testing.assert_array_equal(heights["dot"], heights["blank"])
    assert (heights["drilled"] < -5).sum() > 10


def test_a_bush_is_a_blind_bore(good: dict[int, Part]) -> None:
    plan, bush = drawn(0), good[0].body("insert_1")
    radius = np.hypot(*(bush.vertices[:, :2] - [plan.bosses[0].x, plan.bosses[0].y]).T)
    assert radius.max() < INSERT_RADIUS_MM
    assert np.isclose(radius, BORE_RADIUS_MM, atol=1e-3).any()
    assert bush.vertices[:, 2].min() == pytest.approx(-plan.thickness)
