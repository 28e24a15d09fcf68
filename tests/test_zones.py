"""Zones: what is ignored never counts, and every share of the false alarms holds."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from mmdefect import Inspection, load
from mmdefect.card_text import packed, unpacked, written_of
from mmdefect.cards import card_of, read_card
from mmdefect.dataset import Dataset
from mmdefect.errors import CardError, SceneError
from mmdefect.evaluate import evaluate
from mmdefect.miniature import write_miniature
from mmdefect.scene import new_scene
from mmdefect.settings import Settings
from mmdefect.verdict import Calibration
from mmdefect.zone_table import read_zones
from mmdefect.zones import Zones

NAN = float("nan")
LEFT = [[-1, -1], [15.5, -1], [15.5, 99], [-1, 99]]
SENSORS = {"rgb": None, "points": None, "infrared": None}


def zones(**table: dict) -> Zones:
    return Zones(read_zones(table, SENSORS, "toy"))


def frame(values: np.ndarray, modality: str = "depth") -> xr.DataArray:
    dims = ("axis", "y", "x") if modality == "points" else ("y", "x")
    coords = {"axis": ["x", "y", "z"]} if modality == "points" else {}
    unit = "K" if modality == "infrared" else "mm"
    attrs = {"modality": modality, "units": unit}
    return xr.DataArray(values.astype(np.float32), dims=dims, coords=coords, attrs=attrs)


# ---------------------------------------------------------------- what a card may say


WRONG = {
    "no table": ("x", "must be a table"),
    "unknown key": ({"polygon": LEFT, "ignore": True, "area": 1}, "the key 'area'; there are: "),
    "neither": ({"ignore": True}, "either a polygon or a mask"),
    "both": ({"ignore": True, "polygon": LEFT, "mask": "m.png"}, "either a polygon or a mask"),
    "two corners": ({"ignore": True, "polygon": LEFT[:2]}, "at least three corners"),
    "no numbers": ({"ignore": True, "polygon": [["a", 1], *LEFT]}, "at least three corners"),
    "no meaning": ({"polygon": LEFT}, "either say ignore = true, or have a share"),
    "two meanings": ({"polygon": LEFT, "ignore": True, "false_alarm": 0.1}, "either say ignore"),
    "share of all": ({"polygon": LEFT, "false_alarm": 1}, "from 0 to below 1"),
    "negative": ({"polygon": LEFT, "false_alarm": 0.1, "least_area_mm2": -1}, "from 0 to below"),
    "other grid": ({"polygon": LEFT, "ignore": True, "grid": "sonar"}, "the grid of 'sonar', but"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_zone_that_is_not_as_promised_is_refused(case):
    table, why = WRONG[case]
    with pytest.raises(CardError, match=why) as caught:
        zones(face=table)
    assert "[zones.face]" in str(caught.value)


def test_shares_leave_something_for_the_rest_of_the_part():
    two = {"polygon": LEFT, "false_alarm": 0.5}
    with pytest.raises(CardError, match="sum to 1, but less than 1 was promised"):
        zones(one=two, other=two)
    kept = zones(one={**two, "false_alarm": 0.3}, other={**two, "false_alarm": 0.1})
    assert kept.rest == pytest.approx(0.6)
    assert kept.smallest_share == pytest.approx(0.1)
    with pytest.raises(CardError, match="names what lies in no zone"):
        zones(part=two)


def test_a_card_with_zones_goes_into_a_model_with_its_masks(tmp_path):
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / "mask.png")
    written = tmp_path / "own.toml"
    written.write_text(
        'base = "mvtec3d"\n[zones.edge]\nmask = "mask.png"\nignore = true\n'
        "[zones.face]\npolygon = [[0, 0], [4, 0], [4, 4]]\nfalse_alarm = 0.25\n"
        "least_area_mm2 = 2.5\n"
    )
    card = read_card(written)
    assert card.zones[0].mask == str(tmp_path / "mask.png")
    assert card_of(json.loads(json.dumps(written_of(card))), "own") == card
    text, files = packed(card)
    assert str(tmp_path) not in json.dumps(text)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name, held in files.items():
        (elsewhere / name).write_bytes(held)
    (tmp_path / "mask.png").unlink()
    again = Zones(unpacked(text, elsewhere, "own").zones)
    scene = new_scene({"rgb": frame(np.ones((8, 8)))}, reference="rgb")
    np.testing.assert_array_equal(again.laid_over(scene)["valid"][0], ~np.eye(8, dtype=bool))
    text["zones"]["edge"]["mask"] = "../mask.png"
    with pytest.raises(CardError, match="one beside the card was promised"):
        unpacked(text, elsewhere, "own")
    with pytest.raises(CardError, match="cannot be read"):
        packed(card)


# ---------------------------------------------------------------- zones on scenes


def test_a_polygon_holds_the_pixels_whose_centres_it_holds():
    triangle = zones(z={"polygon": [[0.5, 0.5], [5.5, 0.5], [0.5, 5.5]], "ignore": True})
    scene = new_scene({"rgb": frame(np.ones((7, 7)))}, reference="rgb")
    y, x = np.mgrid[:7, :7]
    inside = (x > 0.5) & (y > 0.5) & (x + y < 6)
    np.testing.assert_array_equal(triangle.laid_over(scene)["valid"][0], ~inside)


def test_an_ignored_zone_is_blind_on_its_grid_and_wins_over_others():
    scene = new_scene(
        {name: frame(np.ones((8, 32))) for name in ("rgb", "points", "infrared")},
        reference="rgb",
        grids={"infrared": "infrared"},
    )
    laid = zones(
        face={"polygon": [[9.5, -1], [99, -1], [99, 99], [9.5, 99]], "false_alarm": 0.2},
        cloth={"polygon": LEFT, "ignore": True},
        frame={"polygon": [[29.5, -1], [99, -1], [99, 99], [29.5, 99]], "grid": "infrared",
               "ignore": True},
    )  # fmt: skip
    seen = laid.laid_over(scene)
    columns = {name: np.isfinite(seen[name].values).all(0) for name in SENSORS}
    for name in ("rgb", "points"):
        assert columns[name].tolist() == [False] * 16 + [True] * 16
        assert seen["apart"].sel(sensor=name).values.all(0).tolist() == [False] * 16 + [True] * 16
    assert columns["infrared"].tolist() == [True] * 30 + [False] * 2
    assert not seen["apart"].sel(sensor="infrared").any()
    rest, face = laid.places(scene)
    assert (rest.pixels.sum(), face.pixels.sum()) == (0, 8 * 16)
    assert np.isfinite(scene["rgb"]).all()
    assert zones().laid_over(scene) is scene


def test_a_mask_of_another_size_is_refused(tmp_path):
    Image.fromarray(np.ones((4, 4), dtype=np.uint8)).save(tmp_path / "m.png")
    scene = new_scene({"rgb": frame(np.ones((8, 8)))}, reference="rgb")
    with pytest.raises(CardError, match="'z' has 4x4 pixels, but the scene's 8x8 were promised"):
        zones(z={"mask": str(tmp_path / "m.png"), "ignore": True}).laid_over(scene)


# ---------------------------------------------------------------- ignored zones


@pytest.fixture(scope="module")
def plates(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("plates")
    write_miniature(read_card("mvtec3d"), root, train=8, test=3, side=32)
    return root


def spoilt(root: Path, out: Path) -> Path:
    """Copy captures, with something wild in the left half of every frame."""
    import tifffile

    shutil.copytree(root, out)
    rng = np.random.default_rng(1)
    for path in out.rglob("rgb/*.png"):
        held = np.asarray(Image.open(path)).copy()
        held[:, :16] = rng.integers(0, 255, held[:, :16].shape)
        Image.fromarray(held).save(path)
    for path in out.rglob("xyz/*.tiff"):
        held = tifffile.imread(path)
        held[:, :16, 2] += rng.uniform(-0.1, 0.1, held[:, :16, 2].shape).astype(np.float32)
        tifffile.imwrite(path, held, photometric="rgb")
    return out


def test_what_lies_in_an_ignored_zone_changes_nothing_to_the_bit(plates, tmp_path):
    card = tmp_path / "card.toml"
    card.write_text(f'base = "mvtec3d"\nname = "x"\n[zones.cloth]\nignore = true\npolygon = {LEFT}')
    settings = Settings(features={"rgb": "builtin", "points": "builtin"}, false_alarm=0.3)
    other = spoilt(plates, tmp_path / "in")
    told = []
    for number, root in enumerate((plates, other)):
        found = evaluate(card, root, tmp_path / str(number), settings=settings)
        for record in found["captures"]:
            record.pop("seconds")
            for sensor in record["sensors"].values():
                sensor.pop("seconds")
            record["capture"] = record["category"] = ""
            assert all(region["box"][0] >= 16 for region in record["regions"])
        told.append([found["captures"], [row["threshold"] for row in found["rows"]]])
    assert told[0] == told[1]
    assert any(record["regions"] for record in told[0][0])


# ---------------------------------------------------------------- zones judged apart


class Toy:
    """A fusion of one camera whose evidence is the frame itself."""

    sensors = ("depth",)
    combine = staticmethod(load("fusion", "late")().combine)

    def fit(self, scenes):
        return self

    def predict(self, scene):
        shown = scene["depth"].values.astype(np.float64)
        counted = np.where(scene["apart"][0], NAN, shown) if "apart" in scene else shown
        score = np.nanmax(counted) if np.isfinite(counted).any() else NAN
        return xr.Dataset(
            {
                "evidence_map": (("sensor", "y", "x"), shown[None]),
                "evidence": ("sensor", [score]),
                "sensor_score": ("sensor", [score]),
                "image_score": score,
            },
            coords={
                "sensor": ["depth"],
                "grid": ("sensor", ["depth"]),
                "y": scene["y"],
                "x": scene["x"],
            },
            attrs=dict(scene.attrs),
        )


def toy(values: np.ndarray, laid: Zones) -> xr.Dataset:
    return laid.laid_over(new_scene({"depth": frame(values)}, reference="depth"))


def fitted(laid: Zones, good: list[np.ndarray], rate: float) -> Inspection:
    parts = [toy(values, laid) for values in good]
    return Inspection(Toy(), rate, laid).fit(parts[:1], parts)


TWO = {
    "face": {"polygon": LEFT, "false_alarm": 0.5},
    "bore": {"polygon": [[15.5, -1], [23.5, -1], [23.5, 99], [15.5, 99]], "false_alarm": 0.25},
}


def test_every_share_of_the_false_alarms_holds_over_good_parts():
    """At 40 %: 20 % in the face, 10 % in the bore, 10 % in the rest."""
    laid, rng, rate, draws, tested = zones(**TWO), np.random.default_rng(0), 0.4, 80, 2
    alarms = dict.fromkeys(("face", "bore", "rest", "any"), 0)
    inspection = fitted(laid, [np.ones((4, 32))], rate)
    places = laid.places(toy(np.ones((4, 32)), laid))
    for _ in range(draws):
        good = rng.exponential(1.0, (39, 4, 32))
        highest = np.array([[part[place.pixels].max() for place in places] for part in good])
        inspection.peaks_.levels[("depth",)] = highest
        blank = inspection.calibration_
        inspection.calibration_ = Calibration(
            blank.sensors, highest[:, :1], highest[:, :1], blank.combine
        )
        for values in rng.exponential(1.0, (tested, 4, 32)):
            told = inspection.predict(toy(values, laid))
            called = {name: told["zone_verdict"].sel(zone=name).item() == "defect"
                      for name in ("face", "bore")}  # fmt: skip
            called["rest"] = bool(told["image_score"] > told.attrs["threshold"])
            called["any"] = told.attrs["verdict"] == "defect"
            assert called["any"] == any(called[name] for name in ("face", "bore", "rest"))
            assert called["any"] == (told["p_value"].item() <= rate + 1e-12)
            for name, alarm in called.items():
                alarms[name] += alarm
    for name, share in {"face": 0.2, "bore": 0.1, "rest": 0.1, "any": rate}.items():
        found = alarms[name] / (tested * draws)
        # scatter of the parts, and of the thresholds that 39 parts give
        scatter = np.sqrt(share * (1 - share) * (1 / (tested * draws) + 1 / (39 * draws)))
        assert found <= share + 3.5 * scatter, name
        assert name == "any" or found >= share - 3.5 * scatter, name


def test_a_zone_finds_what_the_rest_of_the_part_would_drown():
    laid, rng = zones(**TWO), np.random.default_rng(1)
    good = rng.exponential(1.0, (60, 4, 32))
    good[:, :, 24:] *= 10  # the rest is wild
    inspection = fitted(laid, list(good[:-1]), 0.1)
    defect = good[-1].copy()
    defect[2, 5] = 15.0
    told = inspection.predict(toy(defect, laid))
    assert told.attrs["verdict"] == "defect"
    assert told["zone_verdict"].values.tolist() == ["defect", "good"]
    assert told["image_score"] < told.attrs["threshold"]
    plain = fitted(Zones(), list(good[:-1]), 0.1).predict(toy(defect, Zones()))
    assert plain.attrs["verdict"] == "good"
    first = inspection.regions(toy(defect, laid), told)[0]
    assert (first.place, first.peak, first.p_value) == ("face", (5, 2), 1 / 60)


def test_a_rate_that_a_zone_cannot_be_promised_makes_the_verdict_refer():
    laid, rng = zones(**TWO), np.random.default_rng(2)
    good = list(rng.exponential(1.0, (10, 4, 32)))
    inspection = fitted(laid, good, 0.2)  # the face's 0.1 would do, the bore's 0.05 takes 19
    assert inspection.smallest_false_alarm == pytest.approx(1 / 11 / 0.25)
    assert inspection.predict(toy(0 * good[0], laid)).attrs["verdict"] == "refer"
    high = good[0].copy()
    high[0, 0] = 99.0
    assert inspection.predict(toy(high, laid)).attrs["verdict"] == "defect"


def test_a_zone_that_was_not_seen_is_referred_to_a_person():
    laid, rng = zones(**TWO), np.random.default_rng(2)
    inspection = fitted(laid, list(rng.exponential(1.0, (50, 4, 32))), 0.2)
    blind = np.zeros((4, 32))
    assert inspection.predict(toy(blind, laid)).attrs["verdict"] == "good"
    blind[:, 16:24] = NAN
    told = inspection.predict(toy(blind, laid))
    assert told.attrs["verdict"] == "refer"
    assert told["zone_verdict"].values.tolist() == ["good", "not_inspectable"]
    with_nothing = inspection.predict(toy(blind * NAN, laid))
    assert with_nothing.attrs["verdict"] == "not_inspectable"


# ---------------------------------------------------------------- least areas


def with_cloud(values: np.ndarray, laid: Zones, pitch: float = 0.5) -> xr.Dataset:
    y, x = np.mgrid[: values.shape[0], : values.shape[1]] * pitch
    points = frame(np.stack([x, y, 300 + 0 * x]), "points")
    frames = {"depth": frame(values), "points": points}
    return laid.laid_over(new_scene(frames, reference="depth"))


def test_what_is_smaller_than_the_least_area_is_no_defect_of_the_zone():
    """Pixels of 0.25 mm²; the zone asks for 1 mm², so for four pixels that hang together."""
    face = {"polygon": LEFT, "false_alarm": 0.5, "least_area_mm2": 1.0}
    laid, rng = zones(face=face), np.random.default_rng(4)
    good = [with_cloud(v, laid) for v in rng.exponential(1.0, (40, 12, 32))]
    inspection = Inspection(Toy(), 0.1, laid).fit(good[:5], good)
    np.testing.assert_allclose(inspection.peaks_.area, 0.25, rtol=1e-5)
    quiet = np.zeros((12, 32))
    small, large = quiet.copy(), quiet.copy()
    small[4, 3:6] = 50.0
    large[4:6, 3:5] = 50.0
    told = {name: inspection.predict(with_cloud(v, laid))
            for name, v in (("small", small), ("large", large))}  # fmt: skip
    assert told["small"].attrs["verdict"] == "good"
    assert told["large"].attrs["verdict"] == "defect"
    assert told["large"]["zone_level"].item() == 50.0
    assert inspection.regions(with_cloud(small, laid), told["small"]) == []
    (found,) = inspection.regions(with_cloud(large, laid), told["large"])
    assert (found.place, found.area_px, found.area_mm2) == ("face", 4, pytest.approx(1.0))
    blind = with_cloud(large, laid)
    blind["points"][:] = NAN
    blind["valid"].loc[{"sensor": "points"}] = False
    again = inspection.predict(blind)  # a scanner that failed does not change the test
    assert again["zone_p_value"].item() == told["large"]["zone_p_value"].item()
    assert inspection.regions(blind, again)[0].area_mm2 is None


def test_a_least_area_without_geometry_is_refused():
    laid = zones(face={"polygon": LEFT, "false_alarm": 0.5, "least_area_mm2": 1.0})
    with pytest.raises(SceneError, match="no sensor on the reference's grid measures points in mm"):
        fitted(laid, [np.ones((4, 32))] * 3, 0.5)


# ---------------------------------------------------------------- from card to verdict


def test_zones_of_a_card_reach_models_and_their_lines(plates, tmp_path):
    from mmdefect.fitting import fit
    from mmdefect.line import inspect

    card = tmp_path / "card.toml"
    card.write_text(
        f'base = "mvtec3d"\nname = "x"\n[zones.face]\npolygon = {LEFT}\nfalse_alarm = 0.5\n'
    )
    settings = Settings(features={"rgb": "builtin", "points": "builtin"}, false_alarm=0.4)
    fit(card, plates, tmp_path / "model", settings=settings)
    card.unlink()
    lines = list(inspect(tmp_path / "model", [plates / "plate" / "test"]))
    assert len(lines) == 3
    for line in lines:
        assert list(line["zones"]) == ["face"]
        alarms = [line["zones"]["face"]["verdict"] == "defect"]
        alarms.append(line["image_score"] > line["threshold"])
        assert (line["verdict"] == "defect") == any(alarms) == (line["p_value"] <= 0.4)
    dataset = Dataset(read_card("mvtec3d"), plates)
    assert "apart" not in dataset.scene(dataset.captures("plate")[0])
