"""X-rays through planted solids: Beer's law, geometry, volumes and noise by hand."""

from dataclasses import replace

import numpy as np
import pytest

from mmdefect.registration import Pose
from mmdefect.simulate.body import Body, Finish, Layer, Part
from mmdefect.simulate.materials import ENERGIES_KEV, MATERIALS
from mmdefect.simulate.raster import Raster, Rendering
from mmdefect.simulate.shapes import Mesh, blob, box
from mmdefect.simulate.station import DISTANCE_MM, PANEL_MM, SOURCE_MM, station
from mmdefect.simulate.tracer import World
from mmdefect.simulate.xray.radiograph import (
    DETECTOR_BLUR_PX,
    ELECTRONIC_COUNTS,
    FOCAL_SPOT_MM,
    Tube,
    dark_frame,
    draw_detector,
    draw_tube,
    expose_xray,
    flat_frame,
    open_beam,
    render_xray,
    scattered,
    smoothed,
)
from mmdefect.simulate.xray.rays import primary
from mmdefect.simulate.xray.spectrum import HARD, SOFT, Spectrum, spectrum_for, volume

GREY = Finish((0.5, 0.5, 0.5))
CAMERA = station(120).cameras["xray"]
STEADY = Tube(1.0, 0.0)


def body(name: str, mesh: Mesh, material: str, host: str = "") -> Body:
    return Body(name, *mesh, material, GREY, host)


def world(*bodies: Body, layers: tuple[Layer, ...] = ()) -> World:
    return World(Part(bodies, Pose(np.eye(3), np.array([0.0, 0.0, DISTANCE_MM])), layers))


def pixel_of(x: float, y: float, height: float) -> tuple[float, float]:
    """Column and row by similar triangles from the source at (21, -13)."""
    away = SOURCE_MM - height
    pitch = PANEL_MM / CAMERA.fx
    centre = np.array([CAMERA.cx, CAMERA.cy])
    return tuple(centre + (np.array([x, y]) - [21.0, -13.0]) * PANEL_MM / away / pitch)


def beer(spectrum: Spectrum, lengths: dict[str, float]) -> float:
    depths = sum(np.array(MATERIALS[m].attenuation) * mm for m, mm in lengths.items())
    return float(np.exp(-np.broadcast_to(depths, 5)) @ np.array(spectrum.weights))


def effective(spectrum: Spectrum, material: str, mm: float) -> float:
    return -np.log(beer(spectrum, {material: mm})) / mm


def below_source(through: np.ndarray) -> float:
    """Value where the beam meets the part's plane at a right angle, at (21, -13)."""
    column, row = pixel_of(21.0, -13.0, 0.0)
    return float(through[round(row), round(column)])


@pytest.mark.parametrize(
    ("spectrum", "material", "mm", "transmission"),
    [
        # of whole spectra, computed independently
        (SOFT, "aluminium", 2, np.exp(-0.101 * 2)),
        (SOFT, "aluminium", 20, np.exp(-0.086 * 20)),
        (SOFT, "cfrp", 4, 0.89),
        (SOFT, "fr4", 1.6, 0.905),
        (SOFT, "copper", 0.035, 0.918),
        (SOFT, "solder", 0.1, 0.52),
        (SOFT, "steel", 2, 0.14),
        (HARD, "aluminium", 2, np.exp(-0.075 * 2)),
        (HARD, "steel", 2, 0.24),
    ],
)
def test_five_energies_weaken_as_the_whole_spectrum_does(
    spectrum: Spectrum, material: str, mm: float, transmission: float
) -> None:
    assert np.log(beer(spectrum, {material: mm})) == pytest.approx(np.log(transmission), rel=0.04)


@pytest.mark.parametrize("spectrum", [SOFT, HARD])
def test_the_beam_hardens_on_its_way(spectrum: Spectrum) -> None:
    assert sum(spectrum.weights) == pytest.approx(1, abs=1e-9)
    seen = [effective(spectrum, "aluminium", mm) for mm in (0.01, 2, 5, 10, 20, 50)]
    assert np.all(np.diff(seen) < 0)
    mean = np.array(spectrum.weights) @ np.array(MATERIALS["aluminium"].attenuation)
    assert seen[0] == pytest.approx(mean, rel=1e-3)
    assert spectrum.weights @ np.array(ENERGIES_KEV) < spectrum.kilovolts


def test_a_slab_transmits_what_beers_law_says() -> None:
    through = primary(world(body("slab", box(90, 80, -10, 0), "cfrp")), CAMERA)
    assert below_source(through) == pytest.approx(beer(SOFT, {"cfrp": 10}), rel=1e-4)
    # aslant, at (-35, 25): the way through grows by 1/cos
    column, row = pixel_of(-35.0, 25.0, -5.0)
    aslant = np.hypot(np.hypot(56.0, 38.0), SOURCE_MM + 5) / (SOURCE_MM + 5)
    found = through[round(row), round(column)]
    assert found == pytest.approx(beer(SOFT, {"cfrp": 10 * aslant}), rel=2e-4)
    assert through[2, 2] == 1


def test_a_step_wedge_is_a_staircase_of_known_steps() -> None:
    steps = [body(f"s{i}", box(12, 60, 0, 2.0 * (i + 1)), "aluminium") for i in range(5)]
    wedge = [step.moved(x=-30 + 12.5 * i) for i, step in enumerate(steps)]
    through = primary(world(*wedge), CAMERA)
    for i in range(5):
        x, mm = -30 + 12.5 * i, 2.0 * (i + 1)
        column, row = pixel_of(x, 0.0, mm / 2)
        aslant = np.sqrt(1 + ((x - 21) ** 2 + 13**2) / (SOURCE_MM - mm / 2) ** 2)
        expected = beer(spectrum_for(world(*wedge).part), {"aluminium": mm * aslant})
        assert through[round(row), round(column)] == pytest.approx(expected, rel=1e-3)


def test_a_flaw_takes_the_place_of_its_host() -> None:
    slab = body("slab", box(90, 80, -10, 0), "aluminium")
    flaw = box(20, 20, -6, -2)
    for material in ("air", "steel"):
        planted = body("flaw", flaw, material, "slab").moved(21, -13)
        through = primary(world(slab, planted), CAMERA)
        expected = beer(HARD, {"aluminium": 6, material: 4})
        assert below_source(through) == pytest.approx(expected, rel=1e-3)


def test_a_voids_volume_is_the_sum_of_what_it_lets_through() -> None:
    slab = body("slab", box(90, 80, -10, 0), "aluminium")
    void = body("void", blob(6, 4, 3, 40, 60), "air", "slab").moved(-5, 8, -5)
    camera = station(256).cameras["xray"]
    sound, hollow = (primary(world(*bodies), camera) for bodies in ((slab,), (slab, void)))
    gained = np.log(hollow.astype(float) / sound)
    per_mm = (np.log(beer(HARD, {"aluminium": 9})) - np.log(beer(HARD, {"aluminium": 10}))) / 1
    pixel = (PANEL_MM / camera.fx) * (SOURCE_MM + 5) / PANEL_MM
    measured = gained.sum() / per_mm * pixel**2
    assert measured == pytest.approx(np.pi / 6 * 6 * 4 * 3, rel=0.03)
    assert volume(void) == pytest.approx(np.pi / 6 * 6 * 4 * 3, rel=0.01)


@pytest.mark.parametrize("height", [0.0, 25.0])
def test_a_post_falls_where_similar_triangles_say(height: float) -> None:
    post = body("post", box(4, 4, height - 0.5, height + 0.5), "aluminium").moved(-30.3, 20.7)
    through = primary(world(post), CAMERA)
    weight = -np.log(through)
    rows, columns = np.indices(through.shape)
    found = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
    assert found == pytest.approx(pixel_of(-30.3, 20.7, height), abs=0.1)


def test_a_film_weakens_by_its_thickness_over_the_cosine_and_ends() -> None:
    film = Layer("copper", 0.0, Raster.over(60, 40, 0.2, fill=0.2))
    empty = body("plate", box(90, 80, -2, 0), "cfrp")
    bare, coated = (primary(world(empty, layers=layers), CAMERA) for layers in ((), (film,)))
    expected = beer(SOFT, {"cfrp": 2, "copper": 0.2})
    assert below_source(coated) == pytest.approx(expected, rel=1e-3)
    column, row = (round(value) for value in pixel_of(-28.0, 15.0, 0.0))
    aslant = np.sqrt(1 + (49**2 + 28**2) / SOURCE_MM**2)
    expected = beer(SOFT, {"cfrp": 2 * aslant, "copper": 0.2 * aslant})
    assert coated[row, column] == pytest.approx(expected, rel=1e-3)
    beyond = tuple(round(value) for value in pixel_of(-36.0, 15.0, 0.0))[::-1]
    assert coated[beyond] == bare[beyond]


def test_hard_rays_are_for_bulky_metal() -> None:
    laminate = body("laminate", box(90, 80, -4, 0), "cfrp")
    bolt = body("bolt", box(8, 8, -8, 4), "steel")
    bracket = body("bracket", box(60, 50, -8, 0), "aluminium")
    pose = Pose()
    assert spectrum_for(Part((laminate, bolt), pose)) is SOFT
    assert spectrum_for(Part((bracket, bolt), pose)) is HARD
    assert spectrum_for(Part((bracket,), pose, excitation="powered")) is SOFT


def test_scatter_is_strong_behind_thick_parts_only() -> None:
    shares = []
    for transmission in (1.0, 0.9, 0.5, 0.1):
        even = np.full((60, 60), transmission, np.float32)
        shares.append(scattered(even, 10.0)[30, 30] / transmission)
    assert shares[0] == 0
    assert shares[1] < 0.02
    assert 0.05 < shares[2] < 0.15
    assert 0.2 < shares[3] < 0.35


def test_a_wide_blur_keeps_what_it_blurs() -> None:
    peak = np.zeros((150, 170), np.float32)
    peak[70:78, 80:88] = 1
    wide = smoothed(peak, 12.0)
    assert wide.sum() == pytest.approx(64, rel=0.01)
    rows = np.indices(peak.shape)[0]
    spread = np.sqrt((wide * (rows - 73.5) ** 2).sum() / wide.sum())
    assert spread == pytest.approx(12, rel=0.06)


def test_an_edge_is_as_wide_as_focal_spot_and_scintillator_make_it() -> None:
    camera = station(256).cameras["xray"]
    # the edge falls between two pixels, straight below the source, so that neither is split
    pitch = PANEL_MM / camera.fx
    aside = (round(camera.cx) + 0.5 - camera.cx) * pitch * SOURCE_MM / PANEL_MM
    foil = body("foil", box(80, 90, -3, 3), "cfrp").moved(40 + 21 + aside)
    row = render_xray(world(foil), camera, STEADY).signal[camera.height // 2].astype(float)
    middle = int(np.argmax(-np.diff(row)))
    steepest = row[middle] - row[middle + 1]
    step = row[middle - 5] - row[middle + 6]
    width = np.hypot(DETECTOR_BLUR_PX, FOCAL_SPOT_MM / 2.355 * (PANEL_MM / SOURCE_MM - 1) / pitch)
    assert steepest / step == pytest.approx(1 / (width * np.sqrt(2 * np.pi)), rel=0.03)


def test_the_open_beam_falls_off_with_distance_and_towards_the_anode() -> None:
    beam = open_beam(CAMERA)
    assert beam.max() == 1
    row = round(CAMERA.cy)
    pitch = PANEL_MM / CAMERA.fx
    offsets = (np.array([0, CAMERA.width - 1]) - CAMERA.cx) * pitch
    away = (offsets**2 + PANEL_MM**2 + ((row - CAMERA.cy) * pitch) ** 2) ** -1.5
    assert beam[row, 0] / beam[row, -1] == pytest.approx(away[0] / away[1], rel=1e-5)
    assert beam[0].mean() < 0.95 * beam[-1].mean()


WEDGE = world(
    body("slab", box(90, 80, -10, 0), "aluminium"),
    body("bolt", box(10, 10, -10, 6), "steel").moved(-25, 10),
)


def corrected(seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, transmission from the three files, and dead pixels."""
    rng = np.random.default_rng(seed)
    detector = draw_detector(CAMERA, rng)
    rendering = render_xray(WEDGE, CAMERA, Tube(1.02, 0.008))
    counts = expose_xray(rendering, detector, rng)
    flat, dark = flat_frame(detector, rng).astype(float), dark_frame(detector, rng).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return counts, (counts - dark) / (flat - dark), detector.dead


def test_flat_and_dark_frames_bring_the_rendering_back_within_its_stated_noise() -> None:
    rendering = render_xray(WEDGE, CAMERA, Tube(1.02, 0.008))
    _, transmission, dead = corrected()
    off = ((transmission - rendering.signal) / rendering.noise)[~dead]
    assert off.mean() == pytest.approx(0, abs=0.03)
    assert off.std() == pytest.approx(1, abs=0.02)
    dim = (rendering.signal < 0.2)[~dead]
    assert dim.sum() > 100
    assert off[dim].std() == pytest.approx(1, abs=0.1)


def test_noise_is_that_of_the_quanta() -> None:
    rendering = render_xray(WEDGE, CAMERA, STEADY)
    bright = rendering.noise[rendering.signal > 0.99].min()
    assert bright == pytest.approx(1 / np.sqrt(20000), rel=0.05)


def test_raw_counts_hold_the_panels_pattern_and_corrected_ones_do_not() -> None:
    rng = np.random.default_rng(5)
    detector = draw_detector(CAMERA, rng)
    even = render_xray(world(body("bead", box(1, 1, 0, 1), "cfrp")), CAMERA, STEADY)
    counts = expose_xray(even, detector, rng).astype(float)
    flat, dark = flat_frame(detector, rng).astype(float), dark_frame(detector, rng).astype(float)
    alive = ~detector.dead
    pattern = (detector.gain / detector.gain.mean())[alive]
    raw = ((counts - dark) / detector.quanta)[alive]
    transmission = (counts - dark)[alive] / (flat - dark)[alive]
    assert np.ptp(pattern) == pytest.approx(0.06, rel=0.02)
    assert np.corrcoef(raw, pattern)[0, 1] > 0.8
    assert abs(np.corrcoef(transmission, pattern)[0, 1]) < 0.03


def test_a_dark_frame_is_an_average_of_many() -> None:
    rng = np.random.default_rng(2)
    detector = draw_detector(CAMERA, rng)
    difference = dark_frame(detector, rng).astype(float) - detector.dark
    spread = np.sqrt(ELECTRONIC_COUNTS**2 / 64 + 1 / 12)
    assert difference[~detector.dead].std() == pytest.approx(spread, rel=0.03)


def test_dead_pixels_stay_where_they_are_and_say_the_same() -> None:
    rng = np.random.default_rng(4)
    detector = draw_detector(CAMERA, rng)
    rendering = render_xray(WEDGE, CAMERA, STEADY)
    frames = [expose_xray(rendering, detector, rng) for _ in range(2)]
    frames += [flat_frame(detector, rng), dark_frame(detector, rng)]
    assert 2 <= detector.dead.sum() < 20
    for frame in frames:
        assert frame.dtype == np.uint16
        np.testing.assert_array_equal(frame[detector.dead], detector.stuck[detector.dead])
        assert set(frame[detector.dead].tolist()) <= {0, 65535}
        assert frame[~detector.dead].max() < 65535


def test_the_same_seed_gives_the_same_bytes() -> None:
    one, again, other = (corrected(seed)[0] for seed in (3, 3, 4))
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()


def test_the_tube_drifts_within_its_bounds() -> None:
    tubes = [draw_tube(np.random.default_rng(seed)) for seed in range(40)]
    assert all(abs(tube.power - 1) <= 0.03 and abs(tube.heel) <= 0.01 for tube in tubes)
    drifted = render_xray(WEDGE, CAMERA, Tube(1.03, 0.01)).signal
    steady = render_xray(WEDGE, CAMERA, STEADY).signal
    ratio = drifted / steady
    assert ratio[0, 0] == pytest.approx(1.03 * 0.99, rel=1e-4)
    assert ratio[-1, 0] == pytest.approx(1.03 * 1.01, rel=1e-4)


def test_a_defect_leaves_far_places_as_they_were() -> None:
    void = body("void", blob(5, 5, 3), "air", "slab").moved(30, 20, -5)
    good, bad = (
        render_xray(world(*WEDGE.part.bodies, *flaws), CAMERA, STEADY).signal
        for flaws in ((), (void,))
    )
    column, row = (round(value) for value in pixel_of(30, 20, -5))
    assert bad[row, column] > 1.05 * good[row, column]
    np.testing.assert_array_equal(bad[:, : CAMERA.width // 8], good[:, : CAMERA.width // 8])


@pytest.mark.parametrize("expected", [30.0, 400.0, 20000.0])
def test_quanta_are_drawn_as_poisson_says(expected: float) -> None:
    detector = draw_detector(CAMERA, np.random.default_rng(0))
    shape = detector.dark.shape
    plain = replace(
        detector,
        quanta=np.full(shape, expected, np.float32),
        gain=np.full(shape, 2.2, np.float32),
        dead=np.zeros(shape, np.bool_),
    )
    rng = np.random.default_rng(1)
    even = Rendering(np.ones(shape, np.float32), np.ones(shape, np.float32))
    counts = np.stack([expose_xray(even, plain, rng) for _ in range(6)]) - plain.dark
    drawn = counts.astype(np.float64) / 2.2
    read = ELECTRONIC_COUNTS / 2.2
    assert drawn.mean() == pytest.approx(expected, rel=0.004)
    assert drawn.var() == pytest.approx(expected + read**2 + 1 / 12, rel=0.03)
    skew = ((drawn - drawn.mean()) ** 3).mean()
    assert skew == pytest.approx(expected, rel=0.1, abs=0.02 * float(drawn.std()) ** 3)


def test_twins_share_their_noise() -> None:
    void = body("void", blob(5, 5, 3), "air", "slab").moved(30, 20, -5)
    worlds = (WEDGE, world(*WEDGE.part.bodies, void))
    detector = draw_detector(CAMERA, np.random.default_rng(0))
    good, bad = (
        expose_xray(render_xray(w, CAMERA, STEADY), detector, np.random.default_rng(9))
        for w in worlds
    )
    column, row = (round(value) for value in pixel_of(30, 20, -5))
    near = np.hypot(*(np.indices(good.shape).T - (row, column)).T) < 8
    assert (good != bad)[near].any()
    # scatter reaches far, by less than a thousandth of the noise of some 300 counts
    assert np.abs(good.astype(int) - bad)[~near].mean() < 0.3
    assert np.abs(good.astype(int) - bad)[~near].max() < 10
