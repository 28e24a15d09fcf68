"""The infrared camera: planted warmth, what metal mirrors, and the camera's own ways."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from mmdefect.errors import MmdefectError
from mmdefect.registration import Pose
from mmdefect.simulate.body import Body, Delamination, Finish, Part, Skin
from mmdefect.simulate.heat.board import BoardHeat, resistance
from mmdefect.simulate.heat.flash import ENERGY, arriving, conducted, lamp_seen
from mmdefect.simulate.heat.infrared import (
    EMISSIVITY,
    NETD,
    Heating,
    draw_bad_pixels,
    draw_heating,
    expose_infrared,
    render_infrared,
    render_sequence,
)
from mmdefect.simulate.heat.laminate import delamination_contrast
from mmdefect.simulate.heat.radiance import apparent, radiance, temperature
from mmdefect.simulate.heat.view import look
from mmdefect.simulate.heat.walls import walls_below
from mmdefect.simulate.shapes import Mesh, blob, box, plate, rectangle
from mmdefect.simulate.station import DISTANCE_MM, station
from mmdefect.simulate.tracer import World

MATT = Finish((0.05, 0.05, 0.05), roughness=0.6, emissivity=0.90)
BARE = Finish((0.9, 0.9, 0.9), roughness=0.2, specular=0.9, metal=1.0, emissivity=0.08)
CAMERA = station(128).cameras["infrared"]
FLAT = np.zeros(4, np.float32)
STILL = Heating(power=1.0, ambient=295.0, hood=0.0, pattern=FLAT, draught=1.0, narcissus=0.0)
POSE = Pose(np.eye(3), np.array([0.0, 0.0, DISTANCE_MM]))


def body(name: str, mesh: Mesh, material: str, look: Finish | Skin = MATT, host: str = "") -> Body:
    return Body(name, *mesh, material, look, host)


TABLE = body("fixture", box(170, 170, -12, -9), "abs")
PANEL = body("panel", box(90, 80, -4, 0), "cfrp")
GAP = Delamination("panel", 5.0, -8.0, 10.0, 1.0, 0.05)
FLASHED = Part((TABLE, PANEL), POSE)


def pixel_of(x: float, y: float, height: float = 0.0) -> tuple[int, int]:
    """Row and column of a place of the part."""
    column, row = CAMERA.project(np.array([x, y, DISTANCE_MM - height]))
    return round(float(row)), round(float(column))


def seen(part: Part, seconds: float | None = None, heating: Heating = STILL) -> np.ndarray:
    return render_infrared(World(part), CAMERA, heating, seconds).signal


def test_temperature_and_radiance_are_each_others_inverse() -> None:
    kelvin = np.array([250.0, 288.3, 300.0, 345.7])
    np.testing.assert_allclose(temperature(radiance(kelvin)), kelvin, atol=1e-6)
    assert radiance(300.0) == pytest.approx(1)
    # Wien's law around 10.5 µm: about 1.6 % per kelvin at 300 K
    assert radiance(301.0) - radiance(300.0) == pytest.approx(0.016, abs=0.001)


def test_a_camera_tells_the_truth_about_a_surface_of_its_own_emissivity() -> None:
    received = 0.9 * radiance(312.0) + 0.1 * radiance(295.0)
    assert apparent(received, 295.0, 0.9) == pytest.approx(312.0, abs=1e-3)
    metal = 0.08 * radiance(350.0) + 0.92 * radiance(295.0)
    assert apparent(metal, 295.0, 0.9) == pytest.approx(295.0 + 0.08 / 0.9 * 68, abs=0.2)


def test_a_laminate_warms_as_a_half_space_does() -> None:
    sight = look(World(FLASHED), CAMERA).sight
    share = float(np.median(arriving(sight, lamp_seen(sight), FLAT)[sight.hits.body == 1]))
    assert share == pytest.approx(1, abs=0.03)
    middle = seen(FLASHED, 2.0)[pixel_of(0, 0)]
    rise = share * 0.9 * ENERGY / (np.sqrt(0.67 * 1550 * 930) * np.sqrt(2 * np.pi))
    assert middle - 295.0 == pytest.approx(rise, rel=0.05)


def test_heating_is_uneven_by_a_tenth_or_two() -> None:
    sight = look(World(FLASHED), CAMERA).sight
    share = arriving(sight, lamp_seen(sight), draw_heating(np.random.default_rng(1)).pattern)
    low, high = np.percentile(share[sight.hits.body == 1], [1, 99])
    assert 0.1 < (high - low) / 2 < 0.25


def test_a_delamination_is_warmer_by_what_the_heat_model_says() -> None:
    for seconds in (1.0, 2.0, 4.0):
        warmer = seen(replace(FLASHED, delaminations=(GAP,)), seconds) - seen(FLASHED, seconds)
        _, contrast = delamination_contrast(1.0, 10.0, 0.05, [seconds])
        absorbed = 0.9 * ENERGY / 1e4
        assert warmer[pixel_of(5, -8)] == pytest.approx(absorbed * contrast[0, 0], rel=0.1)
        far = np.hypot(*(np.indices(warmer.shape).T - pixel_of(5, -8)).T) > 30
        assert np.abs(warmer[far]).max() == 0


def test_a_delamination_looks_the_wider_the_deeper_it_lies() -> None:
    widths = []
    for depth, seconds in ((0.5, 0.5), (1.0, 1.6), (2.0, 4.5)):
        flaw = replace(GAP, depth=depth, diameter=5.0)
        warmer = seen(replace(FLASHED, delaminations=(flaw,)), seconds) - seen(FLASHED, seconds)
        widths.append(float((warmer > warmer.max() / 2).sum()) ** 0.5)
    assert np.all(np.diff(widths) > 0.5)


def test_bare_aluminium_shows_next_to_nothing() -> None:
    block = body("plate", box(90, 80, -6, 0), "aluminium", BARE)
    void = body("void", blob(6, 6, 3), "air", host="plate").moved(5, -8, -3)
    bare = seen(Part((TABLE, block), POSE), 2.0)
    assert abs(bare[pixel_of(0, 0)] - 295.0) < 0.5
    assert seen(FLASHED, 2.0)[pixel_of(0, 0)] - 295.0 > 1.5
    hidden = seen(Part((TABLE, block, void), POSE), 2.0) - bare
    assert np.abs(hidden).max() < NETD / 2


def test_metal_mirrors_a_warm_hood_and_paint_does_not() -> None:
    for finish, share in ((BARE, 1.0), (MATT, 0.1)):
        metal = Part((TABLE, body("plate", box(90, 80, -6, 0), "aluminium", finish)), POSE)
        warmer = seen(metal, 60.0, replace(STILL, hood=2.0)) - seen(metal, 60.0)
        assert warmer[pixel_of(30, 20)] == pytest.approx(2.0 * share, abs=0.35)


def test_metal_beside_something_warm_mirrors_it() -> None:
    floor = body("floor", box(90, 80, -6, 0), "aluminium", BARE)
    wall = body("wall", box(60, 2, 0, 20), "abs").moved(0, 21)
    alone, beside = (seen(Part(bodies, POSE), 2.0) for bodies in ((floor,), (floor, wall)))
    # the camera stands at y = -105: near the wall it sees the wall in the floor
    assert beside[pixel_of(0, 18)] - alone[pixel_of(0, 18)] > 0.5
    assert abs(beside[pixel_of(0, -20)] - alone[pixel_of(0, -20)]) < 0.05


def test_walls_are_measured_and_what_backs_them_is_known() -> None:
    label = body("label", box(20, 20, 0, 0.2), "cfrp").moved(-20, 0)
    sunk = body("sunk", box(20, 20, -0.1, 0.3), "epoxy").moved(20, 20)
    void = body("void", box(12, 12, -2.0, -1.5), "air", host="panel").moved(20, -20)
    sight = look(World(Part((TABLE, PANEL, label, sunk, void), POSE)), CAMERA).sight
    walls = walls_below(sight, 100.0)
    x, y, height = sight.hits.places.T

    def near(u: float, v: float) -> np.ndarray:
        return (np.hypot(x - u, y - v) < 4) & (height > -0.01)

    def told(u: float, v: float) -> tuple[float, float]:
        here = near(u, v)
        return float(np.median(walls.thickness[here])), float(np.median(walls.reflection[here]))

    assert told(0, 30) == pytest.approx((4.0, 1.0), abs=1e-3)
    assert told(-20, 0) == pytest.approx((0.2, 0.0), abs=1e-3)
    assert told(20, -20) == pytest.approx((1.5, 1.0), abs=0.02)
    thickness, reflection = told(20, 20)
    assert thickness == pytest.approx(0.3, abs=1e-3)
    assert reflection < -0.2


def test_a_patch_of_the_same_laminate_is_as_warm_as_what_it_lies_on() -> None:
    patch = body("patch", box(24, 24, 0, 0.3), "cfrp").moved(-10, 10)
    with_patch = seen(replace(FLASHED, bodies=(TABLE, PANEL, patch)), 2.0)
    assert with_patch[pixel_of(-10, 10)] == pytest.approx(
        seen(FLASHED, 2.0)[pixel_of(-10, 10)], abs=0.05
    )


def test_spread_heat_is_kept_within_its_body() -> None:
    inside = np.zeros((60, 70), np.bool_)
    inside[10:50, 20:60] = True
    warm = np.where(inside, 3.0, 0.0).astype(np.float32)
    for sigma in (1.5, 14.0):
        np.testing.assert_allclose(conducted(warm, inside, sigma), 3.0, rtol=1e-4)
    spot = np.zeros((60, 70), np.float32)
    spot[30, 40] = 1.0
    field = np.zeros(inside.shape)
    field[inside] = conducted(spot, inside, 4.0)
    assert field.sum() == pytest.approx(1, rel=0.02)
    reference = ndimage.gaussian_filter(spot, 4.0)
    assert field.max() == pytest.approx(reference.max(), rel=0.02)


def test_a_shadow_of_the_flash_stays_cool() -> None:
    post = body("post", box(10, 10, 0, 30), "abs").moved(0, 0)
    shaded = seen(replace(FLASHED, bodies=(TABLE, PANEL, post)), 1.0) - seen(FLASHED, 1.0)
    # the lamp stands at (40, -240): the shadow falls towards +y
    assert shaded[pixel_of(-2, 15)] < -0.5
    assert abs(shaded[pixel_of(0, -25)]) < 0.1


BOARD = body("board", box(90, 70, -1.6, 0), "fr4")
CHIP = body("chip", box(14, 14, 0, 1.5), "epoxy").moved(-10, 5)
PLUG = body("plug", box(24, 8, 0, 11), "abs").moved(10, -24)
BEAD = body("bead", box(6, 6, 0, 2), "ceramic").moved(-10, 20)
MARK = body("mark", box(6, 6, 1.5, 1.6), "epoxy").moved(-10, 5)
POWERED = Part(
    (TABLE, BOARD, CHIP, PLUG, BEAD, MARK), POSE, powers={"chip": 1.2}, excitation="powered"
)


def test_a_powered_board_gives_its_power_to_the_air() -> None:
    sight = look(World(POWERED), CAMERA).sight
    heat = BoardHeat(POWERED)
    assert heat.sources().sum() * 0.25e-6 == pytest.approx(1.2, rel=1e-5)
    rise = heat.rise(sight.hits, [1e5])[0]
    x = sight.hits.places[:, 0]
    board = sight.hits.body == 1
    # the mean over the board, its hidden places filled by their neighbours
    means = [rise[board & (x > a) & (x <= a + 5)].mean() for a in range(-45, 45, 5)]
    assert 24.0 * 90e-3 * 70e-3 * np.mean(means) == pytest.approx(1.2, rel=0.1)


def test_a_chip_is_warmer_than_the_board_by_power_times_resistance() -> None:
    hits = look(World(POWERED), CAMERA).sight.hits
    rise = BoardHeat(POWERED).rise(hits, [1e5])[0]
    x, y, height = hits.places.T
    off = np.maximum(np.abs(x + 10), np.abs(y - 5))
    top = rise[(hits.body == 2) & (off > 5) & (height > 1.4)].mean()
    beside = rise[(hits.body == 1) & (np.abs(x + 2.5) < 0.5) & (np.abs(y - 5) < 5)].mean()
    assert resistance(196.0) * 1.2 == 12.0
    assert 12.0 < top - beside < 16.0
    mark = rise[(hits.body == 5) & (off > 2.6)].mean()
    assert mark == pytest.approx(rise[(hits.body == 2) & (off < 3.6)].mean(), abs=0.3)


def test_a_tall_plastic_plug_is_cool_on_top_and_ceramic_is_not() -> None:
    hits = look(World(POWERED), CAMERA).sight.hits
    rise = BoardHeat(POWERED).rise(hits, [1e5])[0]
    x, y, height = hits.places.T
    plug = rise[(hits.body == 3) & (height > 10.9)].mean()
    foot = rise[(hits.body == 1) & (np.abs(x - 10) < 10) & (np.abs(y + 18) < 1)].mean()
    m = np.sqrt(4 * 12.0 / (0.18 * 2e-3 * np.sqrt(24 * 8 / np.pi)))
    assert plug / foot == pytest.approx(1 / np.cosh(m * 0.011), rel=0.1)
    bead = rise[hits.body == 4].mean()
    around = rise[(hits.body == 1) & (np.abs(np.hypot(x + 10, y - 20) - 6) < 1)].mean()
    assert bead == pytest.approx(around, rel=0.08)


def test_a_dead_chip_is_seen_by_kelvins_and_the_table_stays_cool() -> None:
    dead = seen(replace(POWERED, powers={}))
    alive = seen(POWERED)
    assert alive[pixel_of(-10, 5, 1.6)] - dead[pixel_of(-10, 5, 1.6)] > 8
    assert alive[4, 4] == pytest.approx(295.0, abs=0.1)
    assert dead[pixel_of(0, 0)] == pytest.approx(295.0, abs=0.1)


def test_a_board_warms_up() -> None:
    frames = render_sequence(World(POWERED), CAMERA, STILL, [5.0, 30.0, 120.0, 900.0])
    assert np.all(np.diff(frames[:, *pixel_of(-10, 5, 1.5)]) > 0.2)
    assert np.all(np.diff(frames[:, *pixel_of(25, 20)]) > 0.05)


def test_a_warped_board_is_as_warm_as_a_flat_one() -> None:
    outline = rectangle(90, 70)

    def bow(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 0.0004 * (x * x + y * y)

    flat = body("board", plate(outline, 90, 70, 0.0, -1.6, 2.0), "fr4")
    warped = body("board", plate(outline, 90, 70, bow, lambda x, y: bow(x, y) - 1.6, 2.0), "fr4")
    hits = look(World(POWERED), CAMERA).sight.hits
    one, other = (
        BoardHeat(replace(POWERED, bodies=(TABLE, board, *POWERED.bodies[2:]))).rise(hits, [120.0])
        for board in (flat, warped)
    )
    here = hits.body == 1
    np.testing.assert_allclose(one[0, here], other[0, here], rtol=1e-4)


def test_a_powered_part_without_a_board_is_refused() -> None:
    with pytest.raises(MmdefectError, match="no body of 'fr4'"):
        BoardHeat(replace(POWERED, bodies=(TABLE,), powers={}))
    with pytest.raises(MmdefectError, match="'ghost'"):
        BoardHeat(replace(POWERED, powers={"ghost": 1.0}))


@pytest.mark.parametrize("part", [replace(FLASHED, delaminations=(GAP,)), POWERED])
def test_a_sequence_is_made_of_the_frames_of_its_moments(part: Part) -> None:
    heating = draw_heating(np.random.default_rng(3))
    world, times = World(part), [0.5, 2.0, 7.0]
    frames = render_sequence(world, CAMERA, heating, times)
    assert frames.shape == (3, CAMERA.height, CAMERA.width)
    assert frames.dtype == np.float32
    for moment, seconds in enumerate(times):
        frame = render_infrared(world, CAMERA, heating, seconds)
        np.testing.assert_array_equal(frame.signal, frames[moment])


def test_the_usual_moment_is_two_seconds_after_a_flash_and_two_minutes_after_power_on() -> None:
    np.testing.assert_array_equal(seen(FLASHED), seen(FLASHED, 2.0))
    np.testing.assert_array_equal(seen(POWERED), seen(POWERED, 120.0))


def test_drawn_noise_is_stated_noise_and_bad_pixels_are_nan() -> None:
    rng = np.random.default_rng(5)
    rendering = render_infrared(World(FLASHED), CAMERA, STILL)
    bad = draw_bad_pixels(CAMERA, rng)
    one, two = (expose_infrared(rendering, bad, rng) for _ in range(2))
    for frame in (one, two):
        np.testing.assert_array_equal(np.isnan(frame), bad)
        off = ((frame - rendering.signal) / rendering.noise)[~bad]
        assert off.std() == pytest.approx(1, abs=0.03)
        assert off.mean() == pytest.approx(0, abs=0.04)
    assert 3 <= bad.sum() < 10
    assert np.nanstd(two - one) == pytest.approx(NETD * np.sqrt(2), rel=0.03)
    np.testing.assert_array_equal(bad, draw_bad_pixels(CAMERA, np.random.default_rng(5)))


def test_the_same_seed_gives_the_same_bytes() -> None:
    def taken(seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        heating = draw_heating(rng)
        rendering = render_infrared(World(FLASHED), CAMERA, heating)
        return expose_infrared(rendering, draw_bad_pixels(CAMERA, rng), rng).tobytes()

    assert taken(1) == taken(1)
    assert taken(1) != taken(2)


def test_drift_of_flash_ambient_and_camera_is_bounded_and_felt() -> None:
    drawn = [draw_heating(np.random.default_rng(seed)) for seed in range(40)]
    assert all(abs(h.power - 1) <= 0.05 and abs(h.ambient - 295) <= 2 for h in drawn)
    still = seen(FLASHED)
    strong = seen(FLASHED, heating=replace(STILL, power=1.05)) - 295
    place = pixel_of(0, 0)
    assert strong[place] == pytest.approx(1.05 * (still[place] - 295), rel=0.01)
    ring = seen(FLASHED, heating=replace(STILL, narcissus=0.1)) - still
    assert ring[0, 0] == pytest.approx(0.1, abs=1e-3)
    assert ring[CAMERA.height // 2, CAMERA.width // 2] == pytest.approx(0, abs=1e-3)
    assert EMISSIVITY == 0.90


def test_tool_marks_tilt_the_mirror_on_top_and_not_on_the_sides() -> None:
    marked = Skin.of(BARE, 92, 82, 0.5)
    marked.channel("slope_x")[...] = 0.2
    tilted = POSE.rotation @ np.array([-0.2, 0.0, -1.0]) / np.hypot(0.2, 1)
    part = Part((TABLE, body("plate", box(90, 80, -6, 0), "aluminium", marked)), POSE)
    sight = look(World(part), CAMERA).sight
    top = (sight.hits.body == 1) & (sight.hits.places[:, 2] > -0.01)
    wall = (sight.hits.body == 1) & (sight.hits.places[:, 2] < -0.5)
    assert wall.any()
    np.testing.assert_allclose(sight.facets[top], np.tile(tilted, (top.sum(), 1)), atol=1e-4)
    np.testing.assert_allclose(sight.facets[wall], sight.hits.normals[wall], atol=1e-6)
