"""Sequences: planted oscillations, coolings and depths, and the adapter that reads them."""

import h5py
import numpy as np
import pytest
import tifffile
from scipy.stats import spearmanr

from mmdefect.dataset import Dataset
from mmdefect.errors import CardError, SensorError
from mmdefect.features.builtin import Builtin
from mmdefect.registration import Pose
from mmdefect.scene import blank_frame
from mmdefect.sensors.infrared import Infrared
from mmdefect.simulate.body import Body, Delamination, Finish, Part
from mmdefect.simulate.heat.infrared import Heating, render_sequence
from mmdefect.simulate.materials import MATERIALS
from mmdefect.simulate.shapes import box
from mmdefect.simulate.station import DISTANCE_MM, station
from mmdefect.simulate.tracer import World
from mmdefect.store import load_scene, save_scene
from mmdefect.thermography import lockin, principal_components, pulsed_phase, reconstruction

RNG = np.random.default_rng(0)
SHAPE = (5, 7)
AMPLITUDE = RNG.uniform(0.5, 2, SHAPE)
PHASE = RNG.uniform(2.6, 3.8, SHAPE)  # around π, where a phase would fall in two


def oscillating(count: int = 93, rate: float = 20.0, frequency: float = 0.7) -> np.ndarray:
    """Level, slope and oscillation (time, y, x), K; periods that are not whole."""
    t = (np.arange(count) / rate)[:, None, None]
    wave = AMPLITUDE * np.cos(2 * np.pi * frequency * t + PHASE)
    return 300 + RNG.uniform(-5, 5, SHAPE) + 0.8 * t + wave


def test_a_planted_oscillation_comes_back_whatever_the_part_does_besides():
    channels = lockin(oscillating(), 20.0, 0.7)
    assert channels.channel.values.tolist() == ["phase", "amplitude"]
    assert channels.channel_unit.values.tolist() == ["rad", "K"]
    assert channels.dtype == np.float32
    np.testing.assert_allclose(channels.sel(channel="amplitude"), AMPLITUDE, rtol=1e-4)
    off = channels.sel(channel="phase").values - PHASE
    np.testing.assert_allclose(off - np.round(off[0, 0]), 0, atol=1e-4)
    assert np.ptp(channels.sel(channel="phase").values) < 1.3


def test_a_phase_feels_neither_emissivity_nor_uneven_heating():
    stack = oscillating()
    dim = stack * RNG.uniform(0.2, 1, SHAPE)
    one, other = (lockin(s, 20.0, 0.7).sel(channel="phase") for s in (stack, dim))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_blind_pixel_of_one_frame_is_blind_in_every_channel():
    stack = oscillating()
    stack[11, 2, 3] = np.nan
    for channels in (
        lockin(stack, 20.0, 0.7),
        pulsed_phase(stack, 20.0, [1.0]),
        principal_components(stack, 2),
        reconstruction(stack - 280, 20.0, [1.0]),
    ):
        blind = np.isnan(channels.values)
        assert blind[:, 2, 3].all()
        assert blind.sum() == len(channels)


def test_pulsed_phase_is_the_discrete_fourier_transform():
    stack = RNG.normal(300, 3, (40, *SHAPE))
    channels = pulsed_phase(stack, 8.0, [0.21, 1.0])
    spectrum = np.fft.fft(stack, axis=0) / 8.0
    assert channels.channel.values.tolist() == [
        f"{what} {hertz} Hz" for what in ("phase", "amplitude") for hertz in ("0.2", "1")
    ]
    assert channels.channel_unit.values.tolist() == ["rad", "rad", "K s", "K s"]
    np.testing.assert_allclose(channels[2:], np.abs(spectrum[[1, 5]]), rtol=1e-4)
    turned = np.exp(1j * channels[:2].values)
    np.testing.assert_allclose(turned, spectrum[[1, 5]] / abs(spectrum[[1, 5]]), atol=1e-4)


def test_components_are_those_of_a_singular_value_decomposition():
    t = np.linspace(0.1, 3, 30)[:, None, None]
    stack = RNG.uniform(1, 4, SHAPE) * (t**-0.5 + RNG.uniform(0, 0.3, SHAPE) * np.exp(-t))
    channels = principal_components(stack + RNG.normal(0, 1e-3, stack.shape), 2)
    flat = stack.reshape(30, -1)
    flat = (flat - flat.mean(0)) / flat.std(0)
    left, values, right = np.linalg.svd(flat, full_matrices=False)
    for i in range(2):
        theirs = (values[i] * right[i]).reshape(SHAPE) / np.sqrt(30)
        sign = 1 if left[-1, i] > left[:, i].mean() else -1
        assert np.corrcoef(channels[i].values.ravel(), sign * theirs.ravel())[0, 1] > 0.99
        np.testing.assert_allclose(channels[i], sign * theirs, atol=0.02)
    assert set(channels.channel_unit.values.tolist()) == {"1"}


def test_a_thick_part_cools_on_a_straight_line_of_slope_one_half():
    t = (np.arange(200) + 1)[:, None, None] / 25.0
    excess = RNG.uniform(3, 30, SHAPE) * t**-0.5
    channels = reconstruction(excess, 25.0, [0.2, 1.0, 5.0])
    assert channels.channel_unit.values.tolist() == ["1"] * 6 + ["s"]
    np.testing.assert_allclose(channels[:3], -0.5, atol=1e-3)
    np.testing.assert_allclose(channels[3:6], 0, atol=5e-3)
    np.testing.assert_allclose(channels.sel(channel="bend time"), 8.0)


def test_a_plate_that_keeps_its_heat_bends_when_the_formula_says():
    # 1 + 2 Σ exp(-n²π² F): the front of an insulated plate; the bend is greatest at F = 1/π
    fourier = np.geomspace(0.02, 3, 400)
    t = np.arange(1, 601) / 50.0
    tau = np.array([3.0, 6.0, 10.0])
    orders = np.arange(1, 60)[:, None, None]
    excess = 1 + 2 * np.exp(-((orders * np.pi) ** 2) * (t[:, None] / tau)).sum(0)
    line = np.log(1 + 2 * np.exp(-((orders[..., 0] * np.pi) ** 2) * fourier).sum(0))
    bend = np.gradient(np.gradient(line, np.log(fourier)), np.log(fourier))
    assert fourier[np.argmax(bend)] == pytest.approx(1 / np.pi, rel=0.1)
    channels = reconstruction(excess[:, :, None], 50.0, [1.0], degree=9)
    found = channels.sel(channel="bend time").values[:, 0]
    np.testing.assert_allclose(found, tau / np.pi, rtol=0.25)


DEPTHS = (0.5, 0.8, 1.1)
PLACES = ((-22.0, -18.0), (22.0, -18.0), (0.0, 20.0))
CAMERA = station(128).cameras["infrared"]


@pytest.fixture(scope="module")
def flashed() -> np.ndarray:
    """A plate with delaminations in known depths after a flash, seen by a noisy camera, K."""
    matt = Finish((0.05, 0.05, 0.05), roughness=0.6, emissivity=0.90)
    panel = Body("panel", *box(90, 80, -4, 0), "cfrp", matt)
    flaws = [
        Delamination("panel", *place, 14.0, z, 0.1) for place, z in zip(PLACES, DEPTHS, strict=True)
    ]
    pose = Pose(np.eye(3), np.array([0.0, 0.0, DISTANCE_MM]))
    pattern = np.array([0.1, -0.1, -0.1, -0.1], np.float32)
    heating = Heating(1.0, 295.0, 0.0, pattern, 1.0, 0.1)
    world = World(Part((panel,), pose, delaminations=tuple(flaws)))
    clean = render_sequence(world, CAMERA, heating, np.arange(1, 101) / 20.0)
    return clean + np.random.default_rng(1).normal(0, 0.04, clean.shape).astype(np.float32)


def contrasts(picture: np.ndarray) -> list[float]:
    def level(x: float, y: float) -> float:
        column, row = CAMERA.project(np.array([x, y, DISTANCE_MM]))
        i, j = round(float(row)), round(float(column))
        return float(np.median(picture[i - 1 : i + 2, j - 1 : j + 2]))

    sound = np.median([level(*place) for place in ((-30, 20), (30, 20), (0, -5), (0, -30))])
    return [level(*place) - sound for place in PLACES]


def impedance(frequency: float, depth: float | None) -> complex:
    """Thermal quadrupoles of a plate of 4 mm, or of the plate above a gap of 0.1 mm."""
    material = MATERIALS["cfrp"]
    wave = np.sqrt(2j * np.pi * frequency / material.diffusivity)
    own = material.conductivity * wave
    if depth is None:
        return complex(1 / (own * np.tanh(wave * 4e-3)))
    behind = 1 / (own * np.tanh(wave * (4 - depth) * 1e-3))
    load, turn = behind + 1e-4 / MATERIALS["air"].conductivity, np.tanh(wave * depth * 1e-3)
    return complex((load + turn / own) / (own * turn * load + 1))


def test_planted_depths_rank_and_phases_have_the_sign_of_the_layers_formula(flashed):
    channels = pulsed_phase(flashed, 20.0, [0.2, 0.4])
    for name, frequency in (("phase 0.2 Hz", 0.2), ("phase 0.4 Hz", 0.4)):
        found = contrasts(channels.sel(channel=name).values)
        wanted = [
            float(np.angle(impedance(frequency, depth) / impedance(frequency, None)))
            for depth in DEPTHS
        ]
        assert spearmanr(found, DEPTHS).statistic == pytest.approx(1)
        for one, other in zip(found, wanted, strict=True):
            assert abs(other) < 0.02 or one * other > 0
    steady = contrasts(channels.sel(channel="phase 0.2 Hz").values)
    assert steady[0] < steady[1] < -0.1


def test_planted_depths_rank_by_slope_by_component_and_by_when_the_line_bends(flashed):
    channels = reconstruction(flashed - 295, 20.0, [0.3], degree=7)
    slopes = contrasts(channels.sel(channel="slope 0.3 s").values)
    assert slopes[0] > slopes[1] > slopes[2]
    assert slopes[1] > 0.05
    moments = contrasts(channels.sel(channel="bend time").values)
    assert moments[0] < moments[1] < moments[2] < 0
    # of uneven heating, which the frame shows and a slope does not
    components = contrasts(principal_components(flashed, 2)[1].values)
    assert abs(components[0]) > abs(components[1]) > abs(components[2])


# ---------------------------------------------------------------- files and cards

STACK = (20000 + 40 * RNG.normal(0, 1, (30, *SHAPE)).cumsum(axis=0)).astype(np.uint16)
LOCKIN = {"method": "lockin", "frame_rate": 20.0, "frequency": 1.0}


def write_stack(path, stack=STACK):
    if path.suffix == ".tif":
        tifffile.imwrite(path, stack, photometric="minisblack")
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["frames"] = stack
    else:
        np.save(path, stack)
    return path


@pytest.mark.parametrize("name", ["a.tif", "a.h5", "a.npy"])
def test_channels_come_from_every_kind_of_stack(tmp_path, name):
    adapter = Infrared(unit="K", scale=0.015, sequence=LOCKIN)
    frame = adapter.read(write_stack(tmp_path / name))
    wanted = lockin(STACK * 0.015, 20.0, 1.0)
    np.testing.assert_allclose(frame, wanted, atol=1e-3)
    assert frame.dims == ("channel", "y", "x")
    assert frame.attrs == {"units": "per channel", "modality": "infrared"}
    assert adapter.unit_read == "per channel"
    plain = Infrared(sequence=LOCKIN).read(tmp_path / name)
    assert plain.channel_unit.values.tolist() == ["rad", "relative"]


def test_the_cold_part_and_the_flash_are_told_by_the_first_frame(tmp_path):
    t = np.arange(1, 41)[:, None, None] / 10.0
    stack = np.concatenate([np.full((4, *SHAPE), 295.0), 295 + 9 * t**-0.5 + np.zeros(SHAPE)])
    told = {"method": "tsr", "frame_rate": 10.0, "times": [0.5, 2.0], "first": 4}
    frame = Infrared(unit="K", sequence=told).read(write_stack(tmp_path / "a.npy", stack))
    np.testing.assert_allclose(frame.sel(channel=["slope 0.5 s", "slope 2 s"]), -0.5, atol=0.01)


def test_holes_and_bad_pixels_of_a_sequence_are_blind(tmp_path):
    stack = STACK.copy()
    stack[3, 1, 1] = 0
    bad = np.zeros(SHAPE, np.uint8)
    bad[4, 6] = 1
    np.save(tmp_path / "bad.npy", bad)
    adapter = Infrared(
        unit="K", scale=0.015, sequence={"method": "pct"}, bad_pixels=tmp_path / "bad.npy"
    )
    blind = np.isnan(adapter.read(write_stack(tmp_path / "a.npy", stack)).values)
    assert blind.shape == (3, *SHAPE)
    assert (np.argwhere(blind[0]) == [[1, 1], [4, 6]]).all()


@pytest.mark.parametrize(
    ("sequence", "said"),
    [
        ("lockin", "sequence is 'lockin', but a table with method"),
        ({"method": "fft"}, "one of lockin, ppt, pct, tsr"),
        ({"method": "lockin", "frame_rate": 9.0}, r"lacks \['frequency'\]"),
        ({**LOCKIN, "times": [1.0]}, r"does not know \['times'\]"),
        ({**LOCKIN, "frequency": -1}, "frequency is -1, but positive numbers"),
        ({**LOCKIN, "frequency": []}, r"frequency is \[\]"),
        ({**LOCKIN, "frequency": [1.0, 2.0]}, "is one number"),
        ({**LOCKIN, "frame_rate": [9.0]}, "frame_rate is "),
        ({**LOCKIN, "frame_rate": True}, "frame_rate is True"),
        ({"method": "pct", "components": 0}, "a count from 1"),
        ({"method": "tsr", "frame_rate": 9.0, "times": [1.0], "first": 0}, "before the flash"),
    ],
)
def test_a_sequence_that_cannot_be_is_an_error_of_the_card(sequence, said):
    with pytest.raises(CardError, match=said):
        Infrared(sequence=sequence)


@pytest.mark.parametrize(
    ("sequence", "stack", "said"),
    [
        (LOCKIN, STACK[0], r"shape \(5, 7\), but a sequence"),
        (LOCKIN, STACK[:3], "5 frames"),
        ({**LOCKIN, "frequency": 0.1}, STACK, "lasts 1.5 s at 20 Hz, but a frequency from 0.66"),
        ({**LOCKIN, "frequency": 10.0}, STACK, "to below 10 Hz"),
        ({**LOCKIN, "first": 30}, STACK, "frame 30 was promised"),
        ({**LOCKIN, "method": "ppt", "frequency": [1.0, 1.1]}, STACK, "apart from each other"),
        ({"method": "pct", "components": 30}, STACK, "components were promised"),
        ({"method": "pct"}, np.full_like(STACK, 7), "changes in 0 pixels"),
        (
            {"method": "tsr", "frame_rate": 20.0, "times": [9.0], "first": 2},
            STACK,
            "times within were promised, not 9",
        ),
    ],
)
def test_a_sequence_that_is_too_short_is_refused_by_name(tmp_path, sequence, stack, said):
    path = write_stack(tmp_path / "a.npy", stack)
    with pytest.raises(SensorError, match=rf"a\.npy: .*{said}"):
        Infrared(sequence=sequence).read(path)


def test_one_frame_and_all_frames_are_not_asked_for_at_once():
    with pytest.raises(CardError, match="sequence was given beside frame or format"):
        Infrared(sequence=LOCKIN, frame=1)


CARD = """
base = "folder"
[sensors.infrared]
unit = "K"
scale = 0.015
[sensors.infrared.sequence]
method = "lockin"
frame_rate = 20.0
frequency = 1.0
"""


def test_a_card_reads_sequences_into_scenes_that_features_describe(tmp_path):
    (tmp_path / "card.toml").write_text(CARD)
    root = tmp_path / "parts"
    large = (20000 + 40 * RNG.normal(0, 1, (30, 24, 32)).cumsum(axis=0)).astype(np.uint16)
    for number in range(3):
        folder = root / "train/good/infrared"
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{number}.npy", large + number)
    parts = Dataset(tmp_path / "card.toml", root)
    category = parts.categories[0]
    scene = parts.scene(parts.captures(category)[0])
    assert scene["infrared"].dims == ("channel", "y", "x")
    save_scene(scene, tmp_path / "scene.nc")
    kept = load_scene(tmp_path / "scene.nc")
    assert kept["channel_unit"].values.tolist() == ["rad", "K"]
    assert kept.identical(scene)
    described = Builtin().features(scene["infrared"])
    assert np.isfinite(described.values).all()
    absent = blank_frame("infrared", "per channel", 24, 32)
    assert absent.dims == ("channel", "y", "x")
