"""Models: the same inspection again, elsewhere and later, or a clear refusal."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
import xarray as xr

from mmdefect import Inspection, load
from mmdefect.card_text import packed, unpacked, written_of
from mmdefect.cards import card_names, card_of, read_card
from mmdefect.dataset import Dataset
from mmdefect.description import describe, lines_of
from mmdefect.errors import CardError, MmdefectError, ModelError, NotFittedError
from mmdefect.features import weights_file, with_weights
from mmdefect.fitting import fit
from mmdefect.line import inspect
from mmdefect.miniature import write_miniature
from mmdefect.model import ModelFolder
from mmdefect.settings import Settings
from mmdefect.update import set_false_alarm, update

BUILTIN = {"rgb": "builtin", "points": "builtin"}


@pytest.fixture(scope="module")
def plates(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("plates")
    write_miniature(read_card("mvtec3d"), root, train=12, test=6, side=32)
    return root


@pytest.fixture(scope="module")
def fitted(plates, tmp_path_factory) -> tuple[Inspection, Path]:
    """An inspection, and the model it was saved as."""
    out = tmp_path_factory.mktemp("models") / "plate"
    inspection, _ = fit(
        "mvtec3d", plates, out, settings=Settings(features=BUILTIN, false_alarm=0.25)
    )
    return inspection, out


@pytest.fixture
def model(fitted, tmp_path) -> Path:
    """A copy of the model, to be changed."""
    return Path(shutil.copytree(fitted[1], tmp_path / "model"))


def scenes(plates: Path) -> list[xr.Dataset]:
    dataset = Dataset("mvtec3d", plates)
    return [dataset.scene(capture) for capture in dataset.captures("plate", "test")]


def fingerprint(prediction: xr.Dataset) -> str:
    """Hash everything a prediction says, but for the time it took."""
    whole = hashlib.sha256()
    for name in sorted({*prediction.data_vars, "sensor"} - {"seconds"}):
        values = np.ascontiguousarray(prediction[name].values)
        whole.update(name.encode() + (str(values).encode() if values.dtype.kind == "U" else b""))
        whole.update(b"" if values.dtype.kind == "U" else values.tobytes())
    return whole.hexdigest() + prediction.attrs["verdict"]


def rewrite(path: Path, **changes: object) -> None:
    facts = json.loads((path / "model.json").read_text())
    (path / "model.json").write_text(json.dumps(facts | changes))


# ---------------------------------------------------------------- the same again


ELSEWHERE = """
import sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from test_model import fingerprint, scenes
from mmdefect import Inspection
inspection = Inspection.load(sys.argv[1])
for scene in scenes(Path(sys.argv[2])):
    prediction = inspection.predict(scene)
    print(fingerprint(prediction), len(inspection.regions(scene, prediction)))
"""


def test_another_process_predicts_the_same_to_the_bit(fitted, plates, tmp_path):
    inspection, path = fitted
    moved = Path(shutil.copytree(path, tmp_path / "elsewhere"))
    told = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(moved), str(plates), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    wanted = []
    for scene in scenes(plates):
        prediction = inspection.predict(scene)
        wanted.append(f"{fingerprint(prediction)} {len(inspection.regions(scene, prediction))}")
    assert told.stdout.splitlines() == wanted
    assert len({line[-9:] for line in wanted}) > 1


def test_sensors_keep_their_order_and_with_it_their_p_values(fitted, plates):
    inspection, path = fitted
    again = Inspection.load(path)
    assert again.fusion.sensors == inspection.fusion.sensors == ("rgb", "points")
    assert list(again.predict(scenes(plates)[0])["sensor"].values) == ["rgb", "points"]


def test_a_model_is_json_and_safetensors_and_tells_what_made_it(fitted, plates):
    _, path = fitted
    assert {file.suffix for file in path.rglob("*") if file.is_file()} == {".json", ".safetensors"}
    told = describe(path)
    dataset = Dataset("mvtec3d", plates)
    learnt = dataset.captures("plate", "train") + dataset.captures("plate", "calibration")
    assert told["manifest"] == dataset.manifest(learnt)
    assert told["parts"] == {"fit": 12, "calibration": 4}
    assert told["settings"]["false_alarm"] == told["false_alarm"] == 0.25
    assert told["card"] == "mvtec3d"
    assert [change["what"] for change in told["history"]] == ["fit"]
    assert set(told["versions"]) >= {"python", "torch", "numpy"}
    assert str(plates) not in json.dumps(told)
    shown = "\n".join(lines_of(told))
    assert "learnt from  12 parts; calibrated with 4" in shown
    assert "promised by 4 calibration parts, which could promise 0.2" in shown


def test_the_notebook_way_gives_the_same_model_as_the_command(fitted, plates, tmp_path):
    dataset = Dataset("mvtec3d", plates)
    train, aside = (dataset.captures("plate", split) for split in ("train", "calibration"))
    fusion = load("fusion", "late")(sensors=("rgb", "points"), features=BUILTIN)
    inspection = Inspection(fusion, 0.25).fit(dataset.scenes(train), dataset.scenes(aside))
    folder = inspection.save(tmp_path / "model")
    assert folder.hash == fitted[0].model_.hash
    assert inspection.model_ is folder
    rows = Inspection.load(tmp_path / "model").table(scenes(plates)[:2])
    table = pandas.DataFrame(rows)
    assert list(table["sensor"]) == ["rgb", "points", "fused"] * 2
    assert set(table["verdict"]) <= {"good", "defect"}
    assert list(table.columns) == "capture kind label sensor score evidence p_value verdict".split()


def test_scenes_without_a_card_make_a_model_that_reads_no_files(plates, tmp_path):
    own = scenes(plates)
    good = [scene for scene in own if scene.attrs["label"] == "good"]
    inspection = Inspection(load("fusion", "late")(), 0.5).fit(good[:2], good[2:])
    inspection.save(tmp_path / "model")
    again = Inspection.load(tmp_path / "model")
    assert fingerprint(again.predict(own[0])) == fingerprint(inspection.predict(own[0]))
    with pytest.raises(ModelError, match="without a card"):
        next(inspect(again, [plates]))


def test_what_is_there_tells_about_itself(fitted):
    inspection, _ = fitted
    shown = repr(inspection)
    assert shown.startswith(
        "Inspection of 'plate': false-alarm rate 0.25, from 4 calibration parts"
    )
    assert "MemoryBank(rgb, builtin, " in shown
    assert repr(inspection.calibration_) == "Calibration of 4 good parts (rgb 4, points 4)"
    assert repr(Inspection(load("fusion", "late")())) == (
        "Inspection of Late(all sensors; norm, not fitted), not fitted"
    )


def test_nothing_unfitted_is_saved_and_nothing_is_overwritten(fitted, tmp_path):
    with pytest.raises(NotFittedError):
        Inspection(load("fusion", "late")()).save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.txt").write_text("mine")
    with pytest.raises(ModelError, match="is there already; name a new folder"):
        fitted[0].save(tmp_path / "model")
    assert [file.name for file in (tmp_path / "model").iterdir()] == ["mine.txt"]


# ---------------------------------------------------------------- weights of backbones


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """Weights of a small backbone as a file of tensors that is no safetensors."""
    import timm
    import torch

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.pt"
    torch.save(timm.create_model("resnet10t", num_classes=3).state_dict(), path)
    return path


def test_a_model_carries_the_weights_of_its_backbone(plates, tiny, tmp_path):
    spec = f"timm:resnet10t@{shutil.copy(tiny, tmp_path / 'w.pt')}?stages=1&size=32"
    settings = Settings(sensors=("rgb",), features={"rgb": spec}, false_alarm=0.25)
    inspection, _ = fit("mvtec3d", plates, tmp_path / "model", settings=settings)
    scene = Dataset("mvtec3d", plates, sensors=["rgb"])
    capture = scene.captures("plate", "test")[0]
    wanted = fingerprint(inspection.predict(scene.scene(capture)))
    (tmp_path / "w.pt").unlink()
    moved = tmp_path / "other @ place"
    os.rename(tmp_path / "model", moved)
    again = Inspection.load(moved)
    assert fingerprint(again.predict(scene.scene(capture))) == wanted
    assert describe(moved)["sensors"]["rgb"]["features"].startswith("timm:resnet10t@w.pt#")
    (carried,) = (moved / "weights").iterdir()
    carried.write_bytes(carried.read_bytes()[:-4] + bytes(4))
    with pytest.raises(ModelError, match=r"have the SHA-256 .* was promised; other weights"):
        Inspection.load(moved)
    carried.unlink()
    with pytest.raises(ModelError, match=r"weights .* cannot be read .*; copy the whole model"):
        Inspection.load(moved)


def test_a_spec_names_its_weights_and_takes_others():
    assert weights_file("builtin") is None
    assert weights_file("timm:resnet18@a@b/w.pt?stages=1") == Path("a@b/w.pt")
    moved = with_weights("timm:resnet18@a@b/w.pt?stages=1", "weights/x.safetensors")
    assert moved == "timm:resnet18@weights/x.safetensors?stages=1"
    with pytest.raises(MmdefectError, match="question mark; rename its folder"):
        with_weights("timm:resnet18", "what?/w.pt")


# ---------------------------------------------------------------- refusals


def test_another_format_is_refused_by_name(model):
    rewrite(model, format=2, mmdefect="9.1")
    with pytest.raises(ModelError, match=r"format 2, but 1 is what mmdefect .* wrote it \(9.1\)"):
        Inspection.load(model)


@pytest.mark.parametrize("held", [None, "[]", "{", '{"format": 1}', '{"format": 1, "history": []}'])
def test_what_is_no_model_is_refused(tmp_path, held):
    if held is not None:
        (tmp_path / "model.json").write_text(held)
    with pytest.raises(ModelError, match=r"no model|as JSON|lacks or misnames"):
        Inspection.load(tmp_path)


def test_a_changed_or_missing_file_is_refused(model):
    (content,) = (model / "content").iterdir()
    arrays = content / "arrays.safetensors"
    held = bytearray(arrays.read_bytes())
    held[-1] ^= 1
    arrays.write_bytes(held)
    with pytest.raises(ModelError, match="is not what was written there"):
        Inspection.load(model)
    arrays.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        Inspection.load(model)


def test_a_changed_card_is_refused(model):
    card = model / "card" / "card.json"
    card.write_text(card.read_text().replace('"unit": "m"', '"unit": "mm"'))
    with pytest.raises(ModelError, match="was changed after the model was made"):
        Inspection.load(model)


@pytest.mark.parametrize(
    "facts",
    [
        {"files": {"../../etc/passwd": ""}},
        {"weights": ["../x"]},
        {"history": [{"number": 1, "content": "../.."}]},
    ],
)
def test_a_name_that_leads_out_of_the_folder_is_refused(model, facts):
    rewrite(model, **facts)
    with pytest.raises(ModelError):
        Inspection.load(model)


# ---------------------------------------------------------------- cards in models


@pytest.mark.parametrize("name", card_names())
def test_a_card_written_out_is_the_same_card(name):
    card = read_card(name)
    written = json.loads(json.dumps(written_of(card)))
    assert card_of(written, name) == card
    assert unpacked(packed(card)[0], Path("."), name) == card


# ---------------------------------------------------------------- later changes


def test_a_rate_is_changed_without_learning_and_taken_back(model, plates):
    before = ModelFolder(model)
    content = sorted(p.name for p in (model / "content").iterdir())
    set_false_alarm(model, 0.01)
    assert {r["verdict"] for r in inspect(model, [plates / "plate" / "test"])} == {"refer"}
    after = ModelFolder(model)
    assert after.hash != before.hash
    assert sorted(p.name for p in (model / "content").iterdir()) == content
    assert "0.2 at best" in "\n".join(lines_of(describe(model)))
    after.undo()
    assert ModelFolder(model).hash == before.hash
    assert [c.what for c in ModelFolder(model).history] == ["fit", "threshold", "undo"]
    with pytest.raises(ModelError, match="no change to take back"):
        ModelFolder(model).undo()
    for rate in (0, 1, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            set_false_alarm(model, rate)


def test_changes_are_taken_back_one_by_one_whatever_was_taken_back_before(model):
    folder = ModelFolder(model)
    hashes = [folder.hash]
    for rate in (0.3, 0.4):
        folder.change("threshold", false_alarm=rate)
        hashes.append(folder.hash)
    assert folder.undo().told == {"took_back": 3, "which_was": "threshold"}
    assert folder.hash == hashes[1]
    folder.change("threshold", false_alarm=0.45)
    assert folder.undo().told["took_back"] == 5
    assert folder.hash == hashes[1]
    assert folder.undo().told["took_back"] == 2
    assert ModelFolder(model).hash == hashes[0]


@pytest.fixture(scope="module")
def more(tmp_path_factory) -> Path:
    """Further good parts, some of which are like none that was learnt from."""
    root = tmp_path_factory.mktemp("more")
    write_miniature(read_card("mvtec3d"), root, train=12, test=6, side=32, seed=7)
    return root


def test_further_good_parts_lower_scores_and_never_raise_one(model, plates, more):
    before = Inspection.load(model)
    found = Dataset("mvtec3d", more).captures("plate", "test")
    odd = [c for c in found if c.label == "defect"]  # someone says these are good after all
    done = update(model, "mvtec3d", [c.frames["rgb"] for c in odd] + [more / "plate" / "train"])
    assert done.refused == []
    told = done.change.told
    assert told["learnt_from"] + told["calibrated_with"] == len(odd) + 12
    assert min(told["learnt_from"], told["calibrated_with"], told["patches"]) > 0
    after = Inspection.load(model)
    lower = 0
    for scene in scenes(plates):
        old, new = before.predict(scene), after.predict(scene)
        for name in ("sensor_map", "sensor_score", "evidence", "evidence_map", "image_score"):
            assert not (new[name] > old[name] * (1 + 1e-6) + 1e-9).any()
        lower += bool((new["sensor_score"] < 0.9 * old["sensor_score"]).any())
    assert lower >= 2
    assert len(after.calibration_.evidence) == 4 + told["calibrated_with"]
    folder = ModelFolder(model)
    folder.undo()
    assert folder.hash == before.model_.hash
    for scene in scenes(plates)[:2]:
        again = Inspection.load(model).predict(scene)
        assert fingerprint(again) == fingerprint(before.predict(scene))


def test_no_part_is_ever_on_both_sides(model, plates, more, tmp_path):
    copied = Path(shutil.copytree(more, tmp_path / "copies"))
    update(model, "mvtec3d", [more / "plate" / "train"])
    again = update_refusals(model, [copied / "plate" / "train"])
    assert again == {"a frame of it is in the model already; a part is learnt from once"}
    known = update_refusals(model, [plates / "plate" / "train", plates / "plate" / "validation"])
    assert known == again
    origin = Inspection.load(model).origin_
    fit_frames, aside = ({d for part in parts for d in part} for parts in
                         (origin.fit, origin.calibration))  # fmt: skip
    assert not fit_frames & aside
    assert len(origin.fit) + len(origin.calibration) == 12 + 4 + 12


def update_refusals(model: Path, paths: list[Path]) -> set[str]:
    with pytest.raises(MmdefectError, match=r"no new good part .*in the model already"):
        update(model, "mvtec3d", paths)
    assert [c.what for c in ModelFolder(model).history][-1] == "update"
    return {"a frame of it is in the model already; a part is learnt from once"}


def test_a_card_of_another_rig_is_refused(model, more, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text('base = "mvtec3d"\n[sensors.points]\nunit = "relative"\n')
    with pytest.raises(CardError, match="'points' is points in 'relative' by the card 'other'"):
        update(model, other, [more])
    other.write_text('name="o"\n[frames]\nrgb="{split}/{kind}/rgb/{capture}.png"\n[sensors.rgb]\n')
    with pytest.raises(CardError, match="has the sensors rgb, points, but the card 'o' has rgb"):
        update(model, other, [more])


def test_a_kill_while_writing_leaves_the_old_model(model, more, plates, monkeypatch):
    old = ModelFolder(model).hash
    good = sorted((more / "plate" / "train" / "good" / "rgb").iterdir())[:2]

    def killed(*arguments):
        raise KeyboardInterrupt

    for step in ("os.fsync", "os.rename", "os.replace"):
        with monkeypatch.context() as patch:
            patch.setattr(step, killed)
            with pytest.raises(KeyboardInterrupt):
                update(model, "mvtec3d", good)
        assert ModelFolder(model).hash == old
        assert next(inspect(model, [plates / "plate" / "test"]))["verdict"] in ("good", "defect")
    update(model, "mvtec3d", good)
    assert ModelFolder(model).hash != old


def test_a_bank_takes_in_no_more_than_its_budget(plates, more):
    dataset, further = Dataset("mvtec3d", plates), Dataset("mvtec3d", more)
    learnt = dataset.scenes(dataset.captures("plate", "train"))
    new = further.scenes([c for c in further.captures("plate", "test") if c.label == "defect"])
    free = load("detectors", "memory_bank")().fit(learnt)
    assert 8 < free.add(new) == len(free.added_.rows)
    tight = load("detectors", "memory_bank")(most_rows=32).fit(learnt)
    assert tight.add(new) == 8
    assert tight.add(new) == 0
    row = 4 * free.bank_.shape[1]
    small = load("detectors", "memory_bank")().fit(learnt)
    small.bank_bytes = (len(small.bank_) + 3) * row
    assert small.add(new) == 3
    scene = next(iter(new))
    folds = [free.predict(scene, without=k)["sensor_score"].item() for k in range(free.folds)]
    assert min(folds) >= free.predict(scene)["sensor_score"].item()
    assert len(set(folds)) > 1
