"""The simulated colour camera, against numbers and geometry worked out without it."""

from typing import Any

import numpy as np
import pytest
from scipy import optimize

from mmdefect.registration import Pose
from mmdefect.simulate.body import Body, Finish, Part, Skin
from mmdefect.simulate.light import reflection
from mmdefect.simulate.light.rgb import (
    LAMP_MM,
    LAMP_POWERS,
    Lighting,
    draw_lighting,
    encode,
    expose_rgb,
    render_rgb,
)
from mmdefect.simulate.light.shade import AMBIENT
from mmdefect.simulate.raster import Rendering
from mmdefect.simulate.shapes import blob, box
from mmdefect.simulate.station import DISTANCE_MM, LAMPS, station
from mmdefect.simulate.tracer import World

MATT = Finish((0.5, 0.5, 0.5), roughness=0.6, specular=0.0)
CHROME = Finish((0.95, 0.95, 0.95), roughness=0.08, specular=0.6, metal=1.0)
GLOSSY = Finish((0.9, 0.9, 0.9), roughness=0.10, specular=0.5, metal=1.0)
TARGET = np.array([0.0, 0.0, DISTANCE_MM])


def facing(normal: Any) -> World:
    """Put a table at the working distance whose top faces along a normal of the rig's frame."""
    across = np.cross([0.0, 1.0, 0.0], -normal)
    across /= np.linalg.norm(across)
    turn = np.stack([across, np.cross(-normal, across), -normal], axis=1)
    return World(Part((table(GLOSSY),), Pose(turn, TARGET)))


def made(*bodies: Body, tilt: float = 0.0) -> World:
    """Put bodies at the working distance, turned about y by `tilt` degrees."""
    c, s = np.cos(np.deg2rad(tilt)), np.sin(np.deg2rad(tilt))
    return World(Part(bodies, Pose(np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]), TARGET)))


def table(look: Finish | Skin = MATT) -> Body:
    return Body("table", *box(300, 300, -5, 0), "abs", look)


def linear(rendering: Rendering, camera: Any) -> Any:
    """Undo gamma and vignetting, as the module's documentation states them."""
    counts = rendering.signal.astype(np.float64) / 65535
    base, top = 0.004 ** (1 / 2.2), 1.004 ** (1 / 2.2)
    light = (counts * (top - base) + base) ** 2.2 - 0.004
    y, x = np.indices(light.shape[:2])
    radius = ((x - camera.cx) / camera.fx) ** 2 + ((y - camera.cy) / camera.fy) ** 2
    return light * (1 + 6 * radius)[..., None]


def from_lamp(number: int, place: Any, normal: Any) -> Any:
    """Give the light of an unshadowed lamp on white, by hand."""
    towards = LAMPS[number] - place
    distance = np.linalg.norm(towards, axis=-1)
    nominal = np.linalg.norm(LAMPS[number] - TARGET)
    facing = np.maximum((towards * normal).sum(-1) / distance, 0)
    return LAMP_POWERS[number] * facing * (nominal / distance) ** 2


@pytest.mark.parametrize("tilt", [-35.0, 0.0, 20.0])
def test_a_matt_plane_is_as_bright_as_lamberts_law_says(tilt: float) -> None:
    camera = station(64).cameras["rgb"]
    light = linear(render_rgb(made(table(), tilt=tilt), camera, Lighting()), camera)
    column, row = np.rint(camera.project(TARGET)).astype(int)
    angle = np.deg2rad(tilt)
    normal = np.array([-np.sin(angle), 0, -np.cos(angle)])
    sky = AMBIENT * (0.5 - 0.5 * normal[2])
    expected = 0.5 * (from_lamp(0, TARGET, normal) + from_lamp(1, TARGET, normal) + sky)
    np.testing.assert_allclose(light[row, column], expected, rtol=0.02)


def test_every_place_of_a_matt_sphere_follows_lamberts_law() -> None:
    camera = station(128).cameras["rgb"]
    radius, centre = 30.0, np.array([4.0, -7.0, DISTANCE_MM])
    ball = Body("ball", *blob(60, 60, 60, 60, 120), "abs", MATT).moved(4, -7, 0)
    light = linear(render_rgb(made(ball), camera, Lighting(blur=0.4)), camera)
    rays = camera.directions()
    along = rays @ centre
    reach = radius**2 - centre @ centre + along**2
    place = rays * (along - np.sqrt(np.maximum(reach, 0)))[..., None]
    normal = (place - centre) / radius
    lit = [from_lamp(i, place, normal) for i in (0, 1)]
    sky = AMBIENT * (0.5 - 0.5 * normal[..., 2])
    middle = (reach > 0) & (normal[..., 2] < -0.6)
    for lamp in lit:
        middle &= lamp > 0.15
    seen, expected = light[middle].mean(-1), 0.5 * (lit[0] + lit[1] + sky)[middle]
    assert middle.sum() > 500
    np.testing.assert_allclose(np.median(seen / expected), 1, atol=0.02)
    assert np.corrcoef(seen, expected)[0, 1] > 0.995


def test_a_mirror_ball_shows_each_lamp_where_the_law_of_reflection_puts_it() -> None:
    camera = station(256).cameras["rgb"]
    centre, radius = np.array([-6.0, 9.0, DISTANCE_MM]), 20.0
    ball = Body("ball", *blob(40, 40, 40, 60, 120), "steel", CHROME).moved(-6, 9, 0)
    signal = render_rgb(made(ball), camera, Lighting()).signal.mean(-1)
    for lamp in LAMPS:

        def off(angles: Any, lamp: Any = lamp) -> Any:
            x, y = angles
            normal = np.array([x, y, -np.sqrt(max(1 - x * x - y * y, 1e-9))])
            place = centre + radius * normal
            half = sum((p - place) / np.linalg.norm(p - place) for p in (lamp, camera.centre))
            return -(half @ normal) / np.linalg.norm(half)

        start = (lamp - centre)[:2] / np.linalg.norm(lamp - centre) / 2
        x, y = optimize.minimize(off, start, method="Nelder-Mead", options={"xatol": 1e-6}).x
        glint = centre + radius * np.array([x, y, -np.sqrt(1 - x * x - y * y)])
        column, row = camera.project(glint)
        near = np.s_[round(row) - 6 : round(row) + 7, round(column) - 6 : round(column) + 7]
        weight = np.maximum(signal[near] - 0.8 * signal[near].max(), 0)
        rows, columns = np.indices(weight.shape)
        np.testing.assert_allclose(
            [(weight * rows).sum() / weight.sum(), (weight * columns).sum() / weight.sum()],
            [row - round(row) + 6, column - round(column) + 6],
            atol=0.7,
        )
        assert signal[near].max() == signal.max()


@pytest.mark.parametrize("off", [0.0, 3.0, 6.0, 10.0])
def test_gloss_is_the_microfacets_reflection_of_the_whole_lamp(off: float) -> None:
    camera = station(48).cameras["rgb"]
    towards = (LAMPS[0] - TARGET) / np.linalg.norm(LAMPS[0] - TARGET)
    bisector = towards + np.array([0, 0, -1])
    bisector /= np.linalg.norm(bisector)
    side = np.cross(bisector, towards) / np.linalg.norm(np.cross(bisector, towards))
    normal = bisector * np.cos(np.deg2rad(off)) + side * np.sin(np.deg2rad(off))
    lit, dark = (
        linear(render_rgb(facing(normal), camera, Lighting((power, 0.0))), camera)
        for power in (0.05, 0.0)
    )
    column, row = np.rint(camera.project(TARGET)).astype(int)
    found = (lit - dark)[row, column, 0]
    expected = 0.05 * LAMP_POWERS[0] * np.mean([_ggx(p, normal) for p in _disc(LAMPS[0])])
    np.testing.assert_allclose(found, expected, rtol=0.15)


def _disc(lamp: Any) -> Any:
    """Give many points of a lamp's disc."""
    ahead = (TARGET - lamp) / np.linalg.norm(TARGET - lamp)
    side = np.cross(ahead, [0.0, 0.0, 1.0]) / np.linalg.norm(np.cross(ahead, [0.0, 0.0, 1.0]))
    random = np.random.default_rng(0)
    radius = LAMP_MM * np.sqrt(random.uniform(size=2000))
    turn = random.uniform(0, 2 * np.pi, 2000)
    other = np.cross(ahead, side)
    return lamp + (radius * np.cos(turn))[:, None] * side + (radius * np.sin(turn))[:, None] * other


def _ggx(light: Any, normal: Any) -> Any:
    """Give π f cos of GLOSSY for one point of light, seen from the rig's origin, as in [1]."""
    towards = (light - TARGET) / np.linalg.norm(light - TARGET)
    eye = np.array([0.0, 0.0, -1.0])
    half = (towards + eye) / np.linalg.norm(towards + eye)
    a2, nh, nl, nv = 0.1**2, half @ normal, towards @ normal, eye @ normal
    density = a2 / (np.pi * (nh**2 * (a2 - 1) + 1) ** 2)
    g = [2 * c / (c + np.sqrt(a2 + (1 - a2) * c * c)) for c in (nl, nv)]
    base = 0.5 * 0.9
    share = base + (1 - base) * (1 - half @ eye) ** 5
    return np.pi * density * g[0] * g[1] * share / (4 * nv)


def test_with_the_lamps_off_polish_mirrors_the_ceiling_and_the_dark_camera() -> None:
    camera = station(48).cameras["rgb"]
    polish = Finish((1.0, 1.0, 1.0), roughness=0.05, specular=0.5, metal=1.0)
    level, tilted, steep = (
        linear(render_rgb(made(table(polish), tilt=t), camera, Lighting((0.0, 0.0))), camera)
        for t in (0, 12, 40)
    )
    assert level[24, 24, 0] < 0.65 * tilted[24, 24, 0]
    ceiling = 0.5 * reflection.CEILING
    assert 0.8 * ceiling < tilted[24, 24, 0] < 1.05 * ceiling
    assert steep[24, 24, 0] < 0.7 * tilted[24, 24, 0]


def test_a_skins_slopes_tilt_it_like_the_plane_they_describe() -> None:
    camera = station(48).cameras["rgb"]
    skin = Skin.of(MATT, 150, 150)
    skin.channel("slope_x")[...], skin.channel("slope_y")[...] = 0.25, -0.4
    light = linear(render_rgb(made(table(skin)), camera, Lighting()), camera)
    normal = np.array([-0.25, 0.4, -1.0]) / np.sqrt(1 + 0.25**2 + 0.4**2)
    column, row = np.rint(camera.project(TARGET)).astype(int)
    sky = AMBIENT * (0.5 - 0.5 * normal[2])
    expected = 0.5 * (from_lamp(0, TARGET, normal) + from_lamp(1, TARGET, normal) + sky)
    np.testing.assert_allclose(light[row, column], expected, rtol=0.02)


@pytest.mark.parametrize("place", [(0.0, 0.0), (-38.0, 27.5), (41.3, 33.0)])
def test_paint_appears_where_the_camera_projects_it(place: tuple[float, float]) -> None:
    camera = station(128).cameras["rgb"]
    skin = Skin.of(Finish((0, 0, 0), 0.6, 0.0), 112, 112, 0.1)
    x, y = skin.axes
    skin.cover(np.clip(4.5 - np.hypot(x - place[0], y - place[1]), 0, 1), MATT)
    light = linear(render_rgb(made(table(skin)), camera, Lighting()), camera)[..., 1]
    rows, columns = np.indices(light.shape)
    weight = np.where(light > 0.01, light, 0)
    found = [(weight * axis).sum() / weight.sum() for axis in (columns, rows)]
    np.testing.assert_allclose(found, camera.project(TARGET + np.array([*place, 0.0])), atol=0.04)


def test_exposure_scales_all_light_and_white_balance_red_and_blue() -> None:
    camera = station(48).cameras["rgb"]
    plain, drifted = (
        linear(render_rgb(made(table()), camera, lighting), camera)
        for lighting in (Lighting(), Lighting(exposure=0.9, white=(1.05, 0.98)))
    )
    ratio = (drifted / plain)[10:-10, 10:-10]
    np.testing.assert_allclose(ratio, np.broadcast_to([0.945, 0.9, 0.882], ratio.shape), rtol=1e-3)


def test_shadows_lie_where_straight_lines_from_the_lamps_put_them() -> None:
    camera = station(128).cameras["rgb"]
    half, height = np.array([8.0, 5.0]), 12.0
    block = Body("block", *box(16, 10, 0.01, height), "abs", MATT)
    light = linear(render_rgb(made(table(), block), camera, Lighting(blur=0.4)), camera).mean(-1)
    rays = camera.directions()
    ground = rays * (DISTANCE_MM / rays[..., 2])[..., None]
    normal = np.array([0.0, 0.0, -1.0])
    lamps = [from_lamp(i, ground, normal) for i in (0, 1)]
    hidden = [_blocked(ground, lamp, half, height) for lamp in LAMPS]
    clear = (np.abs(ground[..., :2]) > half + 3).any(-1) & (np.abs(ground[..., :2]) < 50).all(-1)
    for i in (0, 1):
        umbra = clear & (hidden[i] == 1) & (hidden[1 - i] == 0)
        assert umbra.sum() > 30
        direct = 0.5 * lamps[1 - i][umbra]
        assert (light[umbra] > 0.99 * direct).all()
        assert (light[umbra] < 1.01 * (direct + 0.5 * AMBIENT)).all()
    lit = clear & (hidden[0] == 0) & (hidden[1] == 0)
    direct = 0.5 * (lamps[0] + lamps[1])[lit]
    assert (light[lit] > 0.99 * direct).all()
    assert (light[lit] < 1.02 * (direct + 0.5 * AMBIENT)).all()


def _blocked(ground: Any, lamp: Any, half: Any, height: float) -> Any:
    """Give the share of a lamp's disc, and a margin about it, that a block hides, by slabs."""
    ahead = (TARGET - lamp) / np.linalg.norm(TARGET - lamp)
    side = np.cross(ahead, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    other = np.cross(ahead, side)
    total: Any = 0
    for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False):
        point = lamp + 1.5 * LAMP_MM * (np.cos(angle) * side + np.sin(angle) * other)
        ray = point - ground
        enter, leave = np.zeros(ground.shape[:2]), np.ones(ground.shape[:2])
        for axis, low, high in (
            (0, -half[0], half[0]),
            (1, -half[1], half[1]),
            (2, DISTANCE_MM - height, DISTANCE_MM),
        ):
            first = (low - ground[..., axis]) / ray[..., axis]
            second = (high - ground[..., axis]) / ray[..., axis]
            enter = np.maximum(enter, np.minimum(first, second))
            leave = np.minimum(leave, np.maximum(first, second))
        total = total + (enter < leave - 1e-9)
    return total / 12


def test_fibres_are_brightest_across_the_bisector_of_lamp_and_view() -> None:
    camera = station(48).cameras["rgb"]
    plain = Finish((0.0, 0.0, 0.0), roughness=0.6, specular=0.0)
    bisector = np.arctan2(*(LAMPS[0] - TARGET)[1::-1])
    bright = {}
    for name, turn in (("along", 0.0), ("across", np.pi / 2)):
        skin = Skin.of(plain, 120, 120)
        skin.channel("sheen")[...] = 1
        skin.channel("fibre")[...] = bisector + turn
        lighting = Lighting(power=(1.0, 0.0))
        bright[name] = linear(render_rgb(made(table(skin)), camera, lighting), camera)[24, 24, 0]
    half = np.linalg.norm((LAMPS[0] - TARGET)[:2]) / np.linalg.norm(LAMPS[0] - TARGET)
    tilt = np.sin(np.arcsin(half) / 2)
    lobe = np.exp(-(tilt**2) / 2 / reflection.FIBRE_WIDTH**2)
    np.testing.assert_allclose(bright["along"] / bright["across"], lobe, atol=0.06)


def test_texture_finer_than_the_pixels_turns_grey_instead_of_moire() -> None:
    camera = station(96).cameras["rgb"]
    skin = Skin.of(MATT, 130, 130, 0.05)
    x, y = skin.axes
    stripes = (np.sin(2 * np.pi * (x + 0.3 * y) / 0.22) > 0).astype(np.float32)
    for colour in ("red", "green", "blue"):
        skin.channel(colour)[...] = stripes
    striped = linear(render_rgb(made(table(skin)), camera, Lighting()), camera)[8:-8, 8:-8]
    grey = linear(render_rgb(made(table()), camera, Lighting()), camera)[8:-8, 8:-8]
    ratio = striped / grey
    assert abs(ratio.mean() - 1) < 0.02
    assert ratio.std() < 0.02


def test_noise_is_that_of_photons_and_read_out_carried_through_gamma() -> None:
    camera = station(48).cameras["rgb"]
    rendering = render_rgb(made(table()), camera, Lighting())
    row, column = 24, 24
    counts = rendering.signal[row, column, 1] / 65535
    base, top = 0.004 ** (1 / 2.2), 1.004 ** (1 / 2.2)
    light = (counts * (top - base) + base) ** 2.2 - 0.004
    random = np.random.default_rng(0)
    electrons = random.poisson(light * 10000, 40000) + random.normal(0, 4, 40000)
    np.testing.assert_allclose(
        encode(electrons / 10000).std(), rendering.noise[row, column, 1], rtol=0.02
    )


def test_the_noise_drawn_is_the_noise_stated() -> None:
    camera = station(48).cameras["rgb"]
    rendering = render_rgb(made(table(), tilt=10), camera, Lighting())
    random = np.random.default_rng(2)
    frames = np.stack([expose_rgb(rendering, random) for _ in range(200)]).astype(np.float64)
    np.testing.assert_allclose((frames.std(0) / rendering.noise).mean(), 1, atol=0.01)
    np.testing.assert_allclose(
        (frames.mean(0) - rendering.signal) / rendering.noise, 0, atol=5.5 / np.sqrt(200)
    )


def test_saturated_pixels_stay_saturated() -> None:
    camera = station(48).cameras["rgb"]
    mirror = Finish((1, 1, 1), roughness=0.05, specular=0.9, metal=1.0)
    ball = Body("ball", *blob(60, 60, 60, 40, 80), "steel", mirror)
    rendering = render_rgb(made(ball), camera, Lighting())
    full = rendering.signal == 65535
    assert full.any()
    assert (expose_rgb(rendering, np.random.default_rng(0))[full] > 65535 - 100).all()
    assert (rendering.noise > 0).all()


def test_nothing_is_black_and_the_same_seed_gives_the_same_bytes() -> None:
    camera = station(48).cameras["rgb"]
    ball = Body("ball", *blob(30, 30, 30), "steel", CHROME)

    def frame() -> Any:
        random = np.random.default_rng(5)
        return expose_rgb(render_rgb(made(ball), camera, draw_lighting(random)), random)

    assert frame().dtype == np.uint16
    assert frame().tobytes() == frame().tobytes()
    assert frame()[:4, :4].max() < 6000


def test_what_is_far_from_a_change_stays_equal_to_the_last_bit() -> None:
    camera = station(96).cameras["rgb"]
    block = Body("block", *box(4, 4, 0.01, 3), "abs", MATT).moved(-35, -35)
    without = render_rgb(made(table(CHROME)), camera, Lighting())
    along = render_rgb(made(table(CHROME), block), camera, Lighting())
    assert not np.array_equal(without.signal, along.signal)
    np.testing.assert_array_equal(without.signal[48:, 48:], along.signal[48:, 48:])
    np.testing.assert_array_equal(without.noise[48:, 48:], along.noise[48:, 48:])


def test_light_drifts_by_a_few_per_cent() -> None:
    drawn = [draw_lighting(np.random.default_rng(i)) for i in range(300)]
    exposure = np.array([lighting.exposure for lighting in drawn])
    assert np.abs(exposure - 1).max() <= 0.05
    assert exposure.std() > 0.02
    assert 0.005 < np.std([lighting.white for lighting in drawn]) < 0.015
