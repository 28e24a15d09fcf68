"""The viewer's file: what it holds, how large it is, and that it asks nothing of anyone."""

import base64
import hashlib
import json
import re
import shutil
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from shown import SENSORS, packed, scene_of
from typer.testing import CliRunner

from mmdefect import Inspection, load
from mmdefect.cards import read_card
from mmdefect.cli import DONE, NOTHING_DONE, REFUSALS, app
from mmdefect.dataset import Dataset
from mmdefect.errors import MmdefectError, NotFittedError, SceneError
from mmdefect.miniature import write_miniature
from mmdefect.viewer import View, page_of, view
from mmdefect.viewer.planes import frame_step, noise_of, pack_plane

CHECK = settings(derandomize=True, database=None, deadline=None, max_examples=40)


def unpacked(plane: dict) -> np.ndarray:
    """Read a plane back, pixel by pixel, as the page does."""
    rows, columns = plane["size"]
    count = rows * columns
    halves = zlib.decompress(base64.b64decode(plane["bytes"]))
    steps = np.zeros((rows, columns), dtype=np.int64)
    for at in range(count):
        y, x = divmod(at, columns)
        left = steps[y, x - 1] if x else steps[y - 1, x] if y else 0
        above = steps[y - 1, x] if y else left
        slope = not plane["plain"] and x and y
        told = left + above - steps[y - 1, x - 1] if slope else (left + above) >> 1
        folded = halves[at] | halves[count + at] << 8
        rest = -((folded + 1) >> 1) if folded & 1 else folded >> 1
        steps[y, x] = (told + rest) & 0xFFFF
    return np.where(steps == 0, np.nan, plane["low"] + (steps - 1) * plane["step"])


def page(*captures, **settings) -> str:
    return "".join(page_of(captures or [packed()], "plates", **settings))


def told(one=None) -> dict:
    return json.loads((one or packed()).text)


# ---- planes


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 6)),
               elements=st.floats(-500, 500) | st.just(float("nan"))),
    st.sampled_from([0.05, 0.1, 1.0]),
)  # fmt: skip
@CHECK
def test_a_plane_is_read_back_to_half_a_step_and_holes_stay_holes(values, step):
    back = unpacked(pack_plane(values, step))
    np.testing.assert_array_equal(np.isnan(back), np.isnan(values))
    known = np.isfinite(values)
    assert np.abs(back - values)[known].max(initial=0) <= step / 2 + 1e-9


def test_rounding_takes_less_than_a_sensor_can_tell():
    rng = np.random.default_rng(0)
    warm = 300 + np.linspace(0, 5, 200) + rng.normal(0, 0.03, (200, 200))
    assert noise_of(warm) == pytest.approx(0.03, rel=0.03)
    step = frame_step(warm)
    assert 0.004 <= step <= 0.01
    assert noise_of(unpacked(pack_plane(warm[:40, :40], step))) < 1.1 * noise_of(warm[:40, :40])


@pytest.mark.parametrize("values", [np.full((3, 4), 7.5), np.full((3, 4), np.nan), np.ones((1, 1))])
def test_a_plane_without_contrast_can_be_packed(values):
    back = unpacked(pack_plane(values, frame_step(values)))
    np.testing.assert_allclose(back, values, atol=0.5)


# ---- captures


def test_a_capture_holds_every_sensor_in_its_units():
    capture = told()
    assert [one["name"] for one in capture["sensors"]] == list(SENSORS)
    channels = {
        one["name"]: [(c["quantity"], c["unit"]) for c in one["frame"].get("channels", [])]
        for one in capture["sensors"]
    }
    assert channels == {
        "rgb": [],
        "points": [("z", "mm")],
        "infrared": [("T", "K")],
        "xray": [("transmission, mean", "1"), ("transmission low", "1"),
                 ("transmission high", "1")],
    }  # fmt: skip
    warm = unpacked(capture["sensors"][2]["frame"]["channels"][0]["plane"])
    scene = scene_of()
    np.testing.assert_allclose(warm, scene["infrared"].values, atol=0.01)
    assert np.isnan(warm[:8, :8]).all()
    shares = sum(unpacked(one["attribution_map"]) for one in capture["sensors"])
    np.testing.assert_allclose(shares, unpacked(capture["fused"]), atol=0.11)


def test_an_absent_sensor_is_told_as_absent_and_one_on_its_own_grid_as_such():
    capture = told(packed(scene_of(absent=["xray"], apart=["infrared"])))
    by_name = {one["name"]: one for one in capture["sensors"]}
    assert not by_name["xray"]["present"]
    assert "frame" not in by_name["xray"]
    assert not by_name["infrared"]["registered"]
    assert "attribution_map" not in by_name["infrared"]


def test_a_constant_frame_and_a_capture_without_evidence_can_be_packed():
    capture = told(packed(scene_of(constant=True)))
    flat = unpacked(capture["sensors"][1]["frame"]["channels"][0]["plane"])
    np.testing.assert_allclose(flat, 450, atol=0.5)
    assert len(np.unique(flat)) == 1
    blind = packed(scene_of(absent=SENSORS), verdict="not_inspectable", image_score=None)
    assert told(blind)["fused"] is None
    assert not any(one["present"] for one in told(blind)["sensors"])


def test_a_large_capture_is_rounded_until_it_fits_and_says_how_much():
    scene = scene_of(200, 200)
    whole = packed(scene)
    tight = packed(scene, most_bytes=len(whole.text) // 2)
    assert told(whole)["coarseness"] == 1
    assert told(tight)["coarseness"] > 1
    assert len(tight.text) <= len(whole.text) // 2


def test_a_capture_of_800_pixels_and_four_sensors_stays_below_3_mb():
    text = page(packed(scene_of(800, 800)))
    assert len(text.encode()) <= 3_000_000


def test_what_is_larger_than_the_page_shows_is_brought_down_and_says_so():
    scene = scene_of(12, 2050)
    one = told(packed(scene, regions=[]))
    assert (one["every"], one["size"]) == (3, [12, 2050])
    assert one["sensors"][1]["frame"]["channels"][0]["plane"]["size"] == [4, 684]


# ---- the page


def test_the_page_runs_its_own_script_and_asks_nothing_of_the_network():
    text = page()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "unsafe" not in policy
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert not re.search(r"https?://|@import|url\(|\bfetch\(|XMLHttpRequest|WebSocket", text)
    assert not re.search(r"<[^>]*\s(?:on\w+|style)=", text)


def test_a_hostile_name_stays_a_name():
    name = "</script><script>alert(1)</script>&\udcff"
    one = packed(scene_of(name=name))
    text = "".join(page_of([one], name, made=name))
    assert text.count("</script>") == 4
    assert json.loads(one.text)["capture"] == name.replace("\udcff", "?")
    text.encode("utf-8")


def test_every_script_and_name_of_the_page_is_one_that_there_is():
    text = page()
    assert "@@" not in text
    asked = set(re.findall(r'by\("([\w-]+)"\)', text))
    there = set(re.findall(r'\bid="([\w-]+)"', text))
    assert asked <= there | {"link-next", "link-previous"}


# ---- views


def test_a_view_shows_itself_in_a_notebook_and_is_written_whole(tmp_path):
    shown = View([packed()], "plates")
    assert repr(shown) == f"View of 1 captures, {len(packed().text) / 1e6:.2f} MB; " \
        ".save('FILE.html') writes it"  # fmt: skip
    inline = shown._repr_html_()
    assert inline.startswith("<iframe srcdoc=")
    assert 'sandbox="allow-scripts"' in inline
    assert "<script" not in inline
    path = shown.save(tmp_path / "view.html")
    assert path.read_text(encoding="utf-8") == shown.html()
    assert [one.name for one in tmp_path.iterdir()] == ["view.html"]


def test_a_view_that_cannot_be_written_says_why(tmp_path):
    with pytest.raises(MmdefectError, match="there is no capture to show"):
        View([], "none").save(tmp_path / "view.html")
    (tmp_path / "file").touch()
    with pytest.raises(MmdefectError, match="cannot be written: "):
        View([packed()], "plates").save(tmp_path / "file" / "view.html")
    made = View([packed()], "plates").save(tmp_path / "new" / "view.html")
    assert [one.name for one in made.parent.iterdir()] == ["view.html"]


# ---- with a model


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Plates of a camera and a scanner, and a model of them."""
    place = tmp_path_factory.mktemp("shown")
    write_miniature(read_card("mvtec3d"), place / "made", train=12, test=6, side=32)
    parts = Dataset("mvtec3d", place / "made")
    good = parts.captures("plate", "train")
    inspection = Inspection(load("fusion", "late")(features={"rgb": "builtin"}), false_alarm=0.25)
    inspection.fit(parts.scenes(good[:8]), parts.scenes(good[8:]))
    inspection.save(place / "model")
    return place


def run(*arguments):
    return CliRunner().invoke(app, ["view", *map(str, arguments)])


def captures_in(path) -> list[dict]:
    found = re.findall(r'id="capture-\d+">(.*?)</script>', path.read_text(encoding="utf-8"), re.S)
    return [json.loads(text) for text in found]


def test_the_command_writes_one_file_of_all_captures(place, tmp_path):
    out = tmp_path / "out.html"
    done = run(place / "model", place / "made" / "plate" / "test", "--out", out)
    assert done.exit_code == DONE, done.output
    size = out.stat().st_size / 1e6
    assert done.stdout == f"viewer:  {out} (6 captures, {size:.2f} MB)\n"
    shown = captures_in(out)
    assert len({one["capture"] for one in shown}) == 6
    assert all(one["truth"] is None and one["label"] is None for one in shown)
    assert all(len(one["good_scores"]) == 4 for one in shown)
    few = run(place / "model", place / "made" / "plate" / "test", "--out", out, "--most", 2)
    assert few.exit_code == DONE
    assert len(captures_in(out)) == 2
    assert "4 further captures are left out" in few.stderr


def explained(*arguments):
    return CliRunner().invoke(app, ["explain", *map(str, arguments)])


def test_the_page_of_a_model_says_why_in_the_words_of_the_explanation(place, tmp_path):
    test = place / "made" / "plate" / "test"
    spoilt = next(folder for folder in sorted(test.iterdir()) if folder.name != "good")
    out = tmp_path / "out.html"
    asked = ("--out", out, "--most", 1, "--good", place / "made")
    assert run(place / "model", spoilt, *asked).exit_code == DONE
    (shown,) = captures_in(out)
    done = explained(place / "model", spoilt, "--json")
    assert done.exit_code == DONE, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    told = next(line for line in lines if line["capture"] == shown["capture"])
    assert shown["guarantee"] == told["guarantee"]
    assert shown["regions"]
    for region, finding in zip(shown["regions"], told["findings"], strict=True):
        assert region["peak"] == finding["peak"]
        assert region["shares"] == finding["shares"]
        assert len(region["matches"]) == len(finding["matches"])
        for words, match in zip(region["matches"], finding["matches"], strict=True):
            assert match["nearest"][0]["capture"] in words
    for region in shown["regions"][:3]:
        pairs = zip(region["beside"], region["matches"], strict=True)
        assert all(pair["capture"] in words for pair, words in pairs)
    assert all(region["beside"] == [] for region in shown["regions"][3:])


def test_the_explain_command_tells_words_or_json_and_what_was_refused(place, tmp_path):
    good = place / "made" / "plate" / "test" / "good"
    words = explained(place / "model", good)
    assert words.exit_code == DONE, words.output
    assert words.stdout.count("of the score above a usual good part's") == len(
        list((good / "rgb").iterdir())
    )
    (tmp_path / "empty").mkdir()
    some = explained(place / "model", good, tmp_path / "empty", "--json", "--nearest", 1)
    assert some.exit_code == REFUSALS
    lines = [json.loads(line) for line in some.stdout.splitlines()]
    assert lines[-1].keys() == {"capture", "refused", "model"}
    assert "leads to no capture of the model's card" in some.stderr
    assert {"verdict", "attribution", "findings", "files"} <= lines[0].keys()
    assert all(len(match["nearest"]) <= 1 for line in lines[:-1] for match in line["matches"])
    assert len({line["model"] for line in lines}) == 1
    none = explained(place / "model", tmp_path / "empty")
    assert none.exit_code == NOTHING_DONE
    assert not none.stdout


def test_a_frame_that_is_missing_or_broken_shows_as_absent(place, tmp_path):
    shutil.copytree(place / "made" / "plate", tmp_path / "plate")
    kind = next((tmp_path / "plate" / "test").iterdir())
    frames = sorted((kind / "xyz").iterdir())
    frames[0].unlink()
    frames[1].write_bytes(b"II*\0")
    done = run(place / "model", kind, "--out", tmp_path / "out.html")
    assert done.exit_code == REFUSALS, done.output
    assert frames[1].name in done.stderr
    shown = captures_in(tmp_path / "out.html")
    absent = [one["name"] for one in shown[1]["sensors"] if not one["present"]]
    assert absent == ["points"]
    assert shown[1]["verdict"] in ("good", "defect", "refer")


def test_what_cannot_be_shown_says_why(place, tmp_path):
    out = tmp_path / "out.html"
    (tmp_path / "empty").mkdir()
    nothing = run(place / "model", tmp_path / "empty", "--out", out)
    assert nothing.exit_code == NOTHING_DONE
    assert "leads to no capture of the model's card" in nothing.stderr
    assert not out.exists()
    other = run(tmp_path / "no-model", place / "made", "--out", out)
    assert isinstance(other.exception, MmdefectError)


def test_a_scene_of_another_rig_or_an_unfitted_model_is_refused(place):
    inspection = Inspection.load(place / "model")
    with pytest.raises(SceneError, match=r"the scene has \d+x\d+ pixels, but"):
        view(inspection, scene_of())
    with pytest.raises(SceneError, match="give 'points' too"):
        view(inspection, scene_of().drop_sel(sensor="points"))
    with pytest.raises(NotFittedError):
        view(Inspection(load("fusion", "late")()), scene_of())


def test_scenes_are_shown_with_their_truth_in_python(place):
    inspection = Inspection.load(place / "model")
    parts = Dataset("mvtec3d", place / "made")
    spoilt = [one for one in parts.captures("plate", "test") if one.label == "defect"]
    shown = view(inspection, parts.scenes(spoilt[:2]))
    assert [one.head["label"] for one in shown.captures] == ["defect", "defect"]
    assert json.loads(shown.captures[0].text)["truth"] is not None
    assert len(view(inspection, parts.scene(spoilt[0])).captures) == 1
