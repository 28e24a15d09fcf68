"""The panel as solids: laminate, bonded doubler pad, button-head fasteners, film of resin."""

from typing import Any

import numpy as np

from mmdefect.simulate.body import Body, Finish, Layer, Skin
from mmdefect.simulate.marks import Place
from mmdefect.simulate.panel.plan import (
    CORNER_MM,
    HEAD_MM,
    HEIGHT_MM,
    HOLE_RADIUS_MM,
    PAD_MM,
    SHANK_MM,
    WIDTH_MM,
    Panel,
)
from mmdefect.simulate.panel.weave import twill
from mmdefect.simulate.raster import Raster, as_map
from mmdefect.simulate.shapes import Distance, Mesh, circle, plate, rectangle, turned, without

LAMINATE = "panel"
PITCH_MM = 0.5
METAL = Finish((0.78, 0.76, 0.73), roughness=0.24, specular=0.60, metal=1.0, emissivity=0.30)
RIM_MM, DOME_MM = 0.5, 1.3
SOCKET_MM, SOCKET_DEPTH_MM = 1.35, 1.1
SHANK_END_MM = 0.6
DENSITY_MM = 0.25
_SIDES = 48
_SLACK_MM = 0.05
_LAYER_PITCH_MM = 0.4


def outline() -> Distance:
    """Give the signed distance to the laminate without holes."""
    return rectangle(WIDTH_MM, HEIGHT_MM, CORNER_MM)


def pad(place: Place) -> Distance:
    """Give the signed distance to a doubler pad."""
    shape = rectangle(PAD_MM[0], PAD_MM[1], 2.0)
    return lambda x, y: shape(x - place.x, y - place.y)


def laminate(plan: Panel, skin: Skin) -> Body:
    """Make the laminate with its holes."""
    holes = [circle(place.x, place.y, HOLE_RADIUS_MM) for place in plan.holes]
    holes += [circle(place.x, place.y, SHANK_MM + _SLACK_MM) for place in plan.fasteners]
    region = without(outline(), *holes)
    mesh = plate(region, WIDTH_MM, HEIGHT_MM, plan.surface, plan.underside, PITCH_MM)
    return Body(LAMINATE, *mesh, "cfrp", skin)


def doubler(plan: Panel, skin: Skin) -> Body:
    """Make the pad that is bonded onto the laminate; it follows the laminate's surface."""
    region = pad(plan.pad_place(plan.pad))

    def top(x: Any, y: Any) -> Any:
        return plan.surface(x, y) + plan.pad_height

    mesh = plate(region, WIDTH_MM, HEIGHT_MM, top, plan.surface, PITCH_MM)
    return Body("pad", *mesh, "cfrp", skin)


def fasteners(plan: Panel) -> list[Body]:
    """Make the button-head fasteners, less those left out."""
    wrong = dict(plan.materials)
    mesh = _fastener(plan.thickness)
    found = []
    for number, place in enumerate(plan.fasteners, start=1):
        name = f"fastener_{number}"
        if name in plan.missing:
            continue
        height = float(plan.surface(place.x, place.y)) + 0.02
        body = Body(name, *mesh, wrong.get(name, "titanium"), METAL)
        found.append(body.moved(place.x, place.y, height, place.turn))
    return found


def _fastener(thickness: float) -> Mesh:
    """Turn a fastener with a domed head about the height axis and press its socket hexagonal."""
    top = RIM_MM + DOME_MM
    radii = np.linspace(SOCKET_MM + 0.25, HEAD_MM, 9)
    dome = [(float(r), float(RIM_MM + DOME_MM * (1 - (r / HEAD_MM) ** 2))) for r in radii]
    floor = top - SOCKET_DEPTH_MM
    profile = [(SOCKET_MM, floor), (SOCKET_MM, dome[0][1]), *dome]
    profile += [(HEAD_MM, 0.0), (SHANK_MM, 0.0), (SHANK_MM, -thickness - SHANK_END_MM)]
    vertices, triangles = turned(profile, _SIDES)
    angle = np.arctan2(vertices[:, 1], vertices[:, 0])
    radius = np.hypot(vertices[:, 0], vertices[:, 1])
    in_socket = (np.abs(radius - SOCKET_MM) < 1e-3) & (vertices[:, 2] > 0)
    sector = np.mod(angle + np.pi / 6, np.pi / 3) - np.pi / 6
    vertices[in_socket, :2] /= np.cos(sector[in_socket])[:, None]
    return vertices, triangles


def density(plan: Panel) -> Layer:
    """Give the fibres' uneven areal weight as a thin film: the weave in the X-ray's eyes.

    The tows of all plies together vary a laminate's density by a few per cent; the film adds at
    most ``DENSITY_MM`` to its thickness.
    """
    over = Raster.over(WIDTH_MM, HEIGHT_MM, _LAYER_PITCH_MM)
    x, y = over.axes
    cloth = twill(x, y, plan.weave)
    tows = (1 - cloth.groove) * (0.6 + (cloth.tone - 1))
    thick = as_map(DENSITY_MM * np.clip(tows, 0, 1))
    solid = np.clip(-outline()(x, y) / _LAYER_PITCH_MM, 0, 1)
    for place in (*plan.holes, *plan.fasteners):
        solid = solid * (np.hypot(x - place.x, y - place.y) > HOLE_RADIUS_MM)
    thickness = Raster(over.x, over.y, over.pitch, as_map(thick * solid))
    return Layer("cfrp", -plan.thickness / 2, thickness)
