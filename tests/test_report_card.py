"""One capture on the page: its words, its tiles, and that its pictures show what they claim."""

import base64
import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from mmdefect.report import capture_card
from mmdefect.report.pictures import OUTLINE, SIDE
from mmdefect.scene import new_scene

SIZE = 64
SPOT = (slice(20, 28), slice(40, 48))
IN_SPOT = (slice(63, 81), slice(123, 141))
VERDICT_OF = {"missed": ("defect", "good"), "not_inspectable": ("good", "not_inspectable")}


class Page(HTMLParser):
    """What a browser without JavaScript finds."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self._open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, text):
        if text.strip():
            self.texts.append((self._open[-1] if self._open else "", text.strip()))

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    def words(self, tag=None):
        return " ".join(text for name, text in self.texts if tag in (None, name))


def frame_of(values, dims, modality, units, **coords):
    return xr.DataArray(
        np.asarray(values, dtype=np.float32),
        dims=dims,
        coords=coords,
        attrs={"modality": modality, "units": units},
    )


def make_scene(size=SIZE, absent=(), defect=True, height=None):
    rng = np.random.default_rng(0)
    shape = (height or size, size)
    frames = {
        "rgb": frame_of(
            rng.uniform(0.4, 0.6, (3, *shape)), ("color", "y", "x"), "rgb", "1",
            color=["red", "green", "blue"],
        ),
        "scanner": frame_of(
            rng.normal(450, 1, (3, *shape)), ("axis", "y", "x"), "points", "mm",
            axis=["x", "y", "z"],
        ),
        "infrared": frame_of(rng.normal(300, 1, shape), ("y", "x"), "infrared", "K"),
    }  # fmt: skip
    for name in absent:
        frames[name][:] = np.nan
    truth = np.zeros(shape, dtype=bool)
    truth[SPOT] = defect
    return new_scene(frames, reference="rgb", grids={"infrared": "infrared"}, defect=truth)


def make_prediction(scene, peaks):
    """Build a prediction with a hot spot of a given evidence per sensor over a background of 1."""
    maps = np.ones(scene["valid"].shape, dtype=np.float32)
    for own, peak in zip(maps, peaks, strict=True):
        own[SPOT] = peak
    maps = np.where(scene["valid"].values, maps, np.float32(np.nan))
    seen = scene["valid"].any(["y", "x"]).values
    evidence = np.where(seen, np.asarray(peaks, dtype=float), np.nan)
    registered = maps[scene["grid"].values == "rgb"]
    blind = np.isnan(registered).all(0)
    return xr.Dataset(
        {
            "sensor_map": (("sensor", "y", "x"), maps / 2),
            "evidence_map": (("sensor", "y", "x"), maps),
            "anomaly_map": (("y", "x"), np.where(blind, np.nan, np.nansum(registered, axis=0))),
            "sensor_score": ("sensor", evidence / 2),
            "evidence": ("sensor", evidence),
            "attribution": ("sensor", np.nan_to_num(evidence)),
            "image_score": np.nansum(evidence) if seen.any() else np.nan,
        },
        coords={name: scene[name] for name in ("sensor", "grid", "y", "x")},
        attrs=dict(scene.attrs),
    )


def make_record(name="tire/test/hole/003", group="missed", **changes):
    label, verdict = VERDICT_OF[group]
    alone = {"present": True, "score": 1.25, "evidence": 3.5, "p_value": 0.0476}
    return {
        "capture": name, "category": "tire", "kind": "hole", "label": label, "verdict": verdict,
        "image_score": 7.21, "p_value": 0.25, "threshold": 9.5,
        "sensors": dict.fromkeys(("rgb", "scanner", "infrared"), alone), **changes,
    }  # fmt: skip


def card_of(record=None, absent=(), peaks=(5, 20, 3), **settings):
    scene = make_scene(absent=absent, **settings)
    return capture_card(scene, make_prediction(scene, peaks), record or make_record())


def picture(fragment, alt):
    """Decode the picture whose description begins so."""
    address = re.search(rf'src="data:image/\w+;base64,([^"]+)" alt="{alt}', fragment)[1]
    return np.asarray(Image.open(BytesIO(base64.b64decode(address))).convert("RGB")).astype(int)


def test_a_card_says_verdict_label_score_threshold_and_p_value():
    words = Page(card_of()).words()
    assert "verdict: good label: defect tire, hole" in words
    assert "score 7.21 ≤ threshold 9.50 · p-value 0.250" in words


def test_a_card_says_what_every_sensor_contributed():
    page = Page(card_of(peaks=(5, 20, 3)))
    assert page.words("dd").startswith("3.50 17.9 % 0.0476 1.25")
    shares = re.findall(r"[\d.]+ %", page.words("dd"))
    assert shares == ["17.9 %", "71.4 %", "10.7 %"]


def test_a_card_says_what_zones_that_are_judged_apart_say():
    zones = {
        "<bore>": {"level": 9.0, "p_value": 0.02, "verdict": "defect"},
        "face": {"level": None, "p_value": None, "verdict": "not_inspectable"},
    }
    found = card_of(make_record(zones=zones))
    assert "zone &lt;bore&gt;: defect (p-value 0.0200)" in found
    assert "zone face: not inspectable (p-value –)" in found
    assert "zone" not in card_of(make_record())


def test_a_card_without_numbers_has_dashes():
    record = make_record(group="not_inspectable", image_score=None, p_value=None, threshold=None)
    words = Page(card_of(record)).words()
    assert "verdict: not inspectable" in words
    assert "score – , no threshold · p-value –" in words


def test_an_absent_sensor_gets_a_tile_that_says_so():
    fragment = card_of(absent=["scanner"])
    page = Page(fragment)
    assert [one["aria-label"] for one in page.all("div") if "role" in one] == ["scanner is absent"]
    assert "absent measured nothing in this capture" in page.words()
    assert len(page.all("img")) == 6
    assert not any("scanner" in one["alt"] for one in page.all("img"))


def test_a_capture_that_no_sensor_saw_has_no_picture():
    page = Page(card_of(absent=["rgb", "scanner", "infrared"], peaks=(1, 1, 1)))
    assert page.all("img") == []
    assert "no fused evidence" in page.words()


def test_an_absent_reference_leaves_the_other_sensors_evidence():
    fragment = card_of(absent=["rgb"])
    over = picture(fragment, "fused evidence over the rgb frame")
    hot = over[IN_SPOT].reshape(-1, 3).mean(0)
    assert hot[0] > hot[2] + 50


def test_a_sensor_that_was_not_asked_shows_its_frame_alone():
    scene = make_scene()
    prediction = make_prediction(scene, (5, 20, 3)).sel(sensor=["rgb", "infrared"])
    record = make_record(sensors={"rgb": make_record()["sensors"]["rgb"]})
    page = Page(capture_card(scene, prediction, record))
    assert [one["alt"].split()[0:2] for one in page.all("img") if "scanner" in one["alt"]] == [
        ["scanner", "frame"]
    ]
    assert "not asked" in page.words("dd")


def test_only_registered_sensors_are_outlined():
    fragment = card_of(peaks=(9, 9, 9))
    bright = OUTLINE[0]
    assert (picture(fragment, "scanner evidence") == bright).all(-1).any()
    assert not (picture(fragment, "infrared evidence") == bright).all(-1).any()
    assert not (picture(fragment, "infrared frame") == bright).all(-1).any()
    assert Page(fragment).words("dd").count("not registered") == 1


def test_a_defect_without_a_mask_says_so():
    scene = make_scene().drop_vars("defect")
    fragment = capture_card(scene, make_prediction(scene, (5, 20, 3)), make_record())
    assert "no mask of the defect is known" in Page(fragment).words()
    assert not (picture(fragment, "fused evidence, highest") == OUTLINE[0]).all(-1).any()
    assert "no mask" not in Page(card_of()).words()


def test_the_maps_of_a_capture_share_one_scale():
    fragment = card_of(peaks=(20, 20, 3))
    rgb, scanner, infrared = (
        picture(fragment, f"{name} evidence")[IN_SPOT].mean((0, 1))
        for name in ("rgb", "scanner", "infrared")
    )
    assert (rgb == scanner).all()
    assert infrared.sum() < rgb.sum() / 2
    assert "highest 3.00" in Page(fragment).words("span")


@pytest.mark.parametrize(
    ("peaks", "last"), [((2, 2, 2), "10"), ((10, 11.2, 1), "22"), ((90, 1, 1), "40 or more")]
)
def test_the_scale_of_evidence_ends_between_10_and_40(peaks, last):
    ends = [text for tag, text in Page(card_of(peaks=peaks)).texts if tag == "span"]
    assert ends.count(last) == 4


def test_ends_of_a_frame_come_with_their_unit():
    scene = make_scene()
    scene["infrared"] = scene["infrared"].copy()
    scene["infrared"][:] = np.linspace(290, 310, SIZE**2, dtype=np.float32).reshape(SIZE, SIZE)
    fragment = capture_card(scene, make_prediction(scene, (1, 1, 1)), make_record())
    assert "T 290.2 309.8 K" in Page(fragment).words("span")


def test_a_relative_frame_and_an_xray_are_named_honestly():
    values = np.linspace(0, 1, SIZE * SIZE).reshape(SIZE, SIZE)
    frames = {
        "xray": frame_of([values, values], ("energy", "y", "x"), "xray", "1"),
        "warm": frame_of(values, ("y", "x"), "infrared", "relative"),
        "deep": frame_of(values, ("y", "x"), "depth", "mm"),
    }
    scene = new_scene(frames, reference="xray")
    scene["grid"] = ("sensor", ["rgb"] * 3)
    prediction = make_prediction(scene, (1, 1, 1))
    scene = scene.assign_coords(grid=("sensor", ["xray"] * 3))
    words = Page(capture_card(scene, prediction, make_record(sensors={}))).words("span")
    assert "transmission 0.010 0.990" in words
    assert "depth 0.010 0.990 mm" in words
    assert " 0.010 0.990 relative" in words
    assert "T 0.010" not in words


def test_a_fragment_of_three_sensors_stays_small():
    scene = make_scene(512, height=384)
    y, x = np.indices((384, 512))
    smooth = (np.sin(x / 30) + np.cos(y / 40) + 2).astype(np.float32)
    for name in ("rgb", "scanner", "infrared"):
        scene[name] = scene[name].copy(data=np.broadcast_to(smooth / 4, scene[name].shape))
    prediction = make_prediction(scene, (5, 20, 3))
    prediction["evidence_map"] = prediction["evidence_map"] * smooth
    fragment = capture_card(scene, prediction, make_record())
    assert len(fragment) < 120_000
    assert picture(fragment, "rgb frame").shape == (168, SIDE, 3)


def test_the_hot_spot_is_where_the_map_is_brightest():
    fragment = card_of(peaks=(9, 9, 9), defect=False)
    for name in ("rgb", "infrared", "fused"):
        lightness = picture(fragment, f"{name} evidence, ") @ [0.299, 0.587, 0.114]
        factor = SIDE // SIZE
        row, column = np.unravel_index(lightness.argmax(), lightness.shape)
        assert 20 <= row // factor < 28
        assert 40 <= column // factor < 48
