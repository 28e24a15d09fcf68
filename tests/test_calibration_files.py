"""Flats, darks and maps of bad pixels: files that a card names once for all captures."""

import re

import numpy as np
import pytest
import tifffile
from PIL import Image

from mmdefect.dataset import Dataset
from mmdefect.errors import CardError, SensorError
from mmdefect.sensors.infrared import Infrared
from mmdefect.sensors.xray import Xray

SHAPE = (6, 8)
CARD = """
base = "folder"
[sensors.xray]
flat = "calibration/flat.tiff"
dark = "calibration/dark.tiff"
[sensors.infrared]
unit = "K"
scale = 0.01
bad_pixels = "calibration/bad.png"
"""


@pytest.fixture
def panel(tmp_path):
    """A panel of uneven pixels, one of them dead: transmission that was planted, and its files."""
    rng = np.random.default_rng(0)
    through = rng.uniform(0.2, 0.9, SHAPE)
    dark = rng.uniform(90, 110, SHAPE)
    gain = rng.uniform(20000, 50000, SHAPE)
    gain[2, 3] = 10.0
    for name, counts in {"flat": dark + gain, "dark": dark, "i": dark + gain * through}.items():
        tifffile.imwrite(tmp_path / f"{name}.tiff", counts.astype(np.float32))
    through[2, 3] = np.nan
    return tmp_path, through


def test_flat_and_dark_even_out_the_panel_and_dead_pixels_measure_nothing(panel):
    folder, through = panel
    adapter = Xray(flat=folder / "flat.tiff", dark=folder / "dark.tiff")
    frame = adapter.read(folder / "i.tiff")
    assert adapter.unit_read == frame.attrs["units"] == "1"
    np.testing.assert_allclose(frame.values[0], through, rtol=1e-4)


def test_the_dark_level_may_be_a_number_beside_a_flat(panel):
    folder, _ = panel
    frame = Xray(flat=folder / "flat.tiff", dark=50).read(folder / "i.tiff")
    counts, flat = (tifffile.imread(folder / f"{name}.tiff") for name in ("i", "flat"))
    alive = np.isfinite(frame.values[0])
    assert alive.sum() == alive.size - 1
    wanted = (counts - 50.0) / (flat - 50.0)
    np.testing.assert_allclose(frame.values[0][alive], wanted[alive], rtol=1e-5)


def test_every_energy_has_its_own_flat(tmp_path):
    counts = np.random.default_rng(1).uniform(100, 900, (*SHAPE, 2)).astype(np.float32)
    np.save(tmp_path / "i.npy", counts)
    np.save(tmp_path / "flat.npy", counts * [2, 4])
    frame = Xray(energies=2, flat=tmp_path / "flat.npy").read(tmp_path / "i.npy")
    np.testing.assert_allclose(frame.isel(energy=0), 0.5, rtol=1e-6)
    np.testing.assert_allclose(frame.isel(energy=1), 0.25, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"flat": "none.tiff"}, "flat cannot be read: .*none.tiff: is not there"),
        ({"flat": "flat.tiff", "white": 9.0}, "flat is .*flat.tiff' beside white, unit, scale"),
        ({"flat": "flat.tiff", "scale": 2.0}, "flat is .*flat.tiff' beside white, unit, scale"),
        ({"flat": "dark.tiff", "dark": "flat.tiff"}, "are they swapped"),
        ({"flat": "flat.tiff", "dark": "small.png"}, r"flat has \(6, 8\) rows .* dark \(2, 2\)"),
        ({"flat": "text.txt"}, "ends with '.txt'"),
        ({"dark": "dark.tiff"}, "without white or flat"),
        ({"white": 9.0, "dark": "dark.tiff"}, "dark is .*, but a finite number was promised"),
    ],
)
def test_fields_that_make_no_transmission_are_refused(panel, options, said):
    folder, _ = panel
    Image.fromarray(np.ones((2, 2), np.uint8)).save(folder / "small.png")
    (folder / "text.txt").write_text("flat")
    options = {k: folder / v if isinstance(v, str) else v for k, v in options.items()}
    with pytest.raises(CardError, match=said):
        Xray(**options)


def test_a_radiograph_of_another_size_than_the_flat_is_refused(panel):
    folder, _ = panel
    Image.fromarray(np.arange(4, dtype=np.uint8).reshape(2, 2)).save(folder / "small.png")
    adapter = Xray(flat=folder / "flat.tiff")
    with pytest.raises(SensorError, match=r"small.png: has \(2, 2\) rows .* flat \(6, 8\)"):
        adapter.read(folder / "small.png")


def test_bad_pixels_measure_no_temperature(tmp_path):
    counts = np.arange(20000, 20048, dtype=np.uint16).reshape(SHAPE)
    bad = np.zeros(SHAPE, np.uint8)
    bad[1, 2] = bad[4, 7] = 255
    for name, values in {"t": counts, "bad": bad, "small": bad[:2]}.items():
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    frame = Infrared(unit="K", scale=0.01, bad_pixels=tmp_path / "bad.png").read(tmp_path / "t.png")
    np.testing.assert_allclose(frame, np.where(bad > 0, np.nan, counts * 0.01), rtol=1e-6)
    adapter = Infrared(bad_pixels=tmp_path / "small.png")
    with pytest.raises(SensorError, match=r"mask of bad pixels \(2, 8\)"):
        adapter.read(tmp_path / "t.png")
    with pytest.raises(CardError, match=r"bad_pixels cannot be read: .*none.png: is not there"):
        Infrared(bad_pixels=tmp_path / "none.png")
    with pytest.raises(CardError, match="bad_pixels is 7, but the path of a mask"):
        Infrared(bad_pixels=7)


def write_set(root) -> None:
    """A set with calibration files below its root."""
    rng = np.random.default_rng(0)
    for sensor in ("xray", "infrared"):
        (root / "good" / sensor).mkdir(parents=True)
        counts = rng.integers(20000, 30000, SHAPE).astype(np.uint16)
        Image.fromarray(counts).save(root / f"good/{sensor}/1.png")
    (root / "calibration").mkdir()
    tifffile.imwrite(root / "calibration/flat.tiff", np.full(SHAPE, 40000, np.uint16))
    tifffile.imwrite(root / "calibration/dark.tiff", np.full(SHAPE, 100, np.uint16))
    bad = np.zeros(SHAPE, np.uint8)
    bad[0, 0] = 1
    Image.fromarray(bad).save(root / "calibration/bad.png")


def test_a_card_names_them_below_the_data_sets_folder(tmp_path):
    root, card = tmp_path / "parts", tmp_path / "card.toml"
    write_set(root)
    card.write_text(CARD)
    dataset = Dataset(card, root)
    scene = dataset.scene(dataset.captures("parts")[0])
    assert scene["xray"].attrs["units"] == "1"
    assert 0.4 < float(scene["xray"].min()) < float(scene["xray"].max()) < 0.8
    assert np.isnan(scene["infrared"].values[0, 0])
    assert dataset.refused == []


def test_another_flat_makes_another_manifest(tmp_path):
    root, card = tmp_path / "parts", tmp_path / "card.toml"
    write_set(root)
    card.write_text(CARD)
    before = Dataset(card, root)
    told = before.manifest(before.captures("parts"))
    tifffile.imwrite(root / "calibration/flat.tiff", np.full(SHAPE, 41000, np.uint16))
    after = Dataset(card, root)
    assert after.manifest(after.captures("parts")) != told


@pytest.mark.parametrize("path", ["../flat.tiff", "/tmp/flat.tiff"])
def test_a_path_out_of_the_data_set_is_refused(tmp_path, path):
    root, card = tmp_path / "parts", tmp_path / "card.toml"
    write_set(root)
    card.write_text(CARD.replace("calibration/flat.tiff", path))
    with pytest.raises(CardError, match=re.escape(f"flat is '{path}', but a path below the data")):
        Dataset(card, root)


UNEVEN = np.random.default_rng(2)
GAIN = UNEVEN.uniform(0.8, 1.2, SHAPE) * 40
LEVEL = UNEVEN.uniform(5000, 5400, SHAPE)


def seen(folder, name: str, kelvin: object) -> object:
    """What uneven pixels count before a scene of some temperature."""
    counts = LEVEL + GAIN * (np.broadcast_to(kelvin, SHAPE) - 273.15)
    np.save(folder / f"{name}.npy", counts)
    return folder / f"{name}.npy"


def test_two_blackbodies_give_every_pixel_its_own_gain_and_offset(tmp_path):
    kelvin = UNEVEN.uniform(290, 330, SHAPE)
    cold, hot = seen(tmp_path, "cold", 288.15), seen(tmp_path, "hot", 323.15)
    stuck = np.load(hot)
    stuck[1, 2] = np.load(cold)[1, 2]
    np.save(hot, stuck)
    adapter = Infrared(cold=cold, hot=hot, cold_temperature=288.15, hot_temperature=323.15)
    frame = adapter.read(seen(tmp_path, "t", kelvin))
    kelvin[1, 2] = np.nan
    assert adapter.unit_read == frame.attrs["units"] == "K"
    np.testing.assert_allclose(frame, kelvin, atol=1e-4)


def test_an_even_scene_takes_the_offsets_away_and_leaves_the_scale_to_the_card(tmp_path):
    flat = np.random.default_rng(3).integers(-90, 90, SHAPE) + 7000.0
    np.save(tmp_path / "flat.npy", flat)
    scene = np.arange(48.0).reshape(SHAPE)
    np.save(tmp_path / "t.npy", flat + scene)
    adapter = Infrared(unit="K", scale=0.04, flat=tmp_path / "flat.npy")
    frame = adapter.read(tmp_path / "t.npy")
    np.testing.assert_allclose(frame, (np.median(flat) + scene) * 0.04, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cold": "cold.npy"}, "hot, cold_temperature, hot_temperature were promised with"),
        ({"hot_temperature": 320}, "cold, hot, cold_temperature were promised with"),
        ({"flat": "cold.npy", "hot": "hot.npy"}, "flat is given beside hot"),
        ({"cold_temperature": 350}, "are they swapped"),
        ({"cold": "hot.npy", "hot": "cold.npy"}, "hot lies -.* counts above cold"),
        ({"hot": "small.npy"}, r"cold has \(6, 8\) rows and columns and hot \(2, 2\)"),
        ({"hot": "none.npy"}, "hot cannot be read: .*none.npy: is not there"),
        ({"unit": "degC"}, "cold and hot say what a count stands for"),
        ({"scale": 0.1}, "cold and hot say what a count stands for"),
    ],
)
def test_a_blackbody_that_cannot_be_is_an_error_of_the_card(tmp_path, options, said):
    seen(tmp_path, "cold", 290), seen(tmp_path, "hot", 320)
    np.save(tmp_path / "small.npy", np.ones((2, 2)))
    whole = {"cold": "cold.npy", "hot": "hot.npy", "cold_temperature": 290, "hot_temperature": 320}
    lacking = "were promised with" in said or "beside" in said
    given = options if lacking else whole | options
    paths = {n: str(tmp_path / v) for n, v in given.items() if n in ("cold", "hot", "flat")}
    with pytest.raises(CardError, match=said):
        Infrared(**given | paths)


def test_a_thermogram_of_another_size_than_the_blackbodies_is_refused(tmp_path):
    np.save(tmp_path / "small.npy", np.ones((2, 2)))
    adapter = Infrared(flat=seen(tmp_path, "flat", 300))
    with pytest.raises(SensorError, match=r"small.npy: has \(2, 2\) rows .*even scenes \(6, 8\)"):
        adapter.read(tmp_path / "small.npy")
