"""The simulated panel: closed solids, honest twins, flaws between its plies."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import ndimage
from solids import is_closed, signed_volume, told_of

from mmdefect.simulate.body import CHANNELS, Body, Part, Planted
from mmdefect.simulate.panel import PANEL
from mmdefect.simulate.panel import defects as defects
from mmdefect.simulate.panel.plan import (
    HEAD_MM,
    HEIGHT_MM,
    HOLE_RADIUS_MM,
    PAD_MM,
    PADS,
    SHANK_MM,
    WIDTH_MM,
    Bow,
    Panel,
)
from mmdefect.simulate.panel.shape import DENSITY_MM, LAMINATE, outline, pad
from mmdefect.simulate.panel.weave import TOW_MM, draw_weave, twill
from mmdefect.simulate.raster import Raster
from mmdefect.simulate.station import DISTANCE_MM, station
from mmdefect.simulate.tracer import World

KINDS = sorted(PANEL.kinds)
SEEDS = range(8)
WHOLE = ("warp",)


def drawn(seed: int) -> Panel:
    plan: Panel = PANEL.draw(np.random.default_rng(seed))
    return plan


def planted(kind: str, seed: int) -> Planted:
    return PANEL.kinds[kind].plant(np.random.default_rng(100 + seed), drawn(seed))


@cache
def told(kind: str, seed: int) -> tuple[Raster, dict[str, float], set[str]]:
    """What is kept of a defect; the parts are large."""
    return told_of(planted(kind, seed))


def volume_of(body: Body) -> float:
    return signed_volume(body.vertices, body.triangles)


def names(part: Part) -> set[str]:
    return {body.name for body in part.bodies}


def skin_of(part: Part) -> np.ndarray:
    return part.body(LAMINATE).look.raster.values


@pytest.fixture(scope="module")
def good() -> dict[int, Part]:
    return {seed: PANEL.build(drawn(seed)) for seed in range(6)}


def test_the_same_seed_makes_the_same_panel(good: dict[int, Part]) -> None:
    again = PANEL.build(drawn(3))
    for one, other in zip(good[3].bodies, again.bodies, strict=True):
        np.testing.assert_array_equal(one.vertices, other.vertices)
    np.testing.assert_array_equal(skin_of(good[3]), skin_of(again))
    np.testing.assert_array_equal(
        good[3].layers[0].thickness.values, again.layers[0].thickness.values
    )
    assert not np.array_equal(skin_of(good[3]), skin_of(good[4]))


@pytest.mark.parametrize("seed", [0, 1])
def test_every_body_is_closed_and_faces_outwards(good: dict[int, Part], seed: int) -> None:
    for body in good[seed].bodies:
        if body.name.startswith("fastener") and body.name != "fastener_1":
            continue
        assert is_closed(body.vertices, body.triangles), body.name
        assert volume_of(body) > 0, body.name


def test_laminate_and_pad_weigh_what_their_drawing_says(good: dict[int, Part]) -> None:
    plan = drawn(0)
    area = WIDTH_MM * HEIGHT_MM - (4 - np.pi) * 4.0**2
    area -= len(plan.holes) * np.pi * HOLE_RADIUS_MM**2
    area -= len(plan.fasteners) * np.pi * (SHANK_MM + 0.05) ** 2
    volume = volume_of(good[0].body(LAMINATE))
    assert volume == pytest.approx(area * plan.thickness, rel=2e-3)
    flat = PAD_MM[0] * PAD_MM[1] - (4 - np.pi) * 2.0**2
    assert volume_of(good[0].body("pad")) == pytest.approx(flat * plan.pad_height, rel=5e-3)


def test_rays_measure_the_same_volumes(good: dict[int, Part]) -> None:
    world = World(good[0])
    pitch, far = 0.4, 1e5
    x, y = np.meshgrid(np.arange(-56, 56, pitch), np.arange(-50, 50, pitch))
    ends = np.stack([x.ravel(), y.ravel(), np.full(x.size, DISTANCE_MM)], -1)
    origin = np.array([0.0, 0.0, DISTANCE_MM - far])
    rays = ends - origin
    paths = world.paths(origin, rays / np.linalg.norm(rays, axis=1, keepdims=True))
    measured = paths.sum(axis=0) * pitch**2
    for name in (LAMINATE, "pad", "fastener_1"):
        volume = volume_of(good[0].body(name))
        assert measured[world.body_index(name)] == pytest.approx(volume, rel=0.02), name


def test_in_the_middle_of_the_plate_every_ray_feels_its_thickness(good: dict[int, Part]) -> None:
    world, camera = World(good[0]), station(128).cameras["xray"]
    rays = camera.directions().reshape(-1, 3)
    x, y, _ = world.cast(camera.centre, rays).places.T
    free = defects.room(drawn(0), x, y)
    through = world.paths(camera.centre, rays)[:, world.body_index(LAMINATE)]
    assert through[free > 1].min() > 3.9
    assert through[free > 1].max() < 4.2


def test_a_twill_tow_covers_two_crossings_and_steps_by_one() -> None:
    weave = replace(
        draw_weave(np.random.default_rng(1)), phase=(0.0, 0.0), turn=0.0, waviness=(0, 0, 0, 0)
    )
    middles = (np.arange(8) + 0.5) * TOW_MM
    cloth = twill(middles[None, :], middles[:, None], weave)
    warp = cloth.angle > 0.1
    column, row = np.meshgrid(np.arange(8), np.arange(8))
    np.testing.assert_array_equal(warp, (column + row) % 4 < 2)
    assert warp.mean() == 0.5
    np.testing.assert_allclose(np.abs(cloth.slope), 0.3, rtol=1e-3)


def test_good_panels_carry_their_pad_at_either_place() -> None:
    first = np.mean([drawn(seed).pad == 0 for seed in range(200)])
    assert 0.38 < first < 0.62
    assert all(drawn(seed).pad == drawn(seed).pad_look for seed in range(50))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_builds_and_has_its_extent_on_the_part(kind: str) -> None:
    for seed in SEEDS:
        extent, sizes, strange = told(kind, seed)
        where = extent.values > 0.5
        x, y = np.broadcast_arrays(*extent.axes)
        assert where.any(), seed
        assert (outline()(x[where], y[where]) < 0).all()
        assert kind in WHOLE or where.mean() < 0.15
        assert not strange
        assert all(np.isfinite(size) for size in sizes.values())


@pytest.mark.parametrize(
    ("kind", "size", "limits"),
    [
        ("delamination", "diameter_mm", defects.DELAMINATION_MM),
        ("delamination", "depth_mm", defects.DELAMINATION_DEPTH_MM),
        ("delamination", "gap_mm", defects.GAP_MM),
        ("impact", "depth_mm", defects.IMPACT_DEPTH_MM),
        ("inclusion", "width_mm", defects.INCLUSION_MM),
        ("inclusion", "depth_mm", defects.INCLUSION_DEPTH_MM),
        ("misplaced_label", "shift_mm", defects.LABEL_SHIFT_MM),
        ("null", "depth_mm", (0.0, 0.0)),
        ("scratch", "length_mm", defects.SCRATCH_LENGTH_MM),
        ("stain", "strength", defects.STAIN_STRENGTH),
        ("warp", "amplitude_mm", defects.WARP_MM),
    ],
)
def test_sizes_lie_within_their_stated_ranges(
    kind: str, size: str, limits: tuple[float, float]
) -> None:
    sizes = [told(kind, seed)[1][size] for seed in SEEDS]
    assert limits[0] <= min(sizes)
    assert max(sizes) <= limits[1]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in WHOLE])
def test_twins_differ_only_within_the_reach_of_the_defect(good: dict[int, Part], kind: str) -> None:
    for seed in (0, 1):
        one, defect = good[seed], planted(kind, seed)
        raster = defect.extent
        away = ndimage.distance_transform_edt(raster.values < 0.5) * raster.pitch
        changed = away[(skin_of(one) != skin_of(defect.part)).any(axis=-1)]
        assert changed.size == 0 or changed.max() <= 2.5, "scratches fade over two millimetres"
        moved = [np.zeros((0, 3), np.float32)]
        for body in one.bodies:
            other = [b for b in defect.part.bodies if b.name == body.name]
            if not other:
                moved.append(body.vertices)
            elif not np.array_equal(body.vertices, other[0].vertices):
                assert len(body.vertices) == len(other[0].vertices)
                moved.append(body.vertices[(body.vertices != other[0].vertices).any(axis=1)])
        places = np.concatenate(moved)
        reach = Raster(raster.x, raster.y, raster.pitch, away.astype(np.float32))
        assert (reach.at(places[:, 0], places[:, 1]) <= 0.5).all()
        assert one.pose == defect.part.pose


def test_a_null_defect_changes_nothing_at_all(good: dict[int, Part]) -> None:
    for seed in range(5):
        one, other = good[seed], planted("null", seed).part
        assert names(one) == names(other)
        for body in one.bodies:
            np.testing.assert_array_equal(body.vertices, other.body(body.name).vertices)
            np.testing.assert_array_equal(body.triangles, other.body(body.name).triangles)
        np.testing.assert_array_equal(skin_of(one), skin_of(other))
        assert other.delaminations == ()


@pytest.mark.parametrize(("kind", "name"), [("delamination", "gap"), ("inclusion", "scrap")])
def test_flaws_lie_between_the_plies_of_the_laminate(kind: str, name: str) -> None:
    for seed in SEEDS[:8]:
        plan = drawn(seed)
        part = planted(kind, seed).part
        flaw = part.body(name)
        assert flaw.host == LAMINATE
        assert is_closed(flaw.vertices, flaw.triangles)
        x, y, height = flaw.vertices.astype(np.float64).T
        assert (outline()(x, y) < 0).all()
        assert (height < plan.surface(x, y) - 0.3).all()
        assert (height > plan.underside(x, y) + 0.3).all()
        assert (defects.room(plan, x, y) > -1e-3).all()


def test_a_delamination_is_told_to_heat_and_to_x_rays_alike() -> None:
    plan = drawn(1)
    defect = planted("delamination", 1)
    (gap,) = defect.part.delaminations
    air = defect.part.body("gap").vertices
    assert np.ptp(air[:, 0]) == pytest.approx(gap.diameter, rel=0.01)
    assert np.ptp(air[:, 2]) == pytest.approx(gap.gap, rel=0.01)
    top = float(plan.surface(gap.x, gap.y))
    assert top - air[:, 2].max() == pytest.approx(gap.depth, abs=1e-4)


def test_a_bow_is_as_large_as_it_was_drawn_and_everything_follows_it(
    good: dict[int, Part],
) -> None:
    plan = drawn(2)
    defect = planted("warp", 2)
    one, other = good[2], defect.part
    lift = (other.body(LAMINATE).vertices - one.body(LAMINATE).vertices)[:, 2]
    amplitude = defect.sizes["amplitude_mm"]
    assert 0.6 * amplitude < np.ptp(lift) < 2.2 * amplitude
    for number, place in enumerate(plan.fasteners, start=1):
        rise = float(
            other.body(f"fastener_{number}").vertices[0, 2]
            - one.body(f"fastener_{number}").vertices[0, 2]
        )
        near = np.argmin(np.hypot(*(one.body(LAMINATE).vertices[:, :2] - [place.x, place.y]).T))
        assert rise == pytest.approx(float(lift[near]), abs=0.08)


def test_a_bow_has_its_stated_rise_at_the_edges() -> None:
    bow = Bow(along_x=0.3, along_y=0.0, twist=0.2)
    assert bow.rise(WIDTH_MM / 2, 0.0) - bow.rise(0.0, 0.0) == pytest.approx(0.3)
    assert bow.rise(WIDTH_MM / 2, HEIGHT_MM / 2) - bow.rise(
        -WIDTH_MM / 2, HEIGHT_MM / 2
    ) == pytest.approx(0.4)


def test_fasteners_go_missing_and_get_mixed_up_one_at_a_time(good: dict[int, Part]) -> None:
    for seed in range(5):
        one = good[seed]
        missing = planted("missing_fastener", seed)
        assert len(names(one) - names(missing.part)) == 1
        assert missing.extent.values.sum() * 0.04 == pytest.approx(np.pi * HEAD_MM**2, rel=0.05)
        wrong = planted("wrong_fastener", seed).part
        swapped = [b for b in wrong.bodies if b.material != one.body(b.name).material]
        assert [body.material for body in swapped] == ["steel"]
        np.testing.assert_array_equal(swapped[0].vertices, one.body(swapped[0].name).vertices)
        assert swapped[0].look == one.body(swapped[0].name).look


def test_a_printed_pad_is_good_for_each_sensor_alone(good: dict[int, Part]) -> None:
    plan = drawn(0)
    part = planted("printed_pad", 0).part
    looks_like = PANEL.build(replace(plan, pad=1 - plan.pad, pad_look=1 - plan.pad))
    stands_like = good[0]
    np.testing.assert_array_equal(skin_of(part), skin_of(looks_like))
    for body in stands_like.bodies:
        np.testing.assert_array_equal(body.vertices, part.body(body.name).vertices)
    assert np.abs(skin_of(part) - skin_of(stands_like))[..., CHANNELS.index("fibre")].max() > 0.5
    for which, place in enumerate(PADS):
        assert pad(plan.pad_place(which))(*place) < -5
    assert plan.pad_height > 0.3


def test_the_label_moves_within_its_tolerance_and_a_misplaced_one_beyond() -> None:
    shifts = [np.hypot(plan.label.x, plan.label.y + 17.0) for plan in map(drawn, range(60))]
    assert max(shifts) < 0.45
    assert defects.LABEL_SHIFT_MM[0] > 2 * max(shifts)


def test_the_film_of_fibres_is_thin_and_spares_the_holes(good: dict[int, Part]) -> None:
    (film,) = good[0].layers
    thick = film.thickness
    assert film.material == "cfrp"
    assert 0 <= thick.values.min()
    assert 0.1 < thick.values.max() <= DENSITY_MM + 1e-6
    assert thick.values.std() > 0.01
    place = drawn(0).holes[0]
    assert thick.at(np.array([place.x]), np.array([place.y])) == 0
