"""Every plug-in name against every promise of its kind."""

import inspect
import json
import sys

import numpy as np
import pytest
import xarray as xr
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from scipy.ndimage import binary_dilation

from mmdefect import contracts
from mmdefect.cards import read_card
from mmdefect.dataset import Dataset
from mmdefect.errors import (
    FeatureError,
    MmdefectError,
    NotFittedError,
    SensorError,
    UnknownNameError,
)
from mmdefect.registry import KINDS, load, names
from mmdefect.scene import PROMISES, new_scene

PROTOCOLS = {
    "sensors": contracts.SensorAdapter,
    "features": contracts.FeatureExtractor,
    "detectors": contracts.Detector,
    "fusion": contracts.Fusion,
    "explain": contracts.Explainer,
}
EVERY = [(kind, name) for kind in KINDS for name in names(kind)]
LEARNERS = [(kind, name) for kind, name in EVERY if kind in ("detectors", "fusion")]
UPDATED = [("detectors", "memory_bank"), ("fusion", "late")]  # after they were fitted
REACHING = {"mapping": 12}
"""How far, px, a defect spoils what is foretold: features look through windows of up to sixteen."""
READERS = [  # of one file a frame; the others are tested with frames of their own
    name for name in names("sensors") if ".npy" in load("sensors", name).suffixes
]
COARSER = {"occlusion": {"windows": 4}}  # a prediction a window
DESCRIBED = {"fpfh": {"points"}, "surface": {"points"}}  # the others describe every modality
UNTRAINED = [name for name in names("features") if name not in ("timm", "deviation")]  # take files


def members(kind: str) -> set[str]:
    """Names that a protocol promises, those of the protocols it builds on included."""
    bases = [base for base in PROTOCOLS[kind].__mro__ if getattr(base, "_is_protocol", False)]
    told = {name for base in bases for name in (*vars(base), *getattr(base, "__annotations__", {}))}
    return {name for name in told if not name.startswith("_")}


# ---------------------------------------------------------------- every maker


def test_every_kind_has_a_protocol_and_a_plug_in():
    assert set(PROTOCOLS) == set(KINDS)
    assert {kind for kind, _ in EVERY} == set(KINDS)
    assert members("fusion") == {
        "combine",
        "fit",
        "folds",
        "from_state",
        "predict",
        "sensors",
        "state",
    }


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_a_maker_needs_no_argument_and_makes_what_the_protocol_promises(kind, name):
    made = load(kind, name)()
    for member in members(kind):
        own = inspect.getattr_static(made, member)
        promised = getattr(PROTOCOLS[kind], member, None)
        if inspect.isfunction(promised):
            wanted = list(inspect.signature(promised).parameters)
            given = inspect.signature(own).parameters
            assert list(given)[: len(wanted)] == wanted, member
            extra = list(given.values())[len(wanted) :]
            assert all(parameter.default is not parameter.empty for parameter in extra), member


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_a_maker_and_what_it_can_do_are_documented(kind, name):
    maker = load(kind, name)
    assert maker.__doc__
    if inspect.signature(maker).parameters:
        assert "Parameters\n" in inspect.getdoc(maker)
    for member in members(kind):
        if callable(getattr(maker, member, None)):
            assert getattr(maker, member).__doc__, member


# ---------------------------------------------------------------- detectors and fusions


@pytest.fixture(scope="module")
def plates(miniature) -> dict[str, list[xr.Dataset]]:
    """Scenes of the MVTec 3D-AD miniature: to learn from, good and defective."""
    dataset = Dataset("mvtec3d", miniature("mvtec3d"))
    test = dataset.captures("plate", "test")
    groups = {"train": dataset.captures("plate", "train")[:10]}
    groups |= {label: [c for c in test if c.label == label] for label in ("good", "defect")}
    return {name: list(dataset.scenes(captures)) for name, captures in groups.items()}


@pytest.fixture(scope="module")
def learnt(plates):
    """Give a function that fits a learner once."""
    made = {}

    def of(kind, name):
        if (kind, name) not in made:
            learner = load(kind, name)()
            assert learner.fit(plates["train"]) is learner
            made[kind, name] = learner
        return made[kind, name]

    return of


def severity(prediction: xr.Dataset) -> float:
    worst = prediction.get("image_score", prediction["sensor_score"].max())
    return float(worst)


@pytest.mark.parametrize(("kind", "name"), LEARNERS)
@pytest.mark.parametrize("without", [None, 1])
def test_a_prediction_has_the_promised_labels(learnt, plates, kind, name, without):
    scene = plates["defect"][0]
    told = learnt(kind, name).predict(scene, without=without)
    maps, scores = {"sensor_map"}, {"sensor_score"}
    if kind == "fusion":
        maps, scores = maps | {"evidence_map"}, scores | {"evidence"}
        assert told["anomaly_map"].dims == ("y", "x")
        assert told["image_score"].dims == ()
    for key in maps:
        assert told[key].dims == ("sensor", "y", "x")
        assert told[key].dtype == np.float32
    for key in scores:
        assert told[key].dims == ("sensor",)
        assert told[key].dtype == np.float64
    assert set(told["sensor"].values.tolist()) <= set(scene["sensor"].values.tolist())
    for coordinate in ("y", "x"):
        np.testing.assert_array_equal(told[coordinate], scene[coordinate])
    xr.testing.assert_equal(told["grid"], scene["grid"].sel(sensor=told["sensor"]))
    assert told.attrs == scene.attrs
    blind = ~scene["valid"].sel(sensor=told["sensor"])
    assert np.isnan(told["sensor_map"].where(blind)).all()


@pytest.mark.parametrize(("kind", "name"), LEARNERS)
def test_higher_is_worse_for_parts_and_for_pixels(learnt, plates, kind, name):
    learner = learnt(kind, name)
    good = [severity(learner.predict(scene)) for scene in plates["good"]]
    for scene in plates["defect"]:
        told = learner.predict(scene)
        assert severity(told) > max(good)
        pixels = told.get("anomaly_map", told["sensor_map"].mean("sensor"))
        away = ~scene["defect"].astype(bool)
        if name in REACHING:
            away = ~binary_dilation(~away, iterations=REACHING[name])
        assert pixels.where(scene["defect"]).median() > pixels.where(away).quantile(0.9)


@pytest.mark.parametrize(("kind", "name"), LEARNERS)
def test_a_learner_folds_its_parts_and_knows_those_of_other_folds_better(
    learnt, plates, kind, name
):
    learner = learnt(kind, name)
    assert learner.folds >= 2
    known = [learner.predict(scene)["sensor_score"].values for scene in plates["train"]]
    strange = [
        learner.predict(scene, without=index % learner.folds)["sensor_score"].values
        for index, scene in enumerate(plates["train"])
    ]
    assert (np.mean(strange, axis=0) > 1.02 * np.mean(known, axis=0)).all()


@pytest.mark.parametrize(("kind", "name"), LEARNERS)
def test_what_was_learnt_survives_files_without_pickle(learnt, plates, kind, name):
    learner = learnt(kind, name)
    tensors, told = learner.state()
    assert all(type(key) is str and type(held) is np.ndarray for key, held in tensors.items())
    assert all(held.dtype != object for held in tensors.values())
    written = json.dumps(told, allow_nan=False)
    again = load(kind, name).from_state(load_tensors(save_tensors(tensors)), json.loads(written))
    assert again.folds == learner.folds
    for without in (None, 0):
        wanted, found = (each.predict(plates["defect"][0], without) for each in (learner, again))
        for key in set(wanted.data_vars) - {"seconds"}:
            xr.testing.assert_identical(found[key], wanted[key])


def test_the_learners_that_take_parts_in_are_these():
    able = {n for kind, n in LEARNERS if isinstance(load(kind, n)(), contracts.Updatable)}
    assert able == {name for _, name in UPDATED}


@pytest.mark.parametrize(("kind", "name"), UPDATED)
def test_no_score_rises_when_a_learner_takes_parts_in(learnt, plates, kind, name):
    before = learnt(kind, name)
    after = load(kind, name).from_state(*before.state())
    assert after.add(plates["defect"][:1]) > 0
    again = load(kind, name).from_state(*after.state())
    scores = ("sensor_map", "sensor_score", "evidence_map", "evidence", "image_score")
    for scene in [*plates["defect"], *plates["good"]]:
        old, new = before.predict(scene), after.predict(scene)
        for key in set(scores) & set(old.data_vars):
            assert not (new[key] > old[key] + 1e-6 * abs(old[key]) + 1e-6).any()
        xr.testing.assert_identical(again.predict(scene)["sensor_map"], new["sensor_map"])
    taken = [learner.predict(plates["defect"][0])["sensor_score"] for learner in (before, after)]
    assert (taken[1] < 0.8 * taken[0]).all()


@pytest.mark.parametrize(("kind", "name"), LEARNERS)
def test_a_learner_that_knows_nothing_says_so(plates, kind, name):
    for ask in ("predict", "state"):
        arguments = [plates["good"][0]] if ask == "predict" else []
        with pytest.raises(NotFittedError, match="fit it first"):
            getattr(load(kind, name)(), ask)(*arguments)


@pytest.mark.parametrize("name", names("fusion"))
def test_a_fusion_combines_what_is_there(name):
    combine = load("fusion", name)().combine
    evidence = xr.DataArray([[2.0, 2.0, np.nan], [3.0, np.nan, np.nan]], dims=("sensor", "part"))
    both, one, none = combine(evidence).values
    assert both > 2 >= one == combine(evidence[:1, 1:2]).item()
    assert np.isnan(none)
    assert (combine(evidence + 1) > combine(evidence))[:2].all()


@pytest.mark.parametrize("name", names("explain"))
@pytest.mark.parametrize("fusion", names("fusion"))
def test_an_explanation_adds_up_to_what_it_promises(learnt, plates, name, fusion):
    scene, fitted = plates["defect"][0], learnt("fusion", fusion)
    told, explainer = fitted.predict(scene), load("explain", name)(**COARSER.get(name, {}))
    banks = isinstance(fitted, contracts.Divided)
    if name == "gradients" or (name == "channels" and not banks):  # they need other features, banks
        with pytest.raises(MmdefectError, match="ask 'occlusion'"):
            explainer.attribute(fitted, told, scene)
        return
    shares = explainer.attribute(fitted, told, scene)
    assert shares["attribution_map"].dims == ("sensor", "y", "x")
    assert shares["attribution"].dims == ("sensor",)
    for axis in ("sensor", "y", "x"):
        assert (shares[axis] == told[axis]).all()
    assert set(explainer.explains) <= {"anomaly_map", "image_score", "sensor_map"}
    if "image_score" in explainer.explains:
        np.testing.assert_allclose(shares["attribution"].sum(), told["image_score"], rtol=1e-6)
    if "anomaly_map" in explainer.explains:
        summed = shares["attribution_map"].sum("sensor")
        np.testing.assert_allclose(summed, told["anomaly_map"].fillna(0), atol=1e-4)
    if "sensor_map" in explainer.explains:
        np.testing.assert_allclose(shares["attribution_map"], told["sensor_map"], atol=1e-4)


# ---------------------------------------------------------------- features


@pytest.mark.parametrize("modality", PROMISES)
@pytest.mark.parametrize("name", UNTRAINED)
def test_features_lie_in_scene_pixels_and_are_missing_where_a_sensor_was_blind(name, modality):
    extractor = load("features", name)()
    frame = made_up(modality, 32, 48)
    frame[..., :, 32:] = np.nan
    if modality not in DESCRIBED.get(name, PROMISES):
        for ask in (lambda: extractor.adapt([frame]), lambda: extractor.features(frame)):
            with pytest.raises(FeatureError, match=f"{name}.*modality '{modality}'.*promised; "):
                ask()
        return
    extractor.adapt([frame])
    described = extractor.features(frame)
    assert described.dims == ("feature", "y", "x")
    assert described.dtype == np.float32
    assert isinstance(extractor.name, str)
    for axis, side in (("y", 32), ("x", 48)):
        step = side / described.sizes[axis]
        wanted = (np.arange(described.sizes[axis]) + 0.5) * step - 0.5
        np.testing.assert_allclose(described[axis], wanted)
    seen = described["x"].values < 32
    assert np.isfinite(described.values[:, :, seen]).all()
    assert np.isnan(described.values[:, :, ~seen]).all()


# ---------------------------------------------------------------- sensors


def made_up(modality: str, height: int, width: int) -> xr.DataArray:
    """A frame of any modality, within the bounds of all units."""
    promise = PROMISES[modality]
    shape = (*[len(promise.channels or "1")] * (len(promise.dims) - 2), height, width)
    values = np.random.default_rng(0).uniform(0.4, 0.6, shape).astype(np.float32)
    attrs = {"modality": modality, "units": promise.units[0]}
    return xr.DataArray(values, dims=promise.dims, attrs=attrs)


def test_every_modality_has_a_sensor_that_reads_it():
    assert {load("sensors", name)().modality for name in names("sensors")} == set(PROMISES)


@pytest.mark.parametrize("name", READERS)
def test_a_frame_of_the_miniature_is_read_as_promised(miniature, name):
    card = read_card("folder")
    capture = Dataset(card, miniature("folder")).captures("plate", "train")[0]
    adapter = load("sensors", name)(**card.sensors[name].options)
    path = capture.frames[name]
    path = path if path.is_absolute() else miniature("folder") / path
    frame = adapter.read(path)
    assert path.suffix in adapter.suffixes
    assert frame.dims == PROMISES[adapter.modality].dims
    assert frame.dtype == np.float32
    assert frame.attrs == {"modality": adapter.modality, "units": adapter.unit_read}
    assert adapter.unit_read in PROMISES[adapter.modality].units
    assert new_scene({name: frame}, reference=name)["valid"].mean() > 0.9
    assert np.isnan(frame.values[..., :2, :2]).all() == (name == "points")


@pytest.mark.parametrize("name", READERS)
def test_a_blind_pixel_is_nan_in_every_channel_and_no_other_pixel_is(tmp_path, name):
    adapter = load("sensors", name)()
    written = made_up(adapter.modality, 5, 7).values
    written[(0,) * (written.ndim - 2) + (2, 3)] = np.nan
    stored = np.moveaxis(written, 0, -1) if written.ndim == 3 else written
    np.save(tmp_path / "frame.npy", stored)
    frame = adapter.read(tmp_path / "frame.npy")
    wanted = np.zeros(frame.shape, bool)
    wanted[..., 2, 3] = True
    np.testing.assert_array_equal(np.isnan(frame), wanted)


@pytest.mark.parametrize("name", names("sensors"))
def test_what_is_no_frame_is_refused_by_name(tmp_path, name):
    adapter = load("sensors", name)()
    assert all(end.startswith(".") and end == end.lower() for end in adapter.suffixes)
    for file in ("broken.npy", "frame.exe", "missing.npy"):
        if file != "missing.npy":
            (tmp_path / file).write_bytes(b"no frame")
        with pytest.raises(SensorError, match=file):
            adapter.read(tmp_path / file)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_name_is_told_what_there_is(kind):
    with pytest.raises(UnknownNameError) as caught:
        load(kind, "sonar")
    assert str(caught.value) == f"no {kind} named 'sonar'; there are: {', '.join(names(kind))}"


def test_an_unknown_kind_is_told_what_there_is():
    for ask in (names, lambda kind: load(kind, "rgb")):
        with pytest.raises(UnknownNameError, match=r"kind 'sonars'; there are: sensors, features"):
            ask("sonars")


def test_shared_modules_of_a_folder_are_no_plug_ins():
    assert not [name for _, name in EVERY if name.startswith("_")]
    with pytest.raises(UnknownNameError):
        load("fusion", "_rules")


def test_a_plug_in_of_another_distribution_is_listed_unimported_and_loaded(tmp_path, monkeypatch):
    told = tmp_path / "echo-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: echo\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("[mmdefect.sensors]\nsonar = echo_sonar:Sonar\n")
    (tmp_path / "echo_sonar.py").write_text("class Sonar:\n    modality = 'depth'\n")
    own = names("sensors")
    monkeypatch.syspath_prepend(tmp_path)
    assert names("sensors") == sorted([*own, "sonar"])
    assert "sonar" not in names("features")
    assert "echo_sonar" not in sys.modules
    assert load("sensors", "sonar")().modality == "depth"
    monkeypatch.delitem(sys.modules, "echo_sonar")
