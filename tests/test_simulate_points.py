"""The simulated scanner, against geometry and phase shifting worked out without it."""

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from mmdefect.registration import Camera, Pose
from mmdefect.simulate.body import Body, Finish, Part
from mmdefect.simulate.light import phase as phase_of
from mmdefect.simulate.light.points import (
    WORST_MM,
    Scanning,
    draw_scanning,
    expose_points,
    render_points,
)
from mmdefect.simulate.raster import Rendering
from mmdefect.simulate.shapes import blob, box
from mmdefect.simulate.station import DISTANCE_MM, PROJECTOR, station
from mmdefect.simulate.tracer import World

PAPER = Finish((0.7, 0.7, 0.7), roughness=0.6, specular=0.02)
TARGET = np.array([0.0, 0.0, DISTANCE_MM])


def made(*bodies: Body, tilt: float = 0.0) -> World:
    """Put bodies at the working distance, turned about y by `tilt` degrees."""
    c, s = np.cos(np.deg2rad(tilt)), np.sin(np.deg2rad(tilt))
    return World(Part(bodies, Pose(np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]), TARGET)))


def table(look: Finish = PAPER) -> Body:
    return Body("table", *box(400, 400, -5, 0), "abs", look)


def ball(radius: float, look: Finish) -> Body:
    return Body("ball", *blob(2 * radius, 2 * radius, 2 * radius, 80, 160), "abs", look)


def scanner(size: int) -> Camera:
    return station(size).cameras["points"]


def ground_seen(camera: Camera, normal: Any) -> Any:
    """Give where each pixel's ray meets a plane through the target, in the rig's frame."""
    rays = camera.directions()
    reach = ((TARGET - camera.centre) @ normal) / (rays @ normal)
    return camera.centre + rays * reach[..., None]


def on_ball(camera: Camera, radius: float) -> tuple[Any, Any]:
    """Give where each pixel's ray meets a ball at the target, and the normal there."""
    rays, away = camera.directions(), camera.centre - TARGET
    along = -rays @ away
    square = radius**2 - away @ away + along**2
    root = np.sqrt(np.where(square < 0, np.nan, square))
    place = camera.centre + rays * (along - root)[..., None]
    return place, (place - TARGET) / radius


def cosine(normal: Any, place: Any, point: Any) -> Any:
    towards = point - place
    return (normal * towards).sum(-1) / np.linalg.norm(towards, axis=-1)


@pytest.mark.parametrize("tilt", [-30.0, 0.0, 25.0])
def test_points_lie_on_their_rays_and_on_the_surface_within_the_stated_noise(tilt: float) -> None:
    camera = scanner(96)
    rendering = render_points(made(table(), tilt=tilt), camera, Scanning())
    cloud = expose_points(rendering, camera, np.random.default_rng(0)).astype(np.float64)
    normal = np.array([-np.sin(np.deg2rad(tilt)), 0, -np.cos(np.deg2rad(tilt))])
    pixels = camera.project(camera.pose.out_of(cloud))
    grid = np.stack(np.meshgrid(np.arange(96), np.arange(96)), axis=-1)
    there = np.isfinite(cloud[..., 2])
    assert there.mean() > 0.95
    np.testing.assert_allclose(pixels[there], grid[there], atol=0.01)
    true = camera.pose.into(ground_seen(camera, normal))[..., 2]
    pull = ((cloud[..., 2] - true) / rendering.noise)[there]
    np.testing.assert_allclose(pull.mean(), 0, atol=0.05)
    np.testing.assert_allclose(pull.std(), 1, atol=0.03)


def test_the_noise_drawn_is_the_noise_stated() -> None:
    camera = scanner(48)
    rendering = render_points(made(table()), camera, Scanning())
    random = np.random.default_rng(1)
    depth = np.stack([expose_points(rendering, camera, random)[..., 2] for _ in range(300)])
    np.testing.assert_allclose((depth.std(0) / rendering.noise).mean(), 1, atol=0.02)
    assert 0.02 < np.median(rendering.noise) < 0.05


@pytest.mark.parametrize(("mean", "modulation"), [(9000.0, 7000.0), (900.0, 500.0), (120.0, 70.0)])
def test_phase_noise_is_what_phase_shifting_of_noisy_pictures_gives(
    mean: float, modulation: float
) -> None:
    random = np.random.default_rng(3)
    phase = random.uniform(-np.pi, np.pi, 20000)
    shift = 2 * np.pi * np.arange(phase_of.STEPS)[:, None] / phase_of.STEPS
    pictures = random.poisson(mean + modulation * np.cos(phase + shift)).astype(float)
    pictures += random.normal(0, phase_of.READ_NOISE, pictures.shape)
    found = np.arctan2(-(pictures * np.sin(shift)).sum(0), (pictures * np.cos(shift)).sum(0))
    off = np.angle(np.exp(1j * (found - phase)))
    np.testing.assert_allclose(off.std(), phase_of.phase_noise(mean, modulation), rtol=0.04)


@pytest.mark.parametrize("sideways", [-140.0, -60.0, 90.0])
def test_depth_moves_with_phase_as_triangulation_says(sideways: float) -> None:
    camera, place = np.array([30.0, 0.0]), np.array([0.0, 450.0])
    projector = np.array([sideways, 10.0])
    view = (place - camera) / np.linalg.norm(place - camera)
    across = np.array([view[1], -view[0]])

    def angle(point: Any) -> Any:
        return np.arctan2(*(point - projector))

    step = 1e-4
    per_period = abs(angle(place + step * across) - angle(place)) / step * phase_of.FRINGE_MM
    along = abs(angle(place + step * view) - angle(place)) / step
    beam = (place - projector) / np.linalg.norm(place - projector)
    tangent = abs(view[0] * beam[1] - view[1] * beam[0]) / (view @ beam)
    expected = per_period / (2 * np.pi) / along
    np.testing.assert_allclose(phase_of.depth_per_phase(tangent), expected, rtol=1e-3)


def test_each_pixel_comes_from_the_longest_exposure_that_does_not_saturate() -> None:
    reflected = np.geomspace(1e-3, 20, 400)
    mean, modulation = phase_of.intensities(reflected, 0.01 * reflected)
    lost = np.isnan(mean)
    assert lost[-1]
    assert not lost[:300].any()
    assert np.all((mean + modulation)[~lost] < phase_of.FULL_WELL)
    shortest = phase_of.ELECTRONS * min(phase_of.EXPOSURES)
    brightest = shortest * (1.01 + phase_of.MODULATION) * reflected
    np.testing.assert_array_equal(lost, brightest >= phase_of.FULL_WELL)


def test_dark_and_steep_surfaces_are_noisier() -> None:
    camera = scanner(64)

    def noise(albedo: float, tilt: float) -> Any:
        look = Finish((albedo,) * 3, roughness=0.6, specular=0.0)
        return render_points(made(table(look), tilt=tilt), camera, Scanning()).noise[32, 32]

    assert noise(0.7, 0) < noise(0.02, 0) < noise(0.005, 0)
    assert noise(0.05, 0) < noise(0.05, -40) < noise(0.05, -55)


def test_the_projectors_shadow_lies_where_straight_lines_put_it() -> None:
    camera = scanner(160)
    half, height = np.array([10.0, 6.0]), 30.0
    block = Body("block", *box(20, 12, 0.01, height), "abs", PAPER)
    depth = render_points(made(table(), block), camera, Scanning()).signal
    ground = ground_seen(camera, np.array([0.0, 0.0, -1.0]))
    hidden, unseen = (_blocked(ground, place, half, height) for place in (PROJECTOR, camera.centre))
    on_table = ~unseen & (np.abs(ground[..., :2]) < 55).all(-1)
    shadow = hidden & on_table
    assert shadow.sum() > 100
    band = ndimage.binary_dilation(_edges(hidden) | _edges(unseen), iterations=2)
    lost = np.isnan(depth)
    assert lost[shadow & ~band].mean() > 0.99
    assert lost[on_table & ~hidden & ~band].mean() < 0.01
    assert abs(lost[on_table & ~band].sum() / (shadow & ~band).sum() - 1) < 0.02


def _blocked(ground: Any, place: Any, half: Any, height: float) -> Any:
    """Tell which places of the ground a block at the target hides from a place, by slabs."""
    ray = place - ground
    enter, leave = np.zeros(ground.shape[:2]), np.ones(ground.shape[:2])
    for axis, low, high in (
        (0, -half[0], half[0]),
        (1, -half[1], half[1]),
        (2, DISTANCE_MM - height, DISTANCE_MM),
    ):
        first, second = ((edge - ground[..., axis]) / ray[..., axis] for edge in (low, high))
        enter = np.maximum(enter, np.minimum(first, second))
        leave = np.minimum(leave, np.maximum(first, second))
    return enter < leave - 1e-9


def _edges(mask: Any) -> Any:
    return mask ^ ndimage.binary_erosion(mask, border_value=1)


def test_surfaces_seen_or_lit_too_flatly_give_no_point() -> None:
    camera = scanner(128)
    depth = render_points(made(ball(40, PAPER)), camera, Scanning()).signal
    place, normal = on_ball(camera, 40)
    flattest = np.minimum(cosine(normal, place, camera.centre), cosine(normal, place, PROJECTOR))
    angle = np.rad2deg(np.arccos(np.clip(flattest, -1, 1)))
    assert np.isfinite(depth[angle < 70]).mean() > 0.995
    assert np.isnan(depth[angle > 74]).all()
    assert np.isnan(depth[np.isnan(angle)]).all()


def test_shiny_surfaces_dazzle_only_near_the_mirror_direction_the_farther_the_rougher() -> None:
    camera = scanner(160)
    place, normal = on_ball(camera, 40)
    towards = [
        (point - place) / np.linalg.norm(point - place, axis=-1, keepdims=True)
        for point in (camera.centre, PROJECTOR)
    ]
    half = sum(towards)
    half = half / np.linalg.norm(half, axis=-1, keepdims=True)
    off = np.rad2deg(np.arccos(np.clip((half * normal).sum(-1), -1, 1)))
    reach = []
    for roughness in (0.06, 0.12):
        chrome = Finish((0.95, 0.95, 0.95), roughness, specular=0.7, metal=1.0)
        depth = render_points(made(ball(40, chrome)), camera, Scanning()).signal
        assert np.isnan(depth[off < 3]).all()
        assert np.isfinite(depth[(off > 9) & (off < 15)]).mean() > 0.99
        reach.append(np.isnan(depth[off < 9]).sum())
    assert reach[0] < reach[1]
    matt = render_points(made(ball(40, PAPER)), camera, Scanning()).signal
    assert np.isfinite(matt[off < 9]).all()


def test_steps_lose_a_pixel_on_either_side_and_slopes_none() -> None:
    camera = scanner(128)
    slope = render_points(made(table(), tilt=45), camera, Scanning()).signal
    assert np.isfinite(slope[20:-20, 20:-20]).all()
    block = Body("block", *box(30, 30, 0.01, 4), "abs", PAPER)
    depth = render_points(made(table(), block), camera, Scanning()).signal
    middle = np.isnan(depth[58:70])
    assert (middle.sum(axis=1) >= 4).all()
    column = np.isnan(depth[:, 58:70])
    lit_edges = column.sum(axis=0)
    assert ((lit_edges >= 4) & (lit_edges <= 6)).all()
    low = Body("film", *box(30, 30, 0.01, 0.5), "abs", PAPER)
    assert np.isfinite(render_points(made(table(), low), camera, Scanning()).signal).mean() > 0.99


def test_light_between_the_walls_of_a_corner_bends_it_towards_the_sensors() -> None:
    camera = scanner(160)
    wall = Body("wall", *box(60, 20, 0.01, 15), "abs", PAPER).moved(0, -20)
    depth = render_points(made(table(), wall), camera, Scanning()).signal
    ground = ground_seen(camera, np.array([0.0, 0.0, -1.0]))
    true = camera.pose.into(ground)[..., 2]
    bent = (true - depth)[np.abs(ground[..., 0]) < 15]
    away = (ground[..., 1] + 10)[np.abs(ground[..., 0]) < 15]
    near = bent[(away > 1) & (away < 2.5)]
    near = near[np.isfinite(near)]
    assert len(near) > 20
    assert 0.02 < np.median(near) < 0.4
    np.testing.assert_allclose(bent[away > 20], 0, atol=2e-3)


def test_bounced_fringes_add_as_phasors() -> None:
    share, rise, tangent = 0.2, 1.5, 0.35
    per_rad = phase_of.FRINGE_MM / (2 * np.pi * tangent)
    steps = 2 * np.pi * np.arange(8) / 8
    direct, indirect = np.cos(steps), share * np.cos(steps + rise / per_rad)
    total = direct + indirect
    phase = np.arctan2(-(total * np.sin(steps)).sum(), (total * np.cos(steps)).sum())
    np.testing.assert_allclose(phase_of.bounce(share, rise, tangent), phase * per_rad, 1e-4)


def test_weak_fringes_drop_out_at_random_and_holes_are_nan_in_all_axes() -> None:
    camera = scanner(64)
    noise = np.full((64, 64), WORST_MM, np.float32)
    noise[:32] = WORST_MM / 3
    depth = np.full((64, 64), 450, np.float32)
    depth[:4] = np.nan
    cloud = expose_points(Rendering(depth, noise), camera, np.random.default_rng(4))
    lost = np.isnan(cloud)
    np.testing.assert_array_equal(lost.any(-1), lost.all(-1))
    assert lost[:4].all()
    assert not lost[4:32].any()
    assert 0.4 < lost[32:].mean() < 0.6


def test_drift_shifts_all_depths_and_scales_the_light() -> None:
    camera = scanner(64)
    world = made(table())
    plain = render_points(world, camera, Scanning())
    drifted = render_points(world, camera, Scanning(power=0.8, offset=0.05))
    np.testing.assert_allclose(drifted.signal - plain.signal, 0.05, atol=1e-4)
    assert (drifted.noise > plain.noise).all()
    drawn = [draw_scanning(np.random.default_rng(i)) for i in range(300)]
    assert 0.015 < np.std([scanning.offset for scanning in drawn]) < 0.025
    assert np.abs([scanning.power - 1 for scanning in drawn]).max() <= 0.05


def test_the_same_seed_gives_the_same_bytes() -> None:
    camera = scanner(48)

    def cloud() -> Any:
        random = np.random.default_rng(5)
        rendering = render_points(made(ball(30, PAPER)), camera, draw_scanning(random))
        return expose_points(rendering, camera, random)

    assert cloud().dtype == np.float32
    assert cloud().tobytes() == cloud().tobytes()


def test_what_is_far_from_a_change_stays_equal_to_the_last_bit() -> None:
    camera = scanner(96)
    block = Body("block", *box(4, 4, 0.01, 3), "abs", PAPER).moved(-35, -35)
    without = render_points(made(table()), camera, Scanning())
    along = render_points(made(table(), block), camera, Scanning())
    assert not np.array_equal(without.signal, along.signal, equal_nan=True)
    np.testing.assert_array_equal(without.signal[48:, 48:], along.signal[48:, 48:])
    np.testing.assert_array_equal(without.noise[48:, 48:], along.noise[48:, 48:])
