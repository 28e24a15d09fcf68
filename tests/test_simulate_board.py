"""The populated board: twins, closed solids, footprints, and what each kind of defect changes."""

from dataclasses import fields, replace
from itertools import combinations

import numpy as np
import pytest
from scipy import ndimage

from mmdefect.simulate.board import BOARD
from mmdefect.simulate.board import assembly as assembly
from mmdefect.simulate.board import soldering as soldering
from mmdefect.simulate.board.artwork import copper, legends, tinned
from mmdefect.simulate.board.families import package
from mmdefect.simulate.board.joints import nominal, on_board, terminals
from mmdefect.simulate.board.layout import BOARD_MM, LOW, OPTIONAL, SITE, SITES, TALL
from mmdefect.simulate.board.plan import BoardPlan
from mmdefect.simulate.board.routes import all_pads, routes
from mmdefect.simulate.board.skin import printed_ink
from mmdefect.simulate.board.space import footprint, overlap, removed
from mmdefect.simulate.body import Body, Part, Planted, Skin
from mmdefect.simulate.materials import MATERIALS
from mmdefect.simulate.raster import Raster
from mmdefect.simulate.station import station
from mmdefect.simulate.tracer import World

SEEDS = range(8)
REACH_MM = 2.5


def plan_of(seed: int) -> BoardPlan:
    plan = BOARD.draw(np.random.default_rng(seed))
    assert isinstance(plan, BoardPlan)
    return plan


def planted(kind: str, seed: int) -> Planted:
    return BOARD.kinds[kind].plant(np.random.default_rng(seed + 1000), plan_of(seed))


@pytest.fixture(scope="module")
def drawn() -> dict[str, list[tuple[Raster, dict[str, float]]]]:
    """Extents and sizes of every kind; the parts are large and not kept."""
    found = {}
    for kind in BOARD.kinds:
        made = (planted(kind, seed) for seed in SEEDS)
        found[kind] = [(defect.extent, defect.sizes) for defect in made]
    return found


def look_of(body: Body) -> np.ndarray:
    return body.look.raster.values if isinstance(body.look, Skin) else body.look.channels


def same_body(one: Body, other: Body) -> bool:
    return (
        one.material == other.material
        and one.host == other.host
        and np.array_equal(one.vertices, other.vertices)
        and np.array_equal(one.triangles, other.triangles)
        and np.array_equal(look_of(one), look_of(other))
    )


def same_part(one: Part, other: Part) -> bool:
    return (
        [body.name for body in one.bodies] == [body.name for body in other.bodies]
        and all(same_body(a, b) for a, b in zip(one.bodies, other.bodies, strict=True))
        and all(
            np.array_equal(a.thickness.values, b.thickness.values)
            for a, b in zip(one.layers, other.layers, strict=True)
        )
        and one.powers == other.powers
        and one.pose == other.pose
    )


def places_seen(part: Part) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y, height of the surface below each pixel of a small colour camera, and its colour."""
    camera = station(128).cameras["rgb"]
    hits = World(part).cast(camera.centre, camera.directions().reshape(-1, 3))
    colour = np.zeros((len(hits.body), 3), np.float32)
    for index in np.unique(hits.body[hits.found]):
        look, here = part.bodies[index].look, hits.body == index
        x, y = hits.places[here, 0], hits.places[here, 1]
        colour[here] = look.raster.at(x, y)[:, :3] if isinstance(look, Skin) else look.albedo
    return hits.places, hits.distance, colour


def far_from(extent: Raster, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    away = ndimage.distance_transform_edt(extent.values < 0.5) * extent.pitch
    return Raster(extent.x, extent.y, extent.pitch, away.astype(np.float32)).at(x, y) > REACH_MM


def test_the_same_seed_makes_the_same_board_to_the_last_bit() -> None:
    one, other = (BOARD.build(plan_of(4)) for _ in range(2))
    assert same_part(one, other)
    assert not same_part(one, BOARD.build(plan_of(5)))


def test_building_changes_nothing_that_the_next_board_shares() -> None:
    first = BOARD.build(plan_of(1))
    before = [look_of(body).copy() for body in first.bodies]
    planted("contamination", 2)
    planted("misprint", 3)
    assert same_part(first, BOARD.build(plan_of(1)))
    for body, look in zip(first.bodies, before, strict=True):
        np.testing.assert_array_equal(look_of(body), look)


@pytest.mark.parametrize("kind", BOARD.kinds)
def test_an_extent_is_on_the_board_and_not_empty(
    drawn: dict[str, list[tuple[Raster, dict[str, float]]]], kind: str
) -> None:
    for extent, sizes in drawn[kind]:
        x, y = np.broadcast_arrays(*extent.axes)
        marked = extent.values > 0.5
        assert marked.any()
        assert np.abs(x[marked]).max() <= BOARD_MM[0] / 2 + extent.pitch / 2
        assert np.abs(y[marked]).max() <= BOARD_MM[1] / 2 + extent.pitch / 2
        assert all(np.isfinite(size) for size in sizes.values())


@pytest.mark.parametrize("kind", sorted(set(BOARD.kinds) - {"warp", "null"}))
def test_twins_differ_near_the_extent_and_nowhere_else(kind: str) -> None:
    for seed in (0, 3):
        good, defect = BOARD.build(plan_of(seed)), planted(kind, seed)
        assert not same_part(good, defect.part)
        (places, distance, colour), (_, new_distance, new_colour) = (
            places_seen(part) for part in (good, defect.part)
        )
        seen = np.isfinite(places[:, 0])
        far = np.zeros(len(seen), bool)
        far[seen] = far_from(defect.extent, places[seen, 0], places[seen, 1])
        assert 0.3 < far.mean() < 1
        np.testing.assert_array_equal(distance[far], new_distance[far])
        np.testing.assert_array_equal(colour[far], new_colour[far])
        for old, new in zip(good.layers, defect.part.layers, strict=True):
            x, y = np.broadcast_arrays(*old.thickness.axes)
            away = far_from(defect.extent, x.ravel(), y.ravel()).reshape(x.shape)
            np.testing.assert_array_equal(
                old.thickness.values[away], new.thickness.values[away], err_msg=kind
            )


def test_nothing_planted_changes_nothing() -> None:
    assert BOARD.kinds["null"].group == "null"
    for seed in (0, 1, 2):
        assert same_part(BOARD.build(plan_of(seed)), planted("null", seed).part)
        assert set(planted("null", seed).sizes.values()) == {0.0}


@pytest.mark.parametrize(
    ("kind", "size", "limits"),
    [
        ("contamination", "diameter_mm", soldering.RESIDUE_MM),
        ("contamination", "strength", soldering.RESIDUE_STRENGTH),
        ("solder_bridge", "thickness_mm", soldering.BRIDGE_MM),
        ("solder_void", "diameter_mm", (soldering.BALL_VOID_MM[0], soldering.TAB_VOID_MM[1])),
        ("tilted_component", "lift_mm", assembly.LIFT_MM),
        ("warp", "bow_mm", assembly.WARP_MM),
        ("displaced_component", "shift_mm", (0, assembly.SHIFT_MM[1])),
        ("displaced_component", "turn_deg", (0, assembly.TURN_DEG[1])),
        ("hot_spot", "power_W", (0.92 * SITE[OPTIONAL].power, 1.08 * SITE[OPTIONAL].power)),
    ],
)
def test_sizes_are_within_their_ranges_and_vary(
    drawn: dict[str, list[tuple[Raster, dict[str, float]]]],
    kind: str,
    size: str,
    limits: tuple[float, float],
) -> None:
    values = np.array([sizes[size] for _, sizes in drawn[kind]])
    assert values.min() >= limits[0] - 1e-9
    assert values.max() <= limits[1] + 1e-9
    assert np.unique(values).size > len(SEEDS) / 3


def test_every_mesh_is_closed_and_faces_outwards() -> None:
    for kind in ("missing_component", "solder_void", "solder_bridge", "hot_spot"):
        for body in planted(kind, 1).part.bodies:
            corners = np.round(body.vertices.astype(np.float64), 4)
            _, same = np.unique(corners, axis=0, return_inverse=True)
            facets = same.reshape(-1)[body.triangles]
            edges = np.concatenate([facets[:, [0, 1]], facets[:, [1, 2]], facets[:, [2, 0]]])
            edges = edges[edges[:, 0] != edges[:, 1]].astype(np.int64)
            there, back = (np.sort(edges @ way) for way in ([10**6, 1], [1, 10**6]))
            np.testing.assert_array_equal(there, back, err_msg=body.name)
            a, b, c = (body.vertices[body.triangles[:, i]].astype(np.float64) for i in range(3))
            assert np.einsum("ij,ij->", a, np.cross(b, c)) > 0, body.name


def test_a_ray_through_the_bare_board_runs_through_its_thickness() -> None:
    part = BOARD.build(plan_of(0))
    world = World(part)
    start = part.to_rig(np.array([[-39.0, 24.0, 200.0]], np.float32))
    end = part.to_rig(np.array([[-39.0, 24.0, -200.0]], np.float32))
    way = (end - start) / np.linalg.norm(end - start)
    lengths = world.paths(start[0], way)[0]
    found = {body.name: length for body, length in zip(part.bodies, lengths, strict=True)}
    assert found["board"] == pytest.approx(1.6, abs=2e-3)
    assert found["fixture"] == pytest.approx(3.0, abs=0.02)
    assert found["solder"] == found["leads"] == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_components_of_good_boards_do_not_overlap(seed: int) -> None:
    mounted = plan_of(seed).mounted
    covered = [(m.site, footprint(m)) for m in mounted]
    met = [(a, b) for (a, one), (b, other) in combinations(covered, 2) if overlap(one, other)]
    assert met == []
    for _, corners in covered:
        assert (np.abs(corners) < np.array(BOARD_MM) / 2).all()


def test_overlap_agrees_with_points_drawn_in_both_rectangles() -> None:
    rng = np.random.default_rng(0)
    square = np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    agreed = {True: 0, False: 0}
    for _ in range(60):
        turn, shift = rng.uniform(0, np.pi), rng.uniform(-3, 3, 2)
        matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        inside = rng.uniform(-1, 1, (20000, 2)) @ matrix + shift
        shared = bool((np.abs(inside) < 1).all(axis=1).sum() > 3)
        found = overlap(square, square @ matrix + shift)
        if shared:
            assert found
        agreed[found] += 1
    assert min(agreed.values()) > 10


def test_good_boards_carry_both_makers_and_come_with_and_without_the_option() -> None:
    plans = [plan_of(seed) for seed in range(60)]
    for site in ("C1", "C2", "C3", "C4"):
        makers = [m.package for plan in plans for m in plan.mounted if m.site == site]
        assert 0.25 < makers.count(TALL) / len(plans) < 0.75
        assert set(makers) == {LOW, TALL}
    with_option = sum(plan.at(OPTIONAL) is not None for plan in plans)
    assert 0.25 < with_option / len(plans) < 0.75


def test_traces_end_on_pads_and_keep_clear_of_others() -> None:
    pads, _ = all_pads()
    laid = [np.array(trace) for trace in routes().traces]
    assert len(laid) > 80
    for trace in laid:
        assert np.hypot(*(pads[:, :2] - trace[0]).T).min() < 1e-3
    first = np.concatenate([trace[:-1] for trace in laid])
    last = np.concatenate([trace[1:] for trace in laid])
    owner = np.repeat(np.arange(len(laid)), [len(trace) - 1 for trace in laid])

    def side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        u, v = b - a, c - a
        return np.sign(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0])

    a, b, c, d = first[:, None], last[:, None], first[None], last[None]
    crossing = (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)
    assert not (crossing & (owner[:, None] != owner)).any()


def test_every_site_has_its_reference_printed_beside_no_other_pad() -> None:
    found = {legend.site: legend for legend in legends()}
    assert set(found) == {site.name for site in SITES}
    assert all(legend.text == name for name, legend in found.items())
    assert not (printed_ink(plan_of(0).silkscreen)[tinned() == 1] > 0).any()
    assert 0.5 < copper().mean() < 1


@pytest.mark.parametrize("name", sorted({site.package for site in SITES} | {TALL, "t1206"}))
def test_a_package_stands_on_the_board_within_its_reach(name: str) -> None:
    made = package(name)
    through = {"pins"}
    for piece in made.pieces:
        assert piece.material in MATERIALS
        low, high = piece.mesh[0].min(axis=0), piece.mesh[0].max(axis=0)
        assert low[2] >= -1e-6 or piece.role in through
        reach = np.array(made.reach) / 2
        assert (np.maximum(-low, high)[:2] <= reach + 1e-3).all(), piece.role
        assert high[2] <= made.size[2] + 1e-3 or piece.role == "leads"


def test_every_terminal_of_a_good_board_lies_on_its_pad() -> None:
    for seed in range(5):
        for mounted in plan_of(seed).mounted:
            made = package(mounted.package)
            if made.joints:
                right = terminals(package(SITE[mounted.site].package), nominal(mounted.site))
                found = terminals(made, mounted.place, mounted.size)
                assert np.hypot(found.x - right.x, found.y - right.y).max() < 0.45, mounted.site


def test_a_missing_component_leaves_its_pads_their_solder_and_nothing_else() -> None:
    defect = planted("missing_component", 0)
    good = BOARD.build(plan_of(0))
    gone = {body.name for body in good.bodies} - {body.name for body in defect.part.bodies}
    assert len({name.split()[0] for name in gone}) <= 1  # a can has a core
    x, y = np.broadcast_arrays(*defect.extent.axes)
    marked = defect.extent.values > 0.5
    solder = defect.part.body("solder").vertices
    here = (
        (solder[:, 0] > x[marked].min())
        & (solder[:, 0] < x[marked].max())
        & (solder[:, 1] > y[marked].min())
        & (solder[:, 1] < y[marked].max())
    )
    assert here.any()
    assert np.ptp(solder[here, 2]) < 0.35


def test_a_lifted_end_rises_by_what_was_drawn_while_the_other_stays() -> None:
    plan = plan_of(3)
    chip = next(m for m in plan.mounted if m.package == "r1206")
    for way in (-1.0, 1.0):
        lifted = replace(chip, lift=0.8 * way)
        part = BOARD.build(
            replace(plan, mounted=tuple(lifted if m is chip else m for m in plan.mounted))
        )
        flat = BOARD.build(plan).body(chip.site).vertices
        found = part.body(chip.site).vertices
        rise = found[:, 2] - flat[:, 2]
        x, y = flat[:, 0] - chip.place.x, flat[:, 1] - chip.place.y
        along = np.cos(chip.place.turn) * x + np.sin(chip.place.turn) * y
        share = way * along / (package("r1206").size[0] * chip.size[0]) + 0.5
        np.testing.assert_allclose(rise, 0.8 * share, atol=0.05)


def test_a_dead_component_differs_in_its_heat_alone() -> None:
    for seed in range(4):
        good, dead = BOARD.build(plan_of(seed)), planted("dead_component", seed).part
        assert all(same_body(a, b) for a, b in zip(good.bodies, dead.bodies, strict=True))
        changed = [name for name, power in good.powers.items() if dead.powers.get(name, 0) != power]
        assert len(changed) == 1
        lacking = planted("dead_component", seed).sizes["lacking_W"]
        left = dead.powers.get(changed[0], 0)
        assert good.powers[changed[0]] - left == pytest.approx(lacking)


def test_heat_without_a_component_looks_like_an_empty_board_and_warms_like_a_full_one() -> None:
    assert BOARD.kinds["hot_spot"].group == "inconsistent"
    full = [plan for plan in map(plan_of, SEEDS) if plan.at(OPTIONAL)]
    usual = [BOARD.build(plan).powers[OPTIONAL] for plan in full[:6]]
    for seed in (0, 1, 2, 3):
        defect = planted("hot_spot", seed)
        empty = BOARD.build(removed(plan_of(seed), OPTIONAL))
        spot = defect.part.bodies[-1]
        assert all(
            same_body(a, b) for a, b in zip(empty.bodies, defect.part.bodies[:-1], strict=True)
        )
        board = defect.part.body("board")
        assert spot.look is board.look
        assert spot.material == board.material == "fr4"
        assert spot.host == "board"
        assert spot.vertices[:, 2].max() - empty.body("board").vertices[:, 2].max() < 0.01
        assert 0.85 * min(usual) < defect.part.powers[spot.name] < 1.15 * max(usual)
        centre = spot.vertices.mean(axis=0)[:2]
        np.testing.assert_allclose(centre, (SITE[OPTIONAL].x, SITE[OPTIONAL].y), atol=1e-3)


def test_a_counterfeit_has_one_makers_colours_and_the_others_height_and_inside() -> None:
    assert BOARD.kinds["wrong_height"].group == "structural"
    for seed in range(4):
        plan, wrong = plan_of(seed), planted("wrong_height", seed)
        cans = [site.name for site in SITES if site.package == LOW]
        good = BOARD.build(plan)
        changed = [n for n in cans if not same_body(good.body(n), wrong.part.body(n))]
        assert len(changed) == 1
        twins = {}
        for maker in (LOW, TALL):
            honest = tuple(
                replace(m, package=maker, look=maker) if m.site == changed[0] else m
                for m in plan.mounted
            )
            twins[maker] = BOARD.build(replace(plan, mounted=honest))
        low, tall = (twins[maker].body(changed[0]) for maker in (LOW, TALL))
        found = wrong.part.body(changed[0])
        np.testing.assert_array_equal(look_of(found), look_of(low))
        np.testing.assert_array_equal(found.vertices, tall.vertices)
        core = f"{changed[0]} core"
        assert same_body(wrong.part.body(core), twins[TALL].body(core))
        assert found.material == tall.material


def test_voids_lie_inside_their_balls() -> None:
    seen = 0
    for seed in range(8):
        defect = planted("solder_void", seed)
        grid = plan_of(seed).at("U3")
        balls = package("bga81").balls
        assert grid is not None
        assert balls is not None
        x, y = on_board(grid.place, balls.places)
        for name in defect.shadows:
            void = defect.part.body(name)
            assert void.material == "air"
            assert void.host == "solder"
            middle = void.vertices.mean(axis=0)
            nearest = np.hypot(x - middle[0], y - middle[1]).argmin()
            ball = plan_of(seed).solder["U3"][nearest] ** 0.5 * balls.diameter / 2
            across = np.hypot(void.vertices[:, 0] - x[nearest], void.vertices[:, 1] - y[nearest])
            assert across.max() < ball
            assert np.ptp(void.vertices[:, 2]) < balls.height
            seen += 1
    assert seen > 5


def test_what_no_camera_sees_from_above_does_not_show_there() -> None:
    for kind in ("no_solder", "solder_void", "dead_component"):
        good, defect = places_seen(BOARD.build(plan_of(1))), places_seen(planted(kind, 1).part)
        for one, other in zip(good, defect, strict=True):
            np.testing.assert_array_equal(one, other)


def test_every_range_of_a_plan_is_used() -> None:
    first, second = plan_of(11), plan_of(12)
    equal = {
        f.name
        for f in fields(BoardPlan)
        if repr(getattr(first, f.name)) == repr(getattr(second, f.name))
    }
    assert equal == {"residue", "voids", "bridges", "unsoldered", "bare_films", "shorts"}
