"""The ray caster and the station, against geometry by hand and OpenCV's projection."""

import cv2
import numpy as np
import pytest

from mmdefect.errors import CardError
from mmdefect.registration import Camera, Pose
from mmdefect.simulate.body import Body, Finish, Part, Skin
from mmdefect.simulate.raster import Raster
from mmdefect.simulate.shapes import blob, box, cylinder, plate, rectangle
from mmdefect.simulate.station import DISTANCE_MM, FIELD_MM, SENSORS, station
from mmdefect.simulate.tracer import World

GREY = Finish((0.5, 0.5, 0.5))


def part(*bodies: Body, turn: float = 0.0) -> Part:
    c, s = np.cos(turn), np.sin(turn)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return Part(bodies, Pose(rotation, np.array([0.0, 0.0, DISTANCE_MM])))


SLAB = Body("slab", *plate(rectangle(90, 70), 90, 70, 0.0, -4.0), "aluminium", GREY)
POST = Body("post", *cylinder(6, 0, 8), "steel", GREY).moved(-20, 5)
VOID = Body("void", *blob(4, 3, 2, 24, 48), "air", GREY, host="slab").moved(10, 10, -2)


def down(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertical rays above places of the part."""
    origin = np.stack([x, y, np.full(x.shape, 300.0)], -1)
    return origin, np.tile([0.0, 0.0, 1.0], (len(x), 1))


def test_rays_meet_the_nearest_body_and_tell_where_on_it() -> None:
    world = World(part(SLAB, POST, turn=0.3))
    places = np.array([[0.0, 0.0], [-20.0, 5.0], [44.9, 34.9], [46.0, 0.0]])
    rig_places = world.part.to_rig(np.column_stack([places, np.zeros(4)]).astype(np.float32))
    hits = world.cast(*down(rig_places[:, 0], rig_places[:, 1]))
    assert hits.body.tolist() == [0, 1, 0, -1]
    np.testing.assert_allclose(hits.places[:3, :2], places[:3], atol=1e-4)
    np.testing.assert_allclose(hits.places[:3, 2], [0, 8, 0], atol=1e-3)
    np.testing.assert_allclose(hits.points[:3, 2], [450, 442, 450], atol=1e-3)
    np.testing.assert_allclose(hits.normals[:3], [[0, 0, -1]] * 3, atol=1e-6)
    assert np.isnan(hits.points[3]).all()


def test_normals_of_a_smooth_body_are_those_of_the_surface() -> None:
    ball = Body("ball", *blob(40, 40, 40, 60, 120), "steel", GREY)
    world = World(part(ball))
    x, y = np.meshgrid(np.linspace(-12, 12, 9), np.linspace(-12, 12, 9))
    hits = world.cast(*down(x.ravel(), y.ravel()))
    expected = (hits.points - [0, 0, DISTANCE_MM]) / 20
    assert np.abs(hits.normals - expected).max() < 0.01
    assert (hits.normals[:, 2] < 0).all()


def test_a_post_hides_the_lamp_exactly_as_far_as_its_shadow_reaches() -> None:
    world = World(part(SLAB, POST))
    x = np.linspace(-13, 40, 400)
    hits = world.cast(*down(x, np.full(x.shape, 5.0)))
    lamp = np.array([-120.0, 5.0, 350.0])
    hidden = world.hidden(hits, lamp)
    edge = -14 + 8 * (-14 + 120) / (100 - 8)  # the ray over the post's far rim, down to the slab
    np.testing.assert_array_equal(hidden[1:], (x < edge)[1:])
    assert world.hidden(world.cast(*down(np.array([70.0]), np.array([0.0]))), lamp).all()


def test_paths_are_the_lengths_inside_each_body() -> None:
    world = World(part(SLAB, POST, VOID))
    x = np.array([0.0, -20.0, 10.0, 60.0])
    y = np.array([0.0, 5.0, 10.0, 0.0])
    origin, directions = down(x, y)
    lengths = world.paths(origin, directions)
    np.testing.assert_allclose(lengths, [[4, 0, 0], [4, 8, 0], [4, 0, 2], [0, 0, 0]], atol=2e-3)
    slanted = np.array([[0.6, 0.0, 0.8]])
    lengths = world.paths(np.array([-112.5, 0.0, 300.0]), slanted)
    np.testing.assert_allclose(lengths, [[5, 0, 0]], atol=2e-3)


def test_paths_add_up_to_the_volume_even_for_rays_along_edges() -> None:
    world = World(part(SLAB, POST, VOID))
    step = 0.25
    axis = np.arange(-50, 50, step)  # vertices and edges of the mesh lie on these lines
    x, y = np.meshgrid(axis, axis)
    lengths = world.paths(*down(x.ravel(), y.ravel()))
    found = lengths.sum(0) * step**2
    assert found == pytest.approx([90 * 70 * 4, np.pi * 36 * 8, 4 / 3 * np.pi * 3], rel=0.025)
    assert lengths.max(0) == pytest.approx([4, 8, 2], abs=5e-3)


@pytest.mark.parametrize("sensor", SENSORS)
def test_a_pixels_ray_lands_where_opencv_projects_it_back(sensor: str) -> None:
    camera = station(96).cameras[sensor]
    world = World(part(SLAB, POST))
    hits = world.cast(camera.centre, camera.directions().reshape(-1, 3))
    seen = hits.found
    k = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])
    lens = camera.lens
    pixels = cv2.projectPoints(
        hits.points[seen].astype(np.float64),
        cv2.Rodrigues(camera.pose.rotation)[0],
        camera.pose.translation,
        k,
        np.array([lens.k1, lens.k2, lens.p1, lens.p2, lens.k3]),
    )[0][:, 0]
    grid = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), -1)
    assert np.abs(pixels - grid.reshape(-1, 2)[seen]).max() < 1e-3
    assert seen.mean() > 0.3


def test_the_reference_sees_the_promised_field_and_every_sensor_the_whole_part() -> None:
    rig = station(256)
    corners = np.array([[x, y, DISTANCE_MM] for x in (-46, 46) for y in (-39, 39)])
    for name, camera in rig.cameras.items():
        pixels = camera.project(corners)
        assert (pixels > 0).all(), name
        assert (pixels < [camera.width - 1, camera.height - 1]).all(), name
    ray = rig.cameras["rgb"].directions(np.array([[-0.5, 127.5], [255.5, 127.5]]))
    across = np.diff(ray[:, 0] / ray[:, 2])[0] * DISTANCE_MM
    assert across == pytest.approx(FIELD_MM, rel=0.02)
    assert len({(c.height, c.width, *c.pose.translation) for c in rig.cameras.values()}) == 4


def test_an_aligned_station_takes_colour_and_points_with_one_camera() -> None:
    rig = station(64, aligned=True)
    assert rig.cameras["rgb"] == rig.cameras["points"]
    assert station(64).cameras["rgb"] != station(64).cameras["points"]


def test_frames_too_small_for_the_parts_are_refused() -> None:
    with pytest.raises(CardError, match=r"frames of 20 px were asked for, .* at least 48 px"):
        station(20)


def test_a_raster_is_looked_up_bilinearly_and_goes_on_at_its_border() -> None:
    raster = Raster.over(10, 6, 0.5).filled(lambda x, y: 2 * x - 3 * y)
    x, y = (np.random.default_rng(0).uniform(-3, 3, 200).astype(np.float32) for _ in range(2))
    np.testing.assert_allclose(raster.at(x, y), 2 * x - 3 * y, atol=1e-4)
    line = Raster(0.0, 0.0, 1.0, np.float32([[1], [3]]))
    assert line.at(np.float32([0, 7]), np.float32([0.5, 1])) == pytest.approx([2, 3], abs=0.01)
    beyond = raster.at(np.float32([50]), np.float32([0]))
    assert beyond == pytest.approx([10], abs=0.01)


def test_a_finish_covers_a_skin_by_its_share_and_leaves_slopes_alone() -> None:
    skin = Skin.of(Finish((0.2, 0.4, 0.6), metal=1.0), 10, 10, 0.5)
    skin.channel("slope_x")[:] = 0.3
    share = np.zeros(skin.raster.values.shape[:2], np.float32)
    share[:5], share[5:10] = 1, 0.5
    untouched = skin.copy()
    skin.cover(share, Finish((1.0, 1.0, 1.0), metal=0.0))
    assert skin.channel("red")[0, 0] == 1
    assert skin.channel("red")[5, 0] == pytest.approx(0.6)
    assert skin.channel("metal")[5, 0] == pytest.approx(0.5)
    assert (skin.channel("red")[10:] == np.float32(0.2)).all()
    assert (skin.channel("slope_x") == np.float32(0.3)).all()
    assert (untouched.channel("red") == np.float32(0.2)).all()


def test_a_camera_placed_by_hand_sees_a_box_where_it_stands() -> None:
    camera = Camera(101, 101, 1000.0, 1000.0, 50.0, 50.0)
    world = World(part(Body("box", *box(10, 10, 0, 50), "abs", GREY)))
    hits = world.cast(camera.centre, camera.directions().reshape(-1, 3))
    columns = np.flatnonzero(hits.found.reshape(101, 101)[50])
    assert (columns[0], columns[-1]) == (38, 62)  # 5 mm at 400 mm: 12.5 px
