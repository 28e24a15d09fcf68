"""Features of timm's backbones: the right weights, loaded whole, or a clear refusal."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import xarray as xr
from numpy.lib.stride_tricks import sliding_window_view
from safetensors.torch import load_file, save_file
from torch.nn.functional import interpolate

from mmdefect.errors import FeatureError
from mmdefect.features import extractor

MODEL = "test_efficientnet"


def rgb(height: int = 64, width: int = 96) -> xr.DataArray:
    values = np.random.default_rng(3).random((3, height, width), dtype=np.float32)
    return xr.DataArray(values, dims=("color", "y", "x"), attrs={"modality": "rgb", "units": "1"})


def thermal(values: np.ndarray) -> xr.DataArray:
    values = values.astype(np.float32)
    return xr.DataArray(values, dims=("y", "x"), attrs={"modality": "infrared", "units": "K"})


def distance(one: xr.DataArray, other: xr.DataArray) -> float:
    return float(abs(one - other).max())


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """All weights of the smallest backbone, drawn at random."""
    torch.manual_seed(0)
    network = timm.create_model(MODEL)
    # as after training: statistics that are not those of a fresh network
    for name, buffer in network.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    return dict(network.state_dict())


@pytest.fixture
def saved(tmp_path):
    """Give a function that saves tensors and gives the spec of features that use them."""

    def of(tensors: object, name: str = "w.safetensors", model: str = MODEL) -> str:
        save = save_file if name.endswith("safetensors") else torch.save
        save(tensors, tmp_path / name)
        return f"timm:{model}@{tmp_path / name}"

    return of


def headless(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in state.items() if not key.startswith("classifier")}


# ---------------------------------------------------------------- the right features


def reference(
    state: dict, frame: xr.DataArray, stages: tuple[int, ...], **construction: object
) -> np.ndarray:
    """Pool and stack timm's own feature maps, by other means than ours."""
    network = timm.create_model(MODEL, features_only=True, out_indices=stages, **construction)
    network.load_state_dict({key: state[key] for key in network.state_dict()})
    mean, std = (
        torch.tensor(timm.get_pretrained_cfg(MODEL).to_dict()[key])[:, None, None]
        for key in ("mean", "std")
    )
    with torch.no_grad():
        maps = network.eval()(((torch.from_numpy(frame.values) - mean) / std)[None])
    pooled = []
    for plane in maps:
        padded = np.pad(plane[0].numpy(), ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
        windows = sliding_window_view(padded, (3, 3), axis=(1, 2))
        pooled.append(torch.from_numpy(np.nanmean(windows, axis=(3, 4))))
    finest = pooled[0].shape[1:]
    return torch.cat(
        [interpolate(plane[None], size=finest, mode="bilinear")[0] for plane in pooled]
    ).numpy()


@pytest.mark.parametrize("stages", [(2, 3), (1,), (1, 2, 4)])
def test_features_are_timm_s_own_pooled_over_three_by_three(stages, state, saved):
    told = extractor(saved(state) + f"?stages={','.join(map(str, stages))},").features(rgb())
    expected = reference(state, rgb(), stages)
    assert told.shape == expected.shape
    np.testing.assert_allclose(told, expected, rtol=1e-4, atol=1e-5)


def test_by_default_the_stages_of_stride_8_and_16_are_taken(state, saved):
    spec = saved(state)
    by_hand = extractor(f"{spec}?stages=2,3").features(rgb())
    assert extractor(spec).features(rgb()).identical(by_hand)
    assert extractor(f"{spec}?stages=3,2").features(rgb()).identical(by_hand)


def test_arguments_of_the_construction_reach_the_network(state, saved):
    told = extractor(f"{saved(state)}?pad_type=same").features(rgb())
    expected = reference(state, rgb(), (2, 3), pad_type="same")
    np.testing.assert_allclose(told, expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(told, reference(state, rgb(), (2, 3)), atol=1e-3)


def test_the_scaling_of_the_input_is_the_model_s_unless_told(state, saved):
    spec = saved(state)
    own = extractor(spec).features(rgb())
    config = timm.get_pretrained_cfg(MODEL).to_dict()
    told = {key: ",".join(map(str, config[key])) for key in ("mean", "std")}
    same = extractor(f"{spec}?mean={told['mean']}&std={told['std']}").features(rgb())
    assert same.identical(own)
    half = extractor(f"{spec}?mean=0.1&std=0.9").features(rgb())
    by_hand = (rgb() - 0.1) / 0.9 * np.reshape(config["std"], (3, 1, 1)) + np.reshape(
        config["mean"], (3, 1, 1)
    )
    by_hand = by_hand.astype(np.float32).assign_attrs(rgb().attrs)
    assert distance(half, extractor(spec).features(by_hand)) < 0.01 * distance(half, own)


def test_large_pictures_are_shrunk_and_their_patches_stay_in_scene_pixels(state, saved):
    told = extractor(f"{saved(state)}?size=64").features(rgb(128, 256))
    assert told.shape[1:] == (4, 8)
    np.testing.assert_allclose(told.y, 32 * np.arange(4) + 15.5)
    np.testing.assert_allclose(told.x, 32 * np.arange(8) + 15.5)


def test_a_thermal_picture_is_shown_in_the_range_of_good_parts(state, saved):
    spec = saved(state)
    good = thermal(300 + np.random.default_rng(3).random((64, 64)))
    one, other = extractor(spec), extractor(spec)
    one.adapt([good])
    other.adapt([thermal(10 * good.values - 2000)])
    told = one.features(good)
    same = other.features(thermal(10 * good.values - 2000))
    assert distance(told, same) < 0.1 * distance(told, other.features(good))


def test_a_transformer_takes_middle_depths_and_says_when_the_size_is_not_its_own(saved):
    torch.manual_seed(0)
    network = timm.create_model("test_vit")
    spec = saved(dict(network.state_dict()), model="test_vit")
    told = extractor(spec).features(rgb())
    assert told.identical(extractor(f"{spec}?stages=3,4").features(rgb()))
    assert told.shape[1:] == (4, 6)
    with pytest.raises(FeatureError, match=r"given 64x96 pixels, but promises another .*dynamic_"):
        extractor(f"{spec}?dynamic_img_size=False").features(rgb())


# ---------------------------------------------------------------- the name


def test_the_name_holds_the_weights_and_everything_that_shapes_the_features(state, saved, tmp_path):
    spec = saved(state)
    digest = hashlib.sha256((tmp_path / "w.safetensors").read_bytes()).hexdigest()[:12]
    assert extractor(spec).name == f"timm:{MODEL}@w.safetensors#{digest}"
    full = f"{spec}?stages=2,3&size=256&mean=0.5&std=0.25&pad_type=same&bn_eps=0.001"
    assert extractor(full).name == extractor(spec).name + full.removeprefix(spec)
    changed = {key: value + 1 if "bn1.bias" in key else value for key, value in state.items()}
    assert extractor(saved(changed)).name != f"timm:{MODEL}@w.safetensors#{digest}"


def test_weights_in_the_hub_s_cache_need_no_network(state, saved, monkeypatch):
    path = saved(state).partition("@")[2]
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: path)
    cached = extractor(f"timm:{MODEL}")
    assert re.fullmatch(f"timm:{MODEL}@hub#[0-9a-f]{{12}}", cached.name)
    assert cached.features(rgb()).identical(extractor(f"timm:{MODEL}@{path}").features(rgb()))


# ---------------------------------------------------------------- strict loading


def test_a_file_without_the_head_and_without_counters_is_whole(state, saved):
    told = extractor(saved(state)).features(rgb())
    bare = {k: v for k, v in headless(state).items() if not k.endswith("num_batches_tracked")}
    assert extractor(saved(bare)).features(rgb()).identical(told)
    other_head = state | {
        "classifier.weight": torch.zeros(7, 64),
        "classifier.bias": torch.zeros(7),
    }
    assert extractor(saved(other_head)).features(rgb()).identical(told)


def test_a_pt_file_of_tensors_is_read_plain_or_under_state_dict(state, saved):
    told = extractor(saved(state)).features(rgb())
    assert extractor(saved(state, "w.pt")).features(rgb()).identical(told)
    assert extractor(saved({"state_dict": state}, "w.pth")).features(rgb()).identical(told)
    half = {
        key: value.half() if value.is_floating_point() else value for key, value in state.items()
    }
    halved = extractor(saved(half)).features(rgb())
    assert halved.dtype == np.float32
    assert distance(halved, told) < 0.02 * float(told.std())


def refusal(spec: str) -> str:
    with pytest.raises(FeatureError) as caught:
        extractor(spec).features(rgb())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_weights_that_do_not_fit_are_refused_with_the_keys(state, saved):
    lacking = {key: value for key, value in state.items() if key != "conv_stem.weight"}
    assert refusal(saved(lacking)) == (
        f"the weights do not fit {MODEL!r}: 1 keys missing ['conv_stem.weight'], 0 unknown []; "
        "they are another model's, or it was built with other arguments"
    )
    more = state | {"blocks.9.weight": torch.zeros(3)}
    assert "0 keys missing [], 1 unknown ['blocks.9.weight']" in refusal(saved(more))
    assert re.search("[1-9][0-9]* keys missing", refusal(saved(state, model="test_resnet")))
    wrong = state | {"conv_stem.weight": torch.zeros(3, 3)}
    assert "the weights do not fit 'test_efficientnet': size mismatch for conv_stem" in refusal(
        saved(wrong)
    )


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_file_that_holds_code_is_refused_and_not_run(state, saved, tmp_path):
    trap = saved(state | {"trap": Trap(tmp_path / "sprung")}, "w.pt")
    assert refusal(trap) == (
        "'w.pt' holds no tensors that can be read safely (UnpicklingError); safetensors, or a .pt "
        "file of tensors only, was promised: save its state_dict"
    )
    assert not (tmp_path / "sprung").exists()
    whole = saved(timm.create_model(MODEL), "whole.pt")
    assert refusal(whole).startswith("'whole.pt' holds no tensors that can be read safely")


def test_a_file_that_holds_something_else_is_refused(saved, tmp_path):
    assert "'l.pt' holds list, but a table of named" in refusal(saved([torch.zeros(3)], "l.pt"))
    assert "'n.pt' holds dict, but a table of named" in refusal(saved({"epoch": 3}, "n.pt"))
    for name in ("junk.safetensors", "junk.pt", "empty.safetensors"):
        (tmp_path / name).write_bytes(b"" if name.startswith("empty") else b"junk" * 99)
        assert f"'{name}' holds no tensors" in refusal(f"timm:{MODEL}@{tmp_path / name}")
    gone = tmp_path / "gone.pt"
    assert refusal(f"timm:{MODEL}@{gone}") == (
        f"there is no weights file '{gone}'; give the path of one"
    )


# ---------------------------------------------------------------- what cannot be made


def test_an_unknown_model_is_told_the_near_ones():
    said = refusal("timm:test_eficientnet")
    assert said.startswith("timm has no model 'test_eficientnet'; near: test_efficientnet, ")
    assert said.endswith("; correct the name, timm.list_models() knows all")
    assert "near: none;" in refusal("timm:000")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?depth=3", "cannot be constructed with {'depth': 3}: .*keyword argument 'depth'"),
        ("?stages=2,9", r"stages \[2, 9\] were asked for, but 'test_eff.*' has 5, numbered from 0"),
        ("?stages=-1", r"stages \[-1\] were asked for"),
        ("?stages=last", "stages is 'last', but a stage's index or a tuple of them was promised"),
        ("?size=large", "size is 'large', but a number of pixels was promised; correct the spec"),
        ("?mean=0.5,0.5", r"mean is \(0.5, 0.5\), but one number or a triple was promised"),
        ("?std=True", "std is True, but one number or a triple was promised"),
    ],
)
def test_wrong_options_are_told(query, said, state, saved):
    assert re.search(said, refusal(saved(state) + query))


def test_an_unknown_tag_is_no_traceback(state, saved):
    assert "Invalid pretrained tag (moon)" in refusal(saved(state, model=f"{MODEL}.moon"))
    with pytest.raises(FeatureError, match=r"the hub has no weights for 'test_.*\.moon'; give a"):
        _ = extractor(f"timm:{MODEL}.moon").name


def test_without_network_the_two_ways_out_are_named(monkeypatch):
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    with pytest.raises(
        FeatureError,
        match=rf"the weights of '{MODEL}' are not in the cache and the model hub cannot be reached "
        rf"\(ConnectionError\); give a local file as 'timm:{MODEL}@FILE', or use 'builtin'",
    ):
        _ = extractor(f"timm:{MODEL}").name


# ---------------------------------------------------------------- real weights


def test_real_weights_load_strictly_and_the_padding_matters(shared_folder):
    file = shared_folder / "weights" / "mobilenetv2_100.in1k.safetensors"
    spec = f"timm:mobilenetv2_100@{file}"
    right, wrong = extractor(f"{spec}?pad_type=same"), extractor(spec)
    one, other = right.features(rgb()), wrong.features(rgb())
    assert one.shape == other.shape == (32 + 96, 8, 12)
    assert abs(one - other).mean() > 0.1 * abs(one).mean()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    assert right.name == f"timm:mobilenetv2_100@{file.name}#{digest}?pad_type=same"
    held = load_file(file)
    assert all(torch.equal(value, held[key]) for key, value in right.network.named_parameters())


def test_of_channels_in_units_of_their_own_the_first_is_shown(saved, state):
    spec = saved(state)
    phase = np.random.default_rng(1).normal(-0.8, 0.1, (64, 96)).astype(np.float32)
    derived = xr.DataArray(
        np.stack([phase, 500 * phase]),
        dims=("channel", "y", "x"),
        coords={"channel": ["phase", "amplitude"], "channel_unit": ("channel", ["rad", "K s"])},
        attrs={"modality": "infrared", "units": "per channel"},
    )
    found = []
    for frame in (derived, thermal(phase)):
        made = extractor(spec)
        made.adapt([frame])
        found.append(made.features(frame))
    assert distance(*found) < 1e-5
