"""How simulated surfaces reflect light, against textbook formulas and hand-solved cases."""

from typing import Any

import numpy as np
import pytest

from mmdefect.registration import Pose
from mmdefect.simulate.body import CHANNELS, Body, Finish, Part, Skin
from mmdefect.simulate.light import reflection
from mmdefect.simulate.light.surface import Looks
from mmdefect.simulate.shapes import box

CHROME = Finish((0.95, 0.95, 0.95), roughness=0.08, specular=0.6, metal=1.0)


def table(look: Finish | Skin) -> Body:
    return Body("table", *box(300, 300, -5, 0), "abs", look)


@pytest.mark.parametrize("spread", [(0.0, 0.0, 0.0), (0.03, 0.01, 0.005)])
def test_microfacets_cover_the_surface_exactly_once(spread: Any) -> None:
    zenith, azimuth = np.meshgrid(
        (np.arange(1200) + 0.5) * np.pi / 2 / 1200, (np.arange(180) + 0.5) * 2 * np.pi / 180
    )
    half = np.stack(
        [np.sin(zenith) * np.cos(azimuth), np.sin(zenith) * np.sin(azimuth), np.cos(zenith)]
    ).reshape(3, -1)
    normal = np.zeros_like(half)
    normal[2] = 1
    density = reflection.microfacets(normal, half, 0.3, spread)
    solid = np.sin(zenith).ravel() * (np.pi / 2 / 1200) * (2 * np.pi / 180)
    np.testing.assert_allclose((density * half[2] * solid).sum(), 1, atol=0.01)


def test_without_finer_structure_microfacets_are_ggx() -> None:
    random = np.random.default_rng(0)
    normal, half = (reflection.unit(random.normal(size=(3, 300)))[0] for _ in range(2))
    normal[2], half[2] = np.abs(normal[2]), np.abs(half[2])
    cosine = (normal * half).sum(0)
    width = random.uniform(0.1, 0.6, 300)
    ggx = width**2 / (np.pi * (cosine**2 * (width**2 - 1) + 1) ** 2)
    ahead = cosine > 0.2
    found = reflection.microfacets(normal, half, width)
    np.testing.assert_allclose(found[ahead], ggx[ahead], rtol=2e-3)


def test_masking_and_shadowing_are_smiths() -> None:
    light, eye = np.meshgrid(np.linspace(0.3, 1, 20), np.linspace(0.3, 1, 20))
    for width in (0.1, 0.3, 0.6):
        g1 = [2 / (1 + np.sqrt(1 + width**2 * (1 / c**2 - 1))) for c in (light, eye)]
        exact = 1 / (1 / g1[0] + 1 / g1[1] - 1) / (4 * light * eye)
        np.testing.assert_allclose(reflection.visibility(light, eye, width), exact, rtol=1e-4)


def test_tool_marks_finer_than_a_ray_go_on_as_the_variance_of_their_slopes() -> None:
    skin = Skin.of(CHROME, 40, 40, 0.05)
    x, _ = skin.axes
    slope = 0.2 * np.sin(2 * np.pi * x / 0.4)
    skin.channel("slope_x")[...] = slope
    part = Part((table(skin),), Pose())
    places = np.random.default_rng(0).uniform(-15, 15, (500, 3)).astype(np.float32)
    surface = Looks(part, 0.4).at(np.zeros(500, np.int32), places)
    np.testing.assert_allclose(surface["slope_x"], 0, atol=0.02)
    np.testing.assert_allclose(surface.spread[0], 0.2**2 / 2, rtol=0.06)
    np.testing.assert_allclose(surface.spread[1:], 0, atol=1e-6)
    skin.channel("slope_x")[...], skin.channel("slope_y")[...] = 0.3, -0.1
    surface = Looks(part, 0.4).at(np.zeros(500, np.int32), places)
    np.testing.assert_allclose(surface.spread, 0, atol=1e-6)
    assert len(surface.values) == len(CHANNELS) + 3


@pytest.mark.parametrize("footprint", [0.02, 0.2])
def test_a_uniform_skin_looks_like_its_finish(footprint: float) -> None:
    bodies = (table(CHROME), table(Skin.of(CHROME, 30, 30, 0.05)))
    looks = Looks(Part(bodies, Pose()), footprint)
    places = np.random.default_rng(1).uniform(-15, 15, (50, 3)).astype(np.float32)
    body = np.repeat([0, 1, -1], [20, 20, 10]).astype(np.int32)
    values = looks.at(body, places).values
    np.testing.assert_allclose(values[:, 20:40], values[:, :20], atol=1e-6)
    assert not values[:, 40:].any()


@pytest.mark.parametrize(("radius", "depth"), [(8.0, 3.0), (4.5, 5.0), (2.0, 4.0), (1.2, 1.0)])
def test_a_pit_sees_what_its_rim_leaves_of_the_sky(radius: float, depth: float) -> None:
    y, x = np.indices((161, 161)) * 0.25 - 20
    pit = np.where(np.hypot(x, y) < radius, -depth, 0).astype(np.float32)
    sky = reflection.openness(pit, 0.25)
    assert abs(sky[80, 80] - 1 / (1 + (depth / radius) ** 2)) < 0.15
    np.testing.assert_array_equal(sky[:20], 1)


def test_rough_surfaces_blur_the_room_and_never_brighten_it() -> None:
    up, down = (np.array([[0.6], [0.0], [z]]) for z in (0.8, -0.8))
    upwards, place, eye = np.array([0, 0, 1]), np.zeros((3, 1)), np.array([0, 0, 450])
    for mirrored, room in (
        (up, reflection.HORIZON + 0.8 * (reflection.CEILING - reflection.HORIZON)),
        (down, reflection.BENCH),
    ):
        sharp = reflection.surroundings(mirrored, upwards, place, eye, 0.05)
        np.testing.assert_allclose(sharp, room, rtol=0.01)
    looks = [
        reflection.surroundings(upwards[:, None], upwards, place, eye, width)
        for width in (0.02, 0.1, 0.3)
    ]
    assert looks[0] < looks[1] < looks[2] < reflection.CEILING
