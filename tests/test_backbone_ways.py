"""Ways to run a backbone: the same features, the choice made once and kept."""

import pytest
import timm
import torch

from mmdefect.errors import FeatureError
from mmdefect.features import _ways
from mmdefect.features._ways import Stages, agree, quickest

SHAPE = (1, 3, 64, 96)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return timm.create_model("test_efficientnet").eval()


@pytest.fixture
def stages(network):
    yield Stages(network, [2, 3])
    network.to(memory_format=torch.contiguous_format)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("MMDEFECT_BACKBONE", raising=False)
    return tmp_path / "mmdefect"


def picture() -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", [n for n in _ways.WAYS if n != "compile"])
@pytest.mark.filterwarnings("ignore")  # of the exporters, about themselves
def test_every_way_gives_the_features_of_the_plain_network(name, stages, cache, monkeypatch):
    if not _ways._there(name):
        pytest.skip(f"{name} is not installed")
    monkeypatch.setenv("MMDEFECT_BACKBONE", name)
    with torch.inference_mode():
        plain = list(stages(picture()))
        made = quickest(stages, "network", torch.zeros(SHAPE))
        assert agree(plain, made(picture()))
        assert not agree(plain, made(1.01 * picture()))


def test_the_choice_is_measured_once_and_kept(stages, cache, monkeypatch):
    monkeypatch.setattr(_ways, "_CHOSEN_FROM", ("channels_last",))
    looked = []

    def seconds(made, shown):
        looked.append(made)
        return 1.0 if made is stages else 0.5

    monkeypatch.setattr(_ways, "_seconds", seconds)
    with torch.inference_mode():
        first = quickest(stages, "network", picture())
        again = quickest(stages, "network", picture())
        assert len(looked) == 2
        assert first is not stages
        assert again is not stages
        quickest(stages, "another network", picture())
        assert len(looked) == 4
    assert {path.read_text() for path in cache.glob("*.way")} == {"channels_last"}


@pytest.mark.parametrize("taken", [0.5, 2.0], ids=["chosen", "only tried"])
def test_weights_laid_out_anew_still_give_gradients(stages, cache, monkeypatch, taken):
    monkeypatch.setattr(_ways, "_CHOSEN_FROM", ("channels_last",))
    monkeypatch.setattr(_ways, "_seconds", lambda made, shown: 1.0 if made is stages else taken)
    with torch.inference_mode():
        quickest(stages, "network", picture())
    shown = torch.zeros(SHAPE, requires_grad=True)
    sum(grid.sum() for grid in stages(shown)).backward()
    assert torch.isfinite(shown.grad).all()


def test_a_way_that_is_wrong_or_hardly_quicker_is_not_chosen(stages, cache, monkeypatch):
    monkeypatch.setattr(_ways, "_CHOSEN_FROM", ("channels_last",))
    monkeypatch.setattr(_ways, "_seconds", lambda made, shown: 1.0 if made is stages else 0.95)
    with torch.inference_mode():
        assert quickest(stages, "network", picture()) is stages
        monkeypatch.setattr(_ways, "_seconds", lambda made, shown: 1.0 if made is stages else 0.1)
        monkeypatch.setattr(_ways, "agree", lambda plain, others: False)
        assert quickest(stages, "a wrong one", picture()) is stages


def test_what_is_no_choice_in_the_cache_is_measured_anew(stages, cache, monkeypatch):
    monkeypatch.setattr(_ways, "_CHOSEN_FROM", ())
    with torch.inference_mode():
        quickest(stages, "network", picture())
        (kept,) = cache.glob("*.way")
        kept.write_bytes(b"\xff rm -rf")
        assert quickest(stages, "network", picture()) is stages


def test_a_cache_that_cannot_be_written_costs_the_memory_only(stages, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "below"))
    monkeypatch.delenv("MMDEFECT_BACKBONE", raising=False)
    monkeypatch.setattr(_ways, "_CHOSEN_FROM", ())
    with torch.inference_mode():
        assert quickest(stages, "network", picture()) is stages


def test_a_way_nobody_knows_is_refused(stages, monkeypatch):
    monkeypatch.setenv("MMDEFECT_BACKBONE", "faster")
    with pytest.raises(FeatureError, match="'faster', but one of eager, channels_last"):
        quickest(stages, "network", picture())


def test_a_way_that_does_not_run_here_is_named(stages, monkeypatch):
    def broken(*_):
        raise RuntimeError("no such engine\nand much more")

    monkeypatch.setenv("MMDEFECT_BACKBONE", "openvino")
    monkeypatch.setattr(_ways, "way", broken)
    with pytest.raises(FeatureError, match=r"by openvino here \(no such engine\); set MMDEFECT"):
        quickest(stages, "network", picture())
