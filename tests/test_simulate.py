"""The simulated rig: same seed same bytes, twins, and what the measured contrast says."""

import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from mmdefect.errors import CardError
from mmdefect.simulate import KINDS, Capture, render_capture, simulate
from mmdefect.simulate.heat import delamination_contrast, surface_rise
from mmdefect.simulate.truth import Grid
from mmdefect.simulate.writing import plan

DEFECTS = KINDS[1:]
SENSORS = ("rgb", "points", "infrared")
PITCH_MM = Grid(192).pitch
REACH_MM = 16.0


@pytest.fixture(scope="module")
def captures() -> dict[str, list[Capture]]:
    return {kind: [render_capture(kind, index=index) for index in range(6)] for kind in KINDS}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rig") / "set"
    simulate(out, train=2, test=10, seed=3, size=64)
    return out


def contents(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def depth_below(capture: Capture) -> np.ndarray:
    return np.asarray(capture.points[..., 2], np.float64)


def test_the_same_seed_gives_the_same_bytes(written: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "again", train=2, test=10, seed=3, size=64)
    assert contents(tmp_path / "again") == contents(written)


def test_another_seed_gives_another_part_in_every_sensor() -> None:
    one, other = (render_capture(seed=seed, size=64) for seed in (3, 4))
    for sensor in SENSORS:
        assert not np.array_equal(getattr(one, sensor), getattr(other, sensor), equal_nan=True)


def test_a_capture_does_not_depend_on_how_many_there_are(written: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "more", train=3, test=20, seed=3, size=64)
    more = contents(tmp_path / "more")
    few = {name: raw for name, raw in contents(written).items() if name.startswith("panel")}
    assert few.items() <= more.items()
    assert len(more) > len(few)


def test_every_capture_of_a_data_set_is_another_part(written: Path) -> None:
    truth = json.loads((written / "truth.json").read_text(encoding="utf-8"))
    seeds = {tuple(entry["seed"]) for entry in truth["captures"].values()}
    assert len(seeds) == len(truth["captures"]) == 12


@pytest.mark.parametrize("kind", DEFECTS)
def test_twins_differ_only_within_the_reach_of_the_defect(
    captures: dict[str, list[Capture]], kind: str
) -> None:
    for good, defect in zip(captures["good"], captures[kind], strict=True):
        far = ndimage.distance_transform_edt(~defect.mask) * PITCH_MM > REACH_MM
        assert 0.2 < far.mean() < 1
        for sensor in SENSORS:
            one, other = getattr(good, sensor)[far], getattr(defect, sensor)[far]
            np.testing.assert_array_equal(one, other, err_msg=sensor)


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_defect_is_seen_by_at_least_one_sensor(
    captures: dict[str, list[Capture]], kind: str
) -> None:
    for capture in captures[kind]:
        assert max(capture.contrast.values()) > 1
        assert set(capture.contrast) == set(SENSORS)


@pytest.mark.parametrize(
    ("kind", "seeing"),
    [
        ("stain", "rgb"),
        ("scratch", "rgb"),
        ("misplaced_label", "rgb"),
        ("delamination", "infrared"),
        ("dent", "points"),
    ],
)
def test_most_defects_show_in_one_sensor_alone(
    captures: dict[str, list[Capture]], kind: str, seeing: str
) -> None:
    contrast = {s: np.mean([c.contrast[s] for c in captures[kind]]) for s in SENSORS}
    blind = [contrast[s] for s in SENSORS if s != seeing]
    assert contrast[seeing] > 2
    assert contrast[seeing] > 2 * max(blind)
    if kind != "dent":  # a dent shades a little, and the twins say so
        assert max(blind) < 0.5


def test_a_missing_fastener_shows_in_every_sensor(captures: dict[str, list[Capture]]) -> None:
    for capture in captures["missing_fastener"]:
        assert min(capture.contrast.values()) > 5


def test_a_good_part_has_no_mask_no_sizes_and_no_contrast(
    captures: dict[str, list[Capture]],
) -> None:
    for capture in captures["good"]:
        assert not capture.mask.any()
        assert capture.sizes == capture.contrast == {}


def test_contrast_is_the_difference_of_the_twins_over_their_noise(
    captures: dict[str, list[Capture]],
) -> None:
    good, stained = captures["good"][2], captures["stain"][2]
    # averaged over the noise instead of taken from the noise-free renderings
    difference = stained.rgb.astype(float) - good.rgb.astype(float)
    noise = stained.renderings["rgb"].noise[stained.mask].mean()
    measured = np.abs(difference[stained.mask]).mean() / noise
    assert stained.contrast["rgb"] == pytest.approx(measured, rel=0.15)


def test_the_drawn_noise_is_the_noise_that_is_stated(captures: dict[str, list[Capture]]) -> None:
    for capture in captures["good"][:3]:
        views = {
            "rgb": (capture.rgb.astype(float), 1 / 12),
            "points": (depth_below(capture), 0),
            "infrared": (capture.infrared, 0),
        }
        for sensor, (frame, rounding) in views.items():
            rendering = capture.renderings[sensor]
            spread = (frame - rendering.signal) / np.sqrt(rendering.noise**2 + rounding)
            spread = spread[np.isfinite(spread) & (np.abs(spread) < 6)]
            assert spread.std() == pytest.approx(1, abs=0.03), sensor
            assert spread.mean() == pytest.approx(0, abs=0.03), sensor


def test_a_dent_is_found_in_the_points_at_the_drawn_depth(
    captures: dict[str, list[Capture]],
) -> None:
    for good, dented in zip(captures["good"], captures["dent"], strict=True):
        sunk = (depth_below(dented) - depth_below(good))[dented.mask]
        # a cosine bowl holds (1/2 - 2/π²) of its depth on average over its circle
        expected = dented.sizes["depth_mm"] * (0.5 - 2 / np.pi**2)
        assert np.nanmean(sunk) == pytest.approx(expected, rel=0.12)
        across = 2 * np.sqrt(dented.mask.sum() / np.pi) * PITCH_MM
        assert across == pytest.approx(dented.sizes["diameter_mm"], abs=0.5)
        assert 0.15 <= dented.sizes["depth_mm"] <= 0.5


def test_a_delamination_is_warm_and_its_mask_is_as_wide_as_drawn(
    captures: dict[str, list[Capture]],
) -> None:
    for good, weak in zip(captures["good"], captures["delamination"], strict=True):
        warmer = (weak.infrared - good.infrared)[weak.mask]
        assert np.nanmean(warmer) > 0.04
        across = 2 * np.sqrt(weak.mask.sum() / np.pi) * PITCH_MM
        assert across == pytest.approx(weak.sizes["diameter_mm"], abs=0.5)
        assert weak.contrast["rgb"] == weak.contrast["points"] == 0


def test_large_shallow_delaminations_stand_out_and_small_deep_ones_hardly_do() -> None:
    drawn = [render_capture("delamination", index=index, size=96) for index in range(30)]
    reach = np.array([c.sizes["diameter_mm"] / c.sizes["depth_mm"] for c in drawn])
    contrast = np.array([c.contrast["infrared"] for c in drawn])
    assert contrast[reach > 10].min() > 3
    assert contrast.min() < 3
    assert np.corrcoef(np.log(reach), np.log(contrast))[0, 1] > 0.5


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
    radius, contrast = delamination_contrast(depth, diameter, gap, seconds)
    assert contrast[0] == pytest.approx(kelvin, rel=0.12)
    assert contrast[0] == contrast.max()
    assert contrast[-1] == 0
    assert np.all(np.diff(radius) > 0)


def test_a_wide_gap_that_insulates_leaves_the_heat_in_the_plies_above() -> None:
    # a plate of 0.5 mm: Q/(ρcL) in the end, when the gap is wide, thick and the time long
    _, contrast = delamination_contrast(0.5, 60, 50.0, 2.0)
    sound = surface_rise(1e4, 2.0)
    assert sound + contrast[0] == pytest.approx(1e4 / (1550 * 930 * 0.5e-3), rel=0.02)


def test_no_gap_gives_no_contrast() -> None:
    _, contrast = delamination_contrast(1.0, 10, 0.0, 2.0)
    assert np.abs(contrast).max() < 1e-6


def test_holes_are_a_plausible_share_and_lie_at_heads_and_edges(
    captures: dict[str, list[Capture]],
) -> None:
    for capture in captures["good"]:
        hole = np.isnan(depth_below(capture))
        assert 0.01 < hole.mean() < 0.25
        middle = hole[80:112, 80:112]
        assert middle.mean() < 0.002
        assert np.array_equal(np.isnan(capture.points).any(axis=-1), hole)


def test_points_lie_on_the_rays_of_the_camera(captures: dict[str, list[Capture]]) -> None:
    x, y, z = np.moveaxis(captures["good"][0].points.astype(np.float64), -1, 0)
    across, down = x / z * 450, y / z * 450
    axis = (np.arange(192) + 0.5) * 0.5 - 48
    assert np.nanmax(np.abs(across - axis[None, :])) < 1e-3
    assert np.nanmax(np.abs(down - axis[:, None])) < 1e-3
    assert 440 < np.nanmin(z) < np.nanmax(z) < 460


def test_infrared_is_in_a_plausible_range_of_temperature(
    captures: dict[str, list[Capture]],
) -> None:
    for kind in KINDS:
        for capture in captures[kind]:
            assert 290 < np.nanmin(capture.infrared) < np.nanmax(capture.infrared) < 308
            assert 1.0 < np.nanmax(capture.infrared) - np.nanmin(capture.infrared) < 8.0


def test_bad_pixels_belong_to_the_camera_and_stay_where_they_are(
    captures: dict[str, list[Capture]],
) -> None:
    first, *others = (np.isnan(c.infrared) for c in captures["good"])
    assert 2 <= first.sum() <= 20
    assert all(np.array_equal(first, other) for other in others)


def test_parts_vary_in_pose_within_their_tolerance(captures: dict[str, list[Capture]]) -> None:
    centres = []
    for capture in captures["good"]:
        panel = ndimage.binary_opening(capture.infrared > np.nanmin(capture.infrared) + 0.7)
        centres.append(ndimage.center_of_mass(ndimage.binary_fill_holes(panel)))
    offset = (np.array(centres) - 95.5) * PITCH_MM
    assert np.abs(offset).max() < 1.0
    assert offset.std() > 0.05


def test_what_is_written_is_what_was_rendered(written: Path) -> None:
    job = next(job for job in plan(2, 10) if job.kind == "dent")
    capture = render_capture("dent", seed=3, index=job.index, size=64)
    files = job.files(written)
    points = tifffile.imread(files["points"])
    assert points.dtype == np.float32
    assert points.shape == (64, 64, 3)
    hole = np.isnan(depth_below(capture))
    assert hole.any()
    assert np.all(points[hole] == 0)
    np.testing.assert_array_equal(points[~hole], capture.points[~hole])
    counts = np.asarray(Image.open(files["infrared"]))
    assert counts.dtype == np.uint16
    assert np.array_equal(counts == 0, np.isnan(capture.infrared))
    kelvin = np.where(counts == 0, np.nan, counts * 0.01)
    np.testing.assert_allclose(kelvin, capture.infrared, atol=0.006)
    np.testing.assert_array_equal(np.asarray(Image.open(files["rgb"])), capture.rgb)
    np.testing.assert_array_equal(np.asarray(Image.open(files["mask"])), capture.mask * 255)


def test_each_kind_has_its_files(written: Path) -> None:
    expected = {"train/good": 2, "test/good": 4, **{f"test/{kind}": 1 for kind in DEFECTS}}
    for folder, count in expected.items():
        for sensor, ending in (("rgb", "png"), ("points", "tiff"), ("infrared", "png")):
            found = sorted((written / "panel" / folder / sensor).iterdir())
            assert [f.name for f in found] == [f"{n:03d}.{ending}" for n in range(count)]
        masks = list((written / "panel" / folder).glob("mask/*.png"))
        assert len(masks) == (0 if folder.endswith("good") else count)


def test_a_test_set_is_forty_percent_good_and_shared_evenly() -> None:
    counts = Counter((job.split, job.kind) for job in plan(40, 63))
    assert counts[("train", "good")] == 40
    assert counts[("test", "good")] == 25
    each = [counts[("test", kind)] for kind in DEFECTS]
    assert sum(each) == 38
    assert max(each) - min(each) == 1


def test_the_truth_names_every_capture_with_its_sizes_and_contrast(written: Path) -> None:
    truth = json.loads((written / "truth.json").read_text(encoding="utf-8"))
    assert set(truth["captures"]) == {job.key for job in plan(2, 10)}
    for key, entry in truth["captures"].items():
        assert entry["kind"] == key.split("/")[2]
        if entry["kind"] != "good":
            assert set(entry["contrast_to_noise"]) == set(SENSORS)
            assert all(name.endswith(("_mm", "_deg", "strength")) for name in entry["sizes"])


def test_the_card_says_how_it_was_made(written: Path) -> None:
    card = tomllib.loads((written / "card.toml").read_text(encoding="utf-8"))
    assert card["name"] == "simulated-panel"
    assert card["source"] == "mmdefect simulate --train 2 --test 10 --seed 3"
    assert card["frames"]["points"] == "{category}/{split}/{kind}/points/{capture}.tiff"
    assert card["sensors"]["infrared"] == {"adapter": "infrared", "unit": "K", "scale": 0.01}
    assert card["rig"] == {"reference": "rgb", "registered": ["points", "infrared"]}


class Interrupted(Exception):
    """Stands for a user who stops the run."""


def test_an_interrupted_run_resumes_to_the_same_bytes(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "set"

    def stop_after_five(jobs: Iterable, total: int, doing: str) -> Iterable:
        assert (total, doing) == (12, "simulating")
        for done, job in enumerate(jobs):
            if done == 5:
                raise Interrupted
            yield job

    with pytest.raises(Interrupted):
        simulate(out, train=2, test=10, seed=3, size=64, track=stop_after_five)
    assert not (out / "card.toml").exists()
    made = count_renderings(monkeypatch)
    simulate(out, train=2, test=10, seed=3, size=64)
    assert len(made) == 7
    assert contents(out) == contents(written)


def test_a_lost_frame_is_made_again_and_nothing_else(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "set"
    simulate(out, train=2, test=10, seed=3, size=64)
    (out / "panel/test/dent/infrared/000.png").unlink()
    made = count_renderings(monkeypatch)
    simulate(out, train=2, test=10, seed=3, size=64)
    assert made == ["dent"]
    assert contents(out) == contents(written)


def count_renderings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    real: Callable[..., Capture] = render_capture

    def counted(kind: str, **choices: object) -> Capture:
        made.append(kind)
        return real(kind, **choices)

    monkeypatch.setattr("mmdefect.simulate.writing.render_capture", counted)
    return made


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CardError, match=r"holds other files and no 'truth.json'.*name a new one"):
        simulate(tmp_path, train=1, test=0, size=64)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_of_other_settings_is_refused(written: Path) -> None:
    before = contents(written)
    with pytest.raises(CardError, match=r"simulated with .*seed=3.*but .*seed=4.*was asked for"):
        simulate(written, train=2, test=10, seed=4, size=64)
    assert contents(written) == before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"settings": 1}'])
def test_a_truth_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "truth.json").write_text(text, encoding="utf-8")
    with pytest.raises(CardError, match="not the truth of a simulated data set"):
        simulate(tmp_path, train=1, test=0, size=64)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("mine", encoding="utf-8")
    with pytest.raises(CardError, match="is a file, a folder was promised"):
        simulate(tmp_path / "set", train=1, test=0, size=64)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"train": 0}, "at least one training capture"),
        ({"test": -1}, "no negative numbers"),
        ({"seed": -1}, "no negative numbers"),
        ({"size": 47}, "at least 48 px"),
    ],
)
def test_numbers_that_make_no_data_set_are_refused(
    tmp_path: Path, wrong: dict[str, int], message: str
) -> None:
    with pytest.raises(CardError, match=message):
        simulate(tmp_path / "set", **{"train": 1, "test": 0, **wrong})
    assert not (tmp_path / "set").exists()


def test_unknown_kinds_and_splits_are_named_with_what_there_is() -> None:
    with pytest.raises(CardError, match="no kind 'rust' on the simulated panel; there are: good"):
        render_capture("rust", size=64)
    with pytest.raises(CardError, match="no split 'val'; there are: train, test"):
        render_capture(split="val", size=64)


@pytest.mark.parametrize("size", [48, 100, 256])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_rendered_at_other_sizes(size: int, kind: str) -> None:
    capture = render_capture(kind, size=size)
    assert capture.rgb.shape == capture.points.shape == (size, size, 3)
    assert capture.infrared.shape == capture.mask.shape == (size, size)
    assert capture.mask.any() == (kind != "good")
