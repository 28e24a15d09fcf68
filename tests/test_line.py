"""`mmdefect fit`, `inspect` and their kin: lines that programs read, from any path of a part."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mmdefect.cards import read_card
from mmdefect.cli import DONE, NOTHING_DONE, REFUSALS, app
from mmdefect.errors import CardError, MmdefectError
from mmdefect.line import inspect
from mmdefect.miniature import write_miniature
from mmdefect.model import ModelFolder

OPTIONS = ("--features", "builtin", "--false-alarm", 0.25)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def lines(told: Result) -> list[dict]:
    return [json.loads(line, parse_constant=pytest.fail) for line in told.stdout.splitlines()]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder of captures as a user has it, and the model of it."""
    place = tmp_path_factory.mktemp("place")
    write_miniature(read_card("mvtec3d"), place / "made", train=12, test=6, side=32)
    for split in ("train", "test"):
        for kind in (place / "made" / "plate" / split).iterdir():
            for old, new in (("rgb", "rgb"), ("xyz", "points"), ("gt", "mask")):
                if (kind / old).is_dir():
                    shutil.copytree(kind / old, place / "captures" / split / kind.name / new)
    (place / "card.toml").write_text(
        'base = "folder"\n[sensors.points]\nunit = "m"\n[rig]\nregistered = ["points"]\n'
    )
    told = run("fit", place / "card.toml", place / "captures", *OPTIONS, "--out", place / "model")
    assert told.exit_code == DONE, told.output
    assert told.stdout.endswith(f"model:   {place / 'model'}\n")
    (place / "card.toml").unlink()
    return place


@pytest.fixture
def incoming(place, tmp_path) -> Path:
    """New parts, in no split and of no kind."""
    test = place / "captures" / "test"
    for sensor in ("rgb", "points"):
        shutil.copytree(test / "good" / sensor, tmp_path / "incoming" / sensor)
        for path in (test / "patch" / sensor).iterdir():
            shutil.copy(path, tmp_path / "incoming" / sensor / f"9{path.name}")
    return tmp_path / "incoming"


def test_every_capture_of_a_folder_gives_a_line(place):
    told = run("inspect", place / "model", place / "captures" / "test")
    assert told.exit_code == DONE
    found = lines(told)
    assert len(found) == 6
    digest = ModelFolder(place / "model").hash
    for line in found:
        assert set(line) == set(
            "capture verdict image_score p_value threshold sensors regions files seconds refused "
            "model".split()
        )
        assert line["model"] == digest
        assert (line["verdict"] == "defect") == (line["p_value"] <= 0.25)
        assert (line["verdict"] == "defect") == (line["image_score"] > line["threshold"])
        assert all(Path(path).is_file() for path in line["files"].values())
        assert line["sensors"]["rgb"]["valid"] == 1.0
        assert 0.9 < line["sensors"]["points"]["valid"] < 1.0
        assert line["refused"] == []
    defects = [line for line in found if "/patch/" in line["capture"]]
    assert [line["verdict"] for line in defects] == ["defect"] * 3
    for line in defects:
        region = line["regions"][0]
        assert region["p_value"] <= 0.25
        assert region["area_mm2"] > 0
        assert region["sensors"]
        left, top, right, bottom = region["box"]
        assert 0 <= left < right <= 32
        assert 0 <= top < bottom <= 32
        assert left <= region["peak"][0] < right


@pytest.mark.parametrize("way", ["rgb", "points", "both", "folder", "sensor folder", "from above"])
def test_any_frame_or_folder_leads_to_the_whole_capture(place, incoming, way):
    names = {"rgb": "9000.png", "points": "9000.tiff"}
    frames = [incoming / sensor / name for sensor, name in names.items()]
    paths = {
        "rgb": frames[:1],
        "points": frames[1:],
        "both": frames,
        "folder": [incoming],
        "sensor folder": [incoming / "points"],
        "from above": [incoming.parent],
    }[way]
    found = lines(run("inspect", place / "model", *paths))
    assert len(found) == (6 if "folder" in way or way == "from above" else 1)
    assert all(set(line["files"]) == {"rgb", "points"} for line in found)
    (one,) = [line for line in found if line["files"]["rgb"] == str(frames[0])]
    assert one["verdict"] == "defect"
    whole = lines(run("inspect", place / "model", place / "captures" / "test" / "patch"))
    assert one["image_score"] == whole[0]["image_score"]


def test_a_part_that_lacks_a_sensor_or_has_a_broken_frame_is_judged_by_the_others(place, incoming):
    (incoming / "points" / "9000.tiff").unlink()
    (incoming / "points" / "9001.tiff").write_bytes(b"broken")
    told = run("inspect", place / "model", incoming)
    assert told.exit_code == REFUSALS
    by_name = {line["capture"].rpartition("/")[2]: line for line in lines(told)}
    assert by_name["9000"]["sensors"]["points"]["present"] is False
    assert by_name["9000"]["sensors"]["points"]["valid"] == 0.0
    assert by_name["9000"]["refused"] == []
    (refusal,) = by_name["9001"]["refused"]
    assert (refusal["sensor"], refusal["file"]) == ("points", "incoming/points/9001.tiff")
    assert by_name["9001"]["verdict"] in ("good", "defect", "refer")


def test_what_cannot_be_judged_gives_a_line_that_says_why(place, incoming, tmp_path):
    from PIL import Image

    for sensor in ("rgb", "points"):
        for path in (incoming / sensor).iterdir():
            path.unlink()
    Image.effect_noise((48, 48), 50).convert("RGB").save(incoming / "rgb" / "1.png")
    told = run("inspect", place / "model", incoming, tmp_path / "nowhere")
    assert told.exit_code == REFUSALS
    wrong_size, missing = lines(told)
    assert wrong_size["verdict"] == "not_inspectable"
    assert (
        "48x48 pixels were found, but 32x32 as in the parts learnt from"
        in (wrong_size["refused"][0]["why"])
    )
    assert missing["verdict"] is None
    assert "is not there" in missing["refused"][0]["why"]
    empty = tmp_path / "empty"
    empty.mkdir()
    told = run("inspect", place / "model", empty)
    assert told.exit_code == NOTHING_DONE
    assert "leads to no capture of the model's card" in lines(told)[0]["refused"][0]["why"]


def test_a_line_comes_as_soon_as_its_capture_is_judged(place, incoming):
    """The second path is made only after the first line was read."""
    late = incoming.parent / "late"
    reader = inspect(place / "model", [incoming / "rgb" / "9000.png", late])
    assert next(reader)["verdict"] == "defect"
    shutil.copytree(incoming, late)
    assert len(list(reader)) == 6


def test_lines_of_the_real_process_are_flushed_one_by_one(place, incoming):
    command = [sys.executable, "-m", "mmdefect", "inspect", str(place / "model"), str(incoming)]
    fifo = incoming / "rgb" / "zz.png"
    shutil.copy(incoming / "rgb" / "9000.png", fifo)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        first = json.loads(process.stdout.readline())
        alive = process.poll() is None
        rest = process.stdout.read().splitlines()
    assert first["verdict"]
    assert alive
    assert len(rest) == 6
    assert process.returncode == DONE


def test_a_model_of_one_kind_of_part_says_so_of_others(place, tmp_path):
    captures = tmp_path / "line"
    for category in ("captures", "lids"):
        shutil.copytree(place / "captures" / "test" / "good", captures / category / "test" / "good")
    found = list(inspect(place / "model", [captures]))
    judged = [line for line in found if line["verdict"]]
    assert {line["capture"].split("/")[0] for line in judged} == {"captures"}
    others = [line for line in found if not line["verdict"]]
    assert len(judged) == len(others) == 3
    assert others[0]["refused"][0]["why"] == "'lids' was found, but the model knows 'captures'"


def test_fit_says_what_it_cannot_do(place, tmp_path, monkeypatch):
    captures = place / "captures"
    told = run("fit", "folder", captures, *OPTIONS, "--out", place / "model")
    assert isinstance(told.exception, MmdefectError)
    assert "is there already" in str(told.exception)
    told = run("fit", "folder", captures, *OPTIONS, "--out", captures / "model")
    assert isinstance(told.exception, CardError)
    assert "written into the data set" in str(told.exception)
    assert not (captures / "model").exists()
    two = tmp_path / "two"
    for name in ("a", "b"):
        shutil.copytree(captures / "train", two / name / "train")
    told = run("fit", "folder", two, *OPTIONS, "--out", tmp_path / "m")
    assert str(told.exception) == (
        "there are 2 kinds of part, and a model knows one; choose with --category among: a, b"
    )
    told = run("fit", "folder", two, *OPTIONS, "--out", tmp_path / "m", "--category", "c")
    assert str(told.exception) == "no category named 'c'; there are: a, b"
    assert not (tmp_path / "m").exists()


def test_the_life_of_a_model_on_the_command_line(place, incoming, tmp_path):
    model = Path(shutil.copytree(place / "model", tmp_path / "model"))
    told = run("threshold", model, "--false-alarm", 0.5)
    assert told.stdout.startswith("false-alarm rate 0.25 -> 0.5; promised by 3 calibration parts")
    good = [incoming / "rgb" / name for name in ("000.png", "001.png", "002.png")]
    card = tmp_path / "card.toml"
    card.write_text('base = "folder"\n[sensors.points]\nunit = "m"\n')
    told = run("update", model, card, *good)
    assert told.exit_code == DONE, told.output
    assert "; change 3\n" in told.stdout
    again = run("update", model, card, incoming)
    assert again.exit_code == REFUSALS
    assert "is in the model already" in again.stderr
    assert run("undo", model).stdout == "took back change 4 (update)\n"
    assert run("undo", model).stdout == "took back change 3 (update)\n"
    assert run("undo", model).stdout == "took back change 2 (threshold)\n"
    assert ModelFolder(model).hash == ModelFolder(place / "model").hash
    shown = run("model", model).stdout
    assert [line.split()[3].rstrip(",") for line in shown.splitlines() if line[:6] == "change"] == [
        "fit", "threshold", "update", "update", "undo", "undo", "undo"
    ]  # fmt: skip
    whole = json.loads(run("model", model, "--json").stdout)
    assert whole["hash"] == ModelFolder(model).hash
    assert [change["number"] for change in whole["history"]] == [1, 2, 3, 4, 5, 6, 7]
