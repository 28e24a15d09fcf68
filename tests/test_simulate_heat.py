"""Heat: laminates after a flash, walls of several solids, powered boards."""

import numpy as np
import pytest

from mmdefect.simulate.heat.board import resistance
from mmdefect.simulate.heat.laminate import delamination_contrast, spread_mm
from mmdefect.simulate.heat.spread import Sheet, board_sheet, spread_heat
from mmdefect.simulate.heat.walls import Walls, wall_rise
from mmdefect.simulate.materials import MATERIALS


def one_wall(thickness: float, reflection: float) -> Walls:
    return Walls(np.array([thickness], np.float32), np.array([reflection], np.float32))


@pytest.mark.parametrize(
    ("depth", "diameter", "gap", "seconds", "kelvin"),
    [
        # peaks of an independent axisymmetric model, 10 kJ/m², plate of 4 mm
        (0.5, 10, 0.02, 0.5, 2.2),
        (0.5, 10, 0.10, 0.8, 5.0),
        (1.0, 10, 0.02, 1.6, 0.596),
        (1.0, 10, 0.10, 1.9, 1.5),
        (1.0, 4, 0.02, 1.6, 0.263),
        (1.5, 10, 0.02, 3.0, 0.230),
        (1.5, 10, 0.10, 3.2, 0.599),
        (1.5, 4, 0.02, 3.0, 0.068),
        (2.0, 10, 0.10, 5.0, 0.273),
    ],
)
def test_the_heat_model_agrees_with_an_independent_one(
    depth: float, diameter: float, gap: float, seconds: float, kelvin: float
) -> None:
    radius, contrast = delamination_contrast(depth, diameter, gap, [seconds])
    assert contrast[0, 0] == pytest.approx(kelvin, rel=0.12)
    assert contrast[0, 0] == contrast.max()
    assert contrast[0, -1] == 0
    assert np.all(np.diff(radius) > 0)


@pytest.mark.parametrize(("depth", "peak"), [(0.5, 0.8), (1.0, 1.9), (1.5, 3.2), (2.0, 5.0)])
def test_contrast_peaks_when_the_independent_model_says(depth: float, peak: float) -> None:
    times = np.linspace(0.6 * peak, 1.6 * peak, 41)
    _, contrast = delamination_contrast(depth, 10, 0.1, times)
    assert times[np.argmax(contrast[:, 0])] == pytest.approx(peak, rel=0.15)


def test_a_wide_gap_that_insulates_leaves_the_heat_in_the_plies_above() -> None:
    # a plate of 0.5 mm: Q/(ρcL) in the end, when the gap is wide, thick and the time long
    _, contrast = delamination_contrast(0.5, 60, 50.0, [2.0])
    sound = wall_rise([1e4], "cfrp", None, 2.0)
    assert sound[0] + contrast[0, 0] == pytest.approx(1e4 / (1550 * 930 * 0.5e-3), rel=0.02)


def test_no_gap_gives_no_contrast() -> None:
    _, contrast = delamination_contrast(1.0, 10, 0.0, [2.0])
    assert np.abs(contrast).max() < 1e-6


def test_a_small_gap_looks_the_wider_the_deeper_it_lies() -> None:
    widths = []
    for depth, seconds in ((0.5, 0.5), (1.0, 1.6), (1.5, 3.0), (2.0, 4.5), (3.0, 7.0)):
        radius, contrast = delamination_contrast(depth, 4, 0.02, [seconds])
        widths.append(2 * np.interp(-contrast[0, 0] / 2, -contrast[0], radius))
    assert np.all(np.diff(widths) > 0.3)
    # widths at half maximum of an independent model, for the same gap
    assert widths == pytest.approx([3.8, 4.2, 5.2, 6.8, 8.8], rel=0.12)


def test_a_moment_does_not_depend_on_the_others_asked_for() -> None:
    _, alone = delamination_contrast(1.0, 8, 0.05, [2.0])
    _, among = delamination_contrast(1.0, 8, 0.05, [0.3, 1.1, 2.0, 3.7])
    np.testing.assert_array_equal(alone[0], among[2])


def test_a_half_space_warms_as_the_formula_says() -> None:
    # aluminium, 6 kJ/m², 0.5 s: 6000 / (20104 · √(π/2))
    rise = wall_rise([6000.0], "aluminium", None, 0.5)
    assert rise[0] == pytest.approx(6000 / (np.sqrt(167 * 2.42e6) * np.sqrt(np.pi / 2)), rel=1e-5)


def test_a_thin_plate_shares_its_heat_out_in_the_end() -> None:
    rise = wall_rise([6000.0], "aluminium", one_wall(3.0, 1.0), 2.0)
    assert rise[0] == pytest.approx(6000 / (2.42e6 * 3e-3), rel=1e-3)


def test_a_wall_that_heat_has_not_crossed_is_a_half_space() -> None:
    thick = wall_rise([6000.0], "cfrp", one_wall(4.0, 1.0), 2.0)
    assert thick[0] == pytest.approx(wall_rise([6000.0], "cfrp", None, 2.0)[0], rel=1e-3)


def two_layers(upper: str, lower: str, thickness: float, seconds: float) -> float:
    """Rise of a film on a half space after 6 kJ/m², by finite volumes, implicit in time."""
    cells = np.concatenate([np.full(20, thickness / 20), thickness / 20 * 1.06 ** np.arange(120)])
    layers = [MATERIALS[upper if i < 20 else lower] for i in range(len(cells))]
    count, metres = len(cells), cells / 1e3
    c = np.array([m.heat_capacity for m in layers]) * metres
    half = metres / 2 / np.array([m.conductivity for m in layers])
    between = 1 / (half[1:] + half[:-1])
    matrix = np.zeros((count, count))
    index = np.arange(count - 1)
    matrix[index, index + 1] = matrix[index + 1, index] = between
    matrix -= np.diag(matrix.sum(axis=1))
    values, vectors = np.linalg.eigh(matrix / np.sqrt(np.outer(c, c)))
    start = np.zeros(count)
    start[0] = 6000 / np.sqrt(c[0])
    modes = np.exp(values * seconds) * (vectors.T @ start)
    return float((vectors @ modes)[0] / np.sqrt(c[0]))


@pytest.mark.parametrize(
    ("upper", "lower", "thickness"),
    [("epoxy", "cfrp", 0.5), ("epoxy", "aluminium", 0.4), ("cfrp", "abs", 1.0)],
)
def test_a_film_on_another_solid_agrees_with_finite_volumes(
    upper: str, lower: str, thickness: float
) -> None:
    over, under = (MATERIALS[name].effusivity for name in (upper, lower))
    wall = one_wall(thickness, (over - under) / (over + under))
    for seconds in (0.3, 2.0, 6.0):
        rise = wall_rise([6000.0], upper, wall, seconds)
        assert rise[0] == pytest.approx(two_layers(upper, lower, thickness, seconds), rel=0.03)


def test_heat_spreads_faster_along_the_plies_than_through_them() -> None:
    through = 1e3 * np.sqrt(2 * MATERIALS["cfrp"].diffusivity * 2.0)
    assert spread_mm("cfrp", 2.0) == pytest.approx(through * np.sqrt(3.5 / 0.67), rel=1e-6)
    assert spread_mm("cfrp", 8.0) == pytest.approx(2 * spread_mm("cfrp", 2.0), rel=1e-6)


BOARD = board_sheet(1.6)


def sources(rows: int = 90, columns: int = 120) -> np.ndarray:
    """Two packages of 1 W and 0.4 W on a board of 45 mm by 60 mm, W/m²."""
    found = np.zeros((rows, columns), np.float32)
    found[20:40, 30:50] = 1.0 / (400 * 0.25e-6)
    found[60:66, 90:98] = 0.4 / (48 * 0.25e-6)
    return found


def test_what_goes_into_a_board_leaves_it() -> None:
    rise = spread_heat(sources(), 0.5, BOARD)
    area = rise.size * 0.25e-6
    assert BOARD.loss * area * rise.mean(dtype=np.float64) == pytest.approx(1.4, rel=1e-5)


@pytest.mark.parametrize("seconds", [1.0, 60.0, 300.0])
def test_a_board_stores_what_it_does_not_lose(seconds: float) -> None:
    rise = spread_heat(sources(), 0.5, BOARD, seconds)
    area = rise.size * 0.25e-6
    warming = 1 - np.exp(-seconds / BOARD.seconds)
    assert rise.mean(dtype=np.float64) == pytest.approx(
        1.4 * warming / (BOARD.loss * area), rel=1e-5
    )


def test_a_board_tends_to_its_steady_state() -> None:
    steady = spread_heat(sources(), 0.5, BOARD)
    late = spread_heat(sources(), 0.5, BOARD, 20 * BOARD.seconds)
    np.testing.assert_allclose(late, steady, rtol=1e-5)
    early = spread_heat(sources(), 0.5, BOARD, 0.01)
    middle = early[30, 40]
    assert middle == pytest.approx(sources()[30, 40] * 0.01 / BOARD.capacity, rel=0.01)


def test_a_symmetric_board_is_symmetric() -> None:
    middle = np.zeros((60, 80), np.float32)
    middle[28:32, 38:42] = 1e5
    rise = spread_heat(middle, 0.5, BOARD, 100.0)
    np.testing.assert_allclose(rise, rise[::-1], rtol=1e-5)
    np.testing.assert_allclose(rise, rise[:, ::-1], rtol=1e-5)


def test_an_even_source_warms_a_board_evenly() -> None:
    rise = spread_heat(np.full((40, 50), 240.0, np.float32), 0.5, BOARD)
    np.testing.assert_allclose(rise, 240.0 / 24.0, rtol=1e-5)


def test_heat_falls_off_along_a_long_board_as_along_a_fin() -> None:
    sheet = Sheet(0.024, 24.0, 3000.0)
    strip = np.zeros((2, 1200), np.float32)
    strip[:, :4] = 1e5
    rise = spread_heat(strip, 0.5, sheet)[0]
    assert sheet.reach == pytest.approx(31.62, rel=1e-3)
    assert rise[200] / rise[100] == pytest.approx(np.exp(-50 / sheet.reach), rel=0.005)


def test_a_transient_agrees_with_small_explicit_steps() -> None:
    heat, dt, cell = sources(), 0.005, 0.5e-3
    rise = np.zeros(heat.shape)
    for _ in range(800):
        padded = np.pad(rise, 1, mode="edge")
        around = padded[2:, 1:-1] + padded[:-2, 1:-1] + padded[1:-1, 2:] + padded[1:-1, :-2]
        laplace = (around - 4 * rise) / cell**2
        rise += dt / BOARD.capacity * (BOARD.conductance * laplace - BOARD.loss * rise + heat)
    found = spread_heat(heat, 0.5, BOARD, 800 * dt)
    assert np.abs(found - rise).max() < 0.003 * rise.max()


def test_small_packages_resist_more() -> None:
    assert resistance(196.0) == 10.0
    assert resistance(25.0) == pytest.approx(34.4, rel=0.01)
    assert resistance(2.5) > 100
