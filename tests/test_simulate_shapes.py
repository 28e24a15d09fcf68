"""Meshes of the simulated parts: closed, facing outwards, of the volume that geometry says."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solids import is_closed, signed_volume

from mmdefect.simulate.body import Body, Finish
from mmdefect.simulate.shapes import (
    blob,
    box,
    circle,
    cylinder,
    plate,
    prism,
    rectangle,
    turned,
    without,
)

HEXAGON = [(5 * math.cos(a), 5 * math.sin(a)) for a in np.arange(6) * math.pi / 3]


SHAPES = {
    "box": (box(4, 3, -1, 2), 36.0),
    "prism": (prism(HEXAGON, 0, 4), 3 * math.sqrt(3) / 2 * 25 * 4),
    "cylinder": (cylinder(6, 0, 8, 48), 48 / 2 * math.sin(2 * math.pi / 48) * 36 * 8),
    "cone": (turned([(0, 3), (2, 0)], 96), 96 / 2 * math.sin(2 * math.pi / 96) * 4 / 3 * 3),
    "blob": (blob(3, 2, 1, 40, 80), 4 / 3 * math.pi * 1.5 * 1 * 0.5),
    "plate": (plate(rectangle(20, 10), 20, 10, 1.0, -1.0), 400.0),
    "rounded": (plate(rectangle(20, 10, 3), 20, 10, 0.0, -2.0), (200 - (4 - math.pi) * 9) * 2),
    "holed": (
        plate(without(rectangle(20, 10), circle(3, 0, 2)), 20, 10, 0.0, -2.0, 0.25),
        (200 - math.pi * 4) * 2,
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_closed_faces_outwards_and_has_its_volume(name: str) -> None:
    mesh, expected = SHAPES[name]
    assert is_closed(*mesh)
    assert signed_volume(*mesh) == pytest.approx(expected, rel=0.006)


@settings(max_examples=25, deadline=None)
@given(
    width=st.floats(10, 40),
    height=st.floats(10, 40),
    corner=st.floats(0, 4),
    hole=st.floats(1.2, 3.5),
    place=st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2)),
)
def test_any_plate_with_a_hole_is_closed_and_has_its_area(
    width: float, height: float, corner: float, hole: float, place: tuple[float, float]
) -> None:
    x, y = place[0] * width, place[1] * height
    outline = without(rectangle(width, height, corner), circle(x, y, hole))
    mesh = plate(outline, width, height, 0.0, -1.0, 0.5)
    assert is_closed(*mesh)
    area = width * height - (4 - math.pi) * corner**2 - math.pi * hole**2
    assert signed_volume(*mesh) == pytest.approx(area, rel=0.01)


def test_the_rim_of_a_hole_lies_on_its_circle() -> None:
    vertices, _ = plate(without(rectangle(20, 20), circle(2, 1, 3)), 20, 20, 0.0, -1.0, 0.5)
    reach = np.hypot(vertices[:, 0] - 2, vertices[:, 1] - 1)
    rim = reach < 3.2
    assert np.abs(reach[rim] - 3).max() < 0.02
    assert rim.sum() > 4 * 30


def test_a_curved_plate_follows_its_height() -> None:
    def bow(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 0.01 * x**2 - 0.02 * y

    vertices, _ = plate(rectangle(20, 10), 20, 10, bow, lambda x, y: bow(x, y) - 2)
    x, y, height = vertices.T.astype(np.float64)
    thickness = np.where(height > bow(x, y) - 1, 0, 2)
    np.testing.assert_allclose(height, bow(x, y) - thickness, atol=1e-5)
    assert {0, 2} == set(thickness)


def test_a_body_is_turned_about_its_own_origin_and_then_shifted() -> None:
    body = Body("peg", *box(4, 2, 0, 1), "steel", Finish((0.5, 0.5, 0.5)))
    moved = body.moved(10, -3, 2, turn=math.pi / 2)
    assert np.ptp(moved.vertices, axis=0) == pytest.approx([2, 4, 1], abs=1e-5)
    assert moved.vertices.mean(0) == pytest.approx([10, -3, 2.5], abs=1e-5)
    corner = body.moved(turn=0.1).vertices[np.argmax(body.vertices @ [1, 1, 0])]
    assert corner[1] > 1  # from x towards y
