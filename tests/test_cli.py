"""The command line: what it prints, what it leaves, and what it says when it cannot."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mmdefect import __version__
from mmdefect.cards import read_card
from mmdefect.cli import DONE, NOTHING_DONE, app
from mmdefect.evaluate import Settings, evaluate
from mmdefect.miniature import write_miniature
from mmdefect.registry import KINDS

ROOT = Path(__file__).resolve().parents[1]
FIELDS = (
    "category sensor n_good n_defect image_auroc image_ap pixel_auroc pixel_ap aupro_30 aupro_10 "
    "aupro_05 aupro_01 precision recall fpr fnr threshold seconds_per_capture peak_bytes"
).split()
TIMES = ("seconds", "seconds_per_capture", "peak_bytes", "created")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def strict_json(path: Path) -> dict:
    """Read JSON as the standard has it, without NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def without_times(tree: object) -> object:
    if isinstance(tree, dict):
        return {key: without_times(value) for key, value in tree.items() if key not in TIMES}
    return [without_times(value) for value in tree] if isinstance(tree, list) else tree


@pytest.fixture(scope="module")
def plates(tmp_path_factory) -> Path:
    """A small miniature of colour and points."""
    root = tmp_path_factory.mktemp("plates")
    write_miniature(read_card("mvtec3d"), root, train=8, test=6, side=32)
    return root


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> tuple[Path, Result, Result]:
    """The simulator's captures, evaluated: where, and what was printed."""
    place = tmp_path_factory.mktemp("rig")
    small = ("--product", "panel", "--train", 15, "--test", 7, "--size", 64, "--workers", 1)
    made = run("simulate", place / "captures", *small)
    next_command = made.stdout.splitlines()[1].split()[1:]
    options = ("--features", "builtin", "--false-alarm", 0.17, "--out", place / "out")
    return place, made, run(*next_command, *options)


# ---------------------------------------------------------------- from end to end


def test_what_simulate_proposes_next_runs_and_is_clean(simulated):
    place, made, judged = simulated
    assert made.exit_code == DONE
    captures = place / "captures"
    assert made.stdout == (
        f"wrote the captures below {captures}; next:\n"
        f"  mmdefect evaluate {captures / 'card.toml'} {captures}\n"
    )
    assert judged.exit_code == DONE, judged.stderr
    assert judged.stderr == ""
    assert judged.stdout.endswith(
        f"report:  {place / 'out/report.html'}\nresults: {place / 'out/results.json'}\n"
    )
    for sensor in ("rgb", "points", "infrared", "xray", "fused"):
        assert re.search(rf"panel +{sensor} +3\+4 ", judged.stdout)


def test_results_json_has_every_field_and_no_nan(simulated):
    place, _, _ = simulated
    results = strict_json(place / "out/results.json")
    sensors = ["rgb", "points", "infrared", "xray", "fused"]
    assert [row["sensor"] for row in results["rows"]] == sensors
    for row in results["rows"]:
        assert set(row) >= set(FIELDS)
        assert (row["category"], row["n_good"], row["n_defect"]) == ("panel", 3, 4)
        assert all(0 <= row[name] <= 1 for name in FIELDS[4:16] if name != "precision")
        assert (row["precision"] is None) == (row["recall"] == row["fpr"] == 0)
        assert isinstance(row["threshold"], float)
        assert row["seconds_per_capture"] > 0
        assert row["peak_bytes"] > 1 << 20
    kinds = {record["kind"] for record in results["captures"] if record["label"] == "defect"}
    assert len(kinds) == 4
    for row in results["rows_per_kind"]:
        assert set(row) >= {*FIELDS, "kind"}
        assert (row["n_good"], row["n_defect"]) == (3, 1)
    assert {(row["sensor"], row["kind"]) for row in results["rows_per_kind"]} == {
        (row["sensor"], kind) for row in results["rows"] for kind in kinds
    }


def test_results_json_tells_what_it_was_made_with(simulated):
    place, _, _ = simulated
    results = strict_json(place / "out/results.json")
    assert results["schema"] == 1
    assert results["mmdefect"] == __version__
    sensors = ("rgb", "points", "infrared", "xray")
    assert results["settings"]["features"] == dict.fromkeys(sensors, "builtin")
    assert results["settings"]["false_alarm"] == results["false_alarm"] == 0.17
    assert results["splits"] == {"panel": {"fit": 10, "calibration": 5, "test": 7}}
    assert results["smallest_false_alarm"] == {"panel": pytest.approx(1 / 6)}
    assert re.fullmatch("[0-9a-f]{64}", results["manifest"]["panel"])
    assert results["card"]["name"] == "simulated-station"
    assert set(results["versions"]) >= {"python", "numpy", "torch"}
    assert results["refused"] == results["notes"] == []
    assert str(place) not in json.dumps(results)


def test_every_record_of_a_capture_agrees_with_itself(simulated):
    place, _, _ = simulated
    results = strict_json(place / "out/results.json")
    assert len(results["captures"]) == 7
    baselines = []
    for record in results["captures"]:
        assert (record["verdict"] == "defect") == (record["p_value"] <= 0.17)
        assert (record["verdict"] == "defect") == (record["image_score"] > record["threshold"])
        shares = [sensor["attribution"] for sensor in record["sensors"].values()]
        baselines.append(record["image_score"] - sum(shares))
        for sensor in record["sensors"].values():
            assert (sensor["verdict"] == "defect") == (sensor["p_value"] <= 0.17)
    # shares sum to the score less that of a usual good part, which is the same for all
    assert max(baselines) - min(baselines) < 1e-6
    assert 0 < baselines[0] < max(record["image_score"] for record in results["captures"])


def test_the_report_needs_nothing_but_itself(simulated):
    page = (simulated[0] / "out/report.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert "data:image" in page
    beside = r"viewer/\d+\.html"
    assert not re.findall(rf"""(?:src|href)\s*=\s*["']?(?!data:|#|{beside})[^"'\s>]+""", page)
    assert not re.findall(r"@import|url\((?!['\"]?(?:data:|#))|\bfetch\(|XMLHttpRequest", page)
    assert "panel/test" in page


# ---------------------------------------------------------------- numbers and verdicts


def test_two_runs_with_one_seed_give_identical_numbers(plates, tmp_path):
    results = []
    for name in ("one", "other"):
        options = ("--features", "builtin", "--false-alarm", 0.3, "--out", tmp_path / name)
        assert run("evaluate", "mvtec3d", plates, *options).exit_code == DONE
        results.append(without_times(strict_json(tmp_path / name / "results.json")))
    assert results[0] == results[1]
    other = evaluate(
        "mvtec3d",
        plates,
        tmp_path / "seed",
        settings=Settings(
            features=dict.fromkeys(("rgb", "points"), "builtin"), false_alarm=0.3, seed=1
        ),
    )
    assert without_times(other)["rows"] != results[0]["rows"]


def test_a_rate_that_nobody_can_promise_makes_every_verdict_refer(plates, tmp_path):
    options = ("--features", "builtin", "--false-alarm", 0.001, "--out", tmp_path)
    said = run("evaluate", "mvtec3d", plates, *options)
    assert said.exit_code == DONE
    held = strict_json(tmp_path / "results.json")
    calibration = held["splits"]["plate"]["calibration"]
    note = (
        f"plate: {calibration} calibration parts promise a false-alarm rate of "
        f"{1 / (calibration + 1):.3g} at best, 0.001 was asked for: every verdict is 'refer'"
    )
    assert held["notes"] == [note]
    assert said.stderr == f"note: {note}\n"
    assert {record["verdict"] for record in held["captures"]} == {"refer"}
    assert {record["threshold"] for record in held["captures"]} == {None}
    for row in held["rows"]:
        assert [row[name] for name in ("threshold", "precision", "recall", "fpr", "fnr")] == [
            None
        ] * 5
        assert row["image_auroc"] is not None


def test_what_is_not_defined_is_null(tmp_path):
    write_miniature(read_card("mvtec3d"), tmp_path / "in", train=6, test=1, side=32)
    for cloud in (tmp_path / "in").rglob("*.tiff"):
        cloud.unlink()
    options = ("--features", "builtin", "--false-alarm", 0.4, "--out", tmp_path / "out")
    assert run("evaluate", "mvtec3d", tmp_path / "in", *options).exit_code == DONE
    rows = {row["sensor"]: row for row in strict_json(tmp_path / "out/results.json")["rows"]}
    assert (rows["rgb"]["n_good"], rows["rgb"]["n_defect"]) == (1, 0)
    assert rows["rgb"]["image_auroc"] is rows["rgb"]["recall"] is rows["rgb"]["aupro_30"] is None
    assert rows["rgb"]["threshold"] is not None
    assert rows["points"]["n_good"] == rows["points"]["n_defect"] == 0
    undefined = set(FIELDS) - {"category", "sensor", "n_good", "n_defect", "peak_bytes"}
    assert {rows["points"][name] for name in undefined} == {None}


# ---------------------------------------------------------------- words


def test_the_version_is_one_line():
    told = run("--version")
    assert (told.exit_code, told.stdout) == (DONE, f"mmdefect {__version__}\n")


def test_help_names_every_command_and_option():
    told = run("--help")
    assert told.exit_code == DONE
    assert all(command in told.stdout for command in ("simulate", "evaluate", "list"))
    told = run("evaluate", "--help").stdout
    for option in ("category", "sensors", "features", "detector", "fusion", "false-alarm", "seed"):
        assert f"--{option}" in told


def test_list_names_every_card_and_plug_in_in_a_line_a_kind():
    folders = {kind: ROOT / "mmdefect" / kind for kind in KINDS}
    folders |= {"sensors": ROOT / "sensors", "fusion": ROOT / "fusion"}
    lines = run("list").stdout.splitlines()
    assert lines[:2] == [
        "cards      crack_rgbdt eyecandies folder gdxray mpdd mulsen mvtec3d mvtec_ad real3d_ad "
        "visa",
        "sensors    depth infrared points rgb structured_light xray",
    ]
    assert lines[2] == "features   builtin deviation fpfh surface timm"
    for kind, line in zip(KINDS, lines[1:], strict=True):
        there = sorted(path.stem for path in folders[kind].glob("[!_]*.py"))
        assert line == f"{kind:<10} {' '.join(there)}"


@pytest.fixture
def settings_of(monkeypatch):
    """Give a function that tells which settings the command line would evaluate with."""

    def stop(*arguments, settings, **options):
        seen.append(settings)
        raise KeyboardInterrupt

    def of(*options: object) -> Settings:
        told = run("evaluate", "folder", "captures", *options)
        if not seen:
            raise told.exception
        return seen.pop()

    seen: list[Settings] = []
    monkeypatch.setattr("mmdefect.evaluate.evaluate", stop)
    return of


def test_features_are_chosen_for_a_sensor_or_for_all(settings_of):
    assert settings_of().features == {}
    assert settings_of("--features", "builtin").features == dict.fromkeys(
        read_card("folder").sensors, "builtin"
    )
    two = settings_of("--features", "rgb=builtin?stride=8", "--features", "depth=builtin")
    assert two.features == {"rgb": "builtin?stride=8", "depth": "builtin"}
    whole = "timm:resnet18@a=b/w.safetensors?pad_type=same&stages=1,2"
    for options in (("rgb=builtin", whole), (whole, "rgb=builtin")):
        chosen = settings_of(*(word for text in options for word in ("--features", text)))
        assert chosen.features["rgb"] == "builtin"
        assert {spec for name, spec in chosen.features.items() if name != "rgb"} == {whole}
    assert settings_of("--features", f"rgb={whole}").features == {"rgb": whole}


def test_sensors_are_separated_by_commas(settings_of):
    assert settings_of("--sensors", "rgb,points").sensors == ("rgb", "points")
    assert settings_of().sensors == ()


WRONG = {
    "sonar=builtin": "mmdefect: --features names the sensor 'sonar'; the card has: rgb, points",
    "rgb=dino": "mmdefect: no features named 'dino'; there are: .*deviation, fpfh",
    "builtin?scale=2": "mmdefect: the features 'builtin.scale=2' cannot be made: .*'scale'",
    "builtin?stride": "mmdefect: the features 'builtin.stride' were given; NAME.:MODEL.* promised",
}


@pytest.mark.parametrize("spec", WRONG)
def test_wrong_features_are_told_before_anything_is_read(spec, monkeypatch, capsys):
    arguments = ["mmdefect", "evaluate", "folder", "nowhere", "--features", spec]
    monkeypatch.setattr(sys, "argv", arguments)
    from mmdefect.cli import main

    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == NOTHING_DONE
    said = capsys.readouterr().err
    assert re.match(WRONG[spec], said), said
    assert said.count("\n") == 1


@pytest.mark.parametrize("rate", ["0", "1", "-0.1", "nan", "often"])
def test_a_rate_outside_0_and_1_is_a_mistake_of_the_command(rate):
    told = run("evaluate", "folder", "nowhere", "--false-alarm", rate)
    assert told.exit_code == NOTHING_DONE
    assert "--false-alarm" in told.stderr


def test_a_known_error_of_the_real_process_is_one_line_without_traceback(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "mmdefect", "evaluate", "sonar", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert ended.returncode == NOTHING_DONE
    assert ended.stdout == ""
    assert ended.stderr.startswith("mmdefect: no card 'sonar'; there are: crack_rgbdt, ")
    assert ended.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
