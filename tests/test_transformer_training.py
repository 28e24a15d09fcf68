"""The network and its training: what it may see, and what may go wrong."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from crossed import coupled

from mmdefect.errors import MmdefectError

lessons, network, resume, surprise, training = (
    import_module(f"mmdefect.fusion._{name}")
    for name in ("lessons", "network", "resume", "surprise", "training")
)
tokens, windows = (import_module(f"mmdefect.fusion._{name}") for name in ("tokens", "windows"))

GRID = (8, 8)
CELLS = 64
SHAPE = network.Shape(sensors=2, dims=3, width=16, layers=2, heads=2, geometry=1)
FLAT = torch.linspace(-1, 1, 2 * CELLS).reshape(CELLS, 2)
KEPT = torch.ones(2, 3, dtype=torch.bool)
SCHEDULE = lessons.Schedule(most_steps=50, batch=6, blocks=0.5, seed=3)


def batch(count: int, seed: int = 0) -> "tokens.Tokens":
    values, there = coupled(count, CELLS, seed)
    place = torch.randn(count, CELLS, 3, generator=torch.Generator().manual_seed(seed))
    return tokens.Tokens(values, there, place, torch.ones(count, CELLS, dtype=torch.bool))


def train(schedule=SCHEDULE, checkpoint=None, learn=None):
    learn = batch(12) if learn is None else learn
    return training.trained(SHAPE, learn, batch(3, 9), GRID, FLAT, KEPT, schedule, checkpoint)


def weights(trained) -> np.ndarray:
    return torch.cat([part.flatten() for part in trained[0].state_dict().values()]).numpy()


@pytest.fixture(scope="module")
def whole():
    """The training that others are held against."""
    return train()


# ---------------------------------------------------------------- what may be seen


@pytest.mark.parametrize("target", [0, 1])
@pytest.mark.parametrize("block", [0, 5])
def test_a_block_and_its_margin_are_never_visible_to_their_own_prediction(target, block):
    torch.manual_seed(0)
    net, cut = network.Network(SHAPE), windows.windows_of((16, 16))
    values = torch.randn(1, 2, 256, 3, requires_grad=True)
    place = torch.randn(1, 256, 3, requires_grad=True)
    there, placed = torch.ones(1, 2, 256, dtype=bool), torch.ones(1, 256, dtype=bool)
    guess = net(tokens.Tokens(values, there, place, placed), torch.rand(256, 2), cut)
    told = guess.mean[:, target, block].sum() + guess.log_variance[:, target, block].sum()
    by_value, by_place = torch.autograd.grad(told, (values, place), allow_unused=True)
    seen = by_value[0].abs().sum(-1) > 0
    hidden = cut.window[block][cut.inside[block] & cut.hidden[block]]
    sides = 4 + windows.MARGIN * (2 if block == 5 else 1)
    assert len(hidden) == sides**2
    assert not seen[target, hidden].any()
    assert seen[target].any()
    assert seen[1 - target].all()
    # where the cells lie in space is what sensor 1 measured: nothing for its own prediction
    assert (by_place is None or not by_place.any()) == (target == 1)


def test_what_is_not_there_has_no_say():
    torch.manual_seed(0)
    net, cut, whole = network.Network(SHAPE), windows.windows_of(GRID), batch(2)
    there = whole.there.clone()
    there[0, 0, 10:30] = False
    there[1, 1] = False
    hole = whole.values.masked_fill(~there[..., None], 77.0)
    told = [
        net(tokens.Tokens(values, there, whole.place, whole.placed), FLAT, cut)
        for values in (whole.values, hole)
    ]
    torch.testing.assert_close(told[0].mean, told[1].mean, rtol=0, atol=0)
    nothing = torch.zeros_like(there)
    blind = net(tokens.Tokens(hole, nothing, whole.place, whole.placed), FLAT, cut)
    assert torch.isfinite(blind.mean).all()


def test_cells_are_whole_blocks_and_no_cell_is_foretold_twice():
    assert tokens.grid_of((300, 400), 24) == (20, 24)
    assert tokens.grid_of((32, 500), 24) == (4, 24)
    cut = windows.windows_of((8, 12))
    assert sorted(cut.cells.flatten().tolist()) == list(range(96))
    assert cut.regions.sum(0).tolist() == [1.0] * 96


def test_a_projection_makes_unit_spread_of_what_varies_and_keeps_a_bound():
    rng = np.random.default_rng(0)
    mixed = rng.standard_normal((4000, 3)) @ rng.standard_normal((3, 6)) * 50 + 7
    rows = torch.from_numpy(mixed.astype(np.float32))
    shown = tokens.Projection.learn(rows, 3)(rows)
    assert shown.shape == (4000, 3)
    covariance = np.cov(shown.numpy().T)
    np.testing.assert_allclose(np.diag(covariance), 1, atol=0.2)
    assert abs(covariance - np.diag(np.diag(covariance))).max() < 0.05
    far = tokens.Projection.learn(rows, 3)(rows * 1e9)
    assert torch.isfinite(far).all()
    assert far.abs().max() == 8


# ---------------------------------------------------------------- learning


def test_it_learns_what_goes_with_what_and_knows_what_it_cannot_know():
    schedule = lessons.Schedule(most_steps=125, batch=6, blocks=1.0, hide_sensor=0.0, rate=0.01)
    learn = batch(24)
    values = learn.values.clone()
    values[:, 1, :, 2] = torch.randn(24, CELLS, generator=torch.Generator().manual_seed(1))
    net, course = train(schedule, learn=learn._replace(values=values))
    assert course.held_out[-1][1] < course.held_out[0][1]
    with torch.inference_mode():
        spread = net(batch(4, 5), FLAT, windows.windows_of(GRID)).log_variance.exp()
    foretold, unknowable = spread[:, 1, ..., :2].mean(), spread[:, 1, ..., 2].mean()
    assert foretold < 0.6 < 0.8 < unknowable


def test_the_same_seed_gives_the_same_weights_and_leaves_the_callers_dice_alone(whole):
    torch.manual_seed(11)
    wanted = torch.rand(1)
    torch.manual_seed(11)
    again = train()
    assert torch.rand(1) == wanted
    np.testing.assert_array_equal(weights(again), weights(whole))
    assert (weights(whole) != weights(train(lessons.Schedule(50, batch=6, seed=4)))).any()


def test_training_ends_when_held_out_parts_are_foretold_no_better():
    noise = batch(6)._replace(values=torch.randn(6, 2, CELLS, 3))
    _, course = train(
        lessons.Schedule(most_steps=400, patience=25, rate=0.02, batch=6), learn=noise
    )
    assert len(course.losses) == course.best_step + 25 < 400


def test_a_training_that_was_interrupted_goes_on_as_if_it_had_not_been(
    whole, tmp_path, monkeypatch
):
    kept = resume.Checkpoint(tmp_path, "net", {"sensors": ["a", "b"]})
    step = training._Trainer._step

    def pulled_plug(trainer, number):
        if number == 40:
            raise KeyboardInterrupt
        step(trainer, number)

    monkeypatch.setattr(training._Trainer, "_step", pulled_plug)
    with pytest.raises(KeyboardInterrupt):
        train(checkpoint=kept)
    asked = []
    monkeypatch.setattr(
        training._Trainer, "_step", lambda own, number: (asked.append(number), step(own, number))
    )
    again = train(checkpoint=kept)
    assert asked[0] == 25
    np.testing.assert_array_equal(weights(again), weights(whole))
    assert again[1].losses == whole[1].losses
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.json", "net.safetensors"]


def test_a_checkpoint_goes_on_where_sums_were_rounded_otherwise(tmp_path):
    resume.Checkpoint(tmp_path, "net", {"tokens": 864507.981}).write({}, {"step": 3})
    held = resume.Checkpoint(tmp_path, "net", {"tokens": 864507.98}).read()
    assert held is not None
    assert held[1] == {"step": 3}
    with pytest.raises(MmdefectError, match=r"with tokens 864507.981, this one has 864590.5"):
        resume.Checkpoint(tmp_path, "net", {"tokens": 864590.5}).read()


def test_a_checkpoint_of_another_sensor_set_is_refused(tmp_path):
    short = lessons.Schedule(most_steps=2, batch=2)
    train(short, resume.Checkpoint(tmp_path, "net", {"sensors": ["rgb", "points"]}))
    other = resume.Checkpoint(tmp_path, "net", {"sensors": ["rgb", "xray"]})
    with pytest.raises(MmdefectError, match=r"sensors \['rgb', 'points'\].*'xray'.*another folder"):
        train(checkpoint=other)
    (tmp_path / "net.json").write_text(json.dumps({"meant": 1}))
    with pytest.raises(MmdefectError, match=r"net.json' is no checkpoint of a training"):
        train(checkpoint=other)


def test_a_loss_that_is_no_number_is_told_with_its_step():
    broken = batch(12)
    broken.values[:, 0, 3] = torch.nan
    with pytest.raises(MmdefectError, match=r"loss of the transformer was nan at step 0, a finite"):
        train(learn=broken)


def test_a_batch_that_does_not_fit_is_worked_off_in_halves(whole, monkeypatch):
    forward = network.Network.forward

    def small_memory(most):
        def run(net, shown, *others):
            if len(shown.values) > most and net.training:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
            return forward(net, shown, *others)

        return run

    monkeypatch.setattr(network.Network, "forward", small_memory(2))
    halved = train()
    assert halved[1].micro == 1
    np.testing.assert_allclose(halved[1].losses, whole[1].losses, rtol=1e-3)
    monkeypatch.setattr(network.Network, "forward", small_memory(0))
    with pytest.raises(MmdefectError, match="one scene alone does not fit the memory"):
        train()


def test_other_errors_are_not_taken_for_a_small_memory(monkeypatch):
    def broken(*_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(network.Network, "forward", broken)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        train()


def test_the_network_may_be_compiled(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "compile", lambda net: asked.append(net) or net)
    train(lessons.Schedule(most_steps=2, batch=2, compiled=True))
    assert len(asked) == 1


def test_half_the_digits_teach_as_much(whole, monkeypatch):
    asked = []
    forward = network.Layer.forward

    def watched(own, rows, *others):
        asked.append(torch.is_autocast_enabled("cpu"))
        told = forward(own, rows, *others)
        assert asked[-1] == (own.query(rows).dtype == torch.bfloat16)
        return told

    monkeypatch.setattr(network.Layer, "forward", watched)
    schedule = lessons.Schedule(most_steps=50, batch=6, blocks=0.5, seed=3, amp=True)
    halved = train(schedule)
    assert 0 < sum(asked) < len(asked)
    assert halved[1].held_out[-1][1] == pytest.approx(whole[1].held_out[-1][1], abs=0.03)
    assert halved[1].losses != whole[1].losses
    assert all(part.dtype == torch.float32 for part in halved[0].state_dict().values())


# ---------------------------------------------------------------- evidence


def test_evidence_of_parts_that_come_later_is_as_uniform_as_that_of_strangers():
    layout = surprise.Layout(("a", "b"), GRID, FLAT, KEPT, None)
    schedule = lessons.Schedule(most_steps=60, seed=1)
    made = surprise.Surprise(layout, 16, 1, 2, schedule)
    nowhere = np.zeros((2, *GRID), dtype=bool)
    learnt, later = (
        [tokens.Tokens(*(part[k] for part in whole)) for k in range(count)]
        for count, whole in ((48, batch(48)), (150, batch(150, 77)))
    )
    made.fit(learnt, [k % 4 for k in range(48)], None)
    fresh = np.array([made.evidence(part, nowhere)[1] for part in later])
    strange = np.array([made.evidence(part, nowhere, k % 4)[1] for k, part in enumerate(learnt)])
    assert ((strange.mean(0) > 0.9) & (strange.mean(0) < 1.1)).all()
    for level in (0.2, 0.5):  # 48 parts say what is usual, 150 are asked: four standard errors
        spread = 4 * np.sqrt(level * (1 - level) * (1 / 48 + 1 / 150))
        assert (abs((np.exp(-fresh) <= level).mean(0) - level) < spread).all()


@pytest.mark.parametrize("fold", range(4))
def test_no_network_or_place_that_judges_a_stranger_has_seen_its_fold(fold, monkeypatch):
    seen = []

    def nothing_learnt(shape, learn, stop, *_):
        seen.append({int(part) for rows in (learn, stop) for part in rows.values[:, 0, 0, 0]})
        net = network.Network(shape)
        net.number = len(seen) - 1
        return net, training.Course([], [], 0, 1)

    monkeypatch.setattr(surprise, "trained", nothing_learnt)
    whole = batch(16)
    whole.values[:, 0, 0, 0] = torch.arange(16.0)
    parts = [tokens.Tokens(*(rows[k] for rows in whole)) for k in range(16)]
    made = surprise.Surprise(surprise.Layout(("a", "b"), GRID, FLAT, KEPT, None))
    made.fit(parts, [k % 4 for k in range(16)], None)
    asked = []
    errors = made._errors
    monkeypatch.setattr(
        made, "_errors", lambda net, part: (asked.append(net.number), errors(net, part))[1]
    )
    for without in (fold, None):
        made.evidence(parts[0], np.zeros((2, *GRID), dtype=bool), without)
    assert not seen[asked[0]] & set(range(fold, 16, 4))
    assert asked[1] == 0
    assert seen[0] | seen[1] == set(range(16))
    assert not seen[0] & seen[1]


SHARED_BATCH = """
import json, sys
sys.path.insert(0, sys.argv[1])
from test_transformer_training import train, weights
from mmdefect.fusion import _together
_together.join()
trained = train()
if _together.rank() == 0:
    print("TOLD" + json.dumps([_together.size(), trained[1].losses, weights(trained).tolist()]))
import torch.distributed
torch.distributed.destroy_process_group()
"""


def test_two_processes_learn_what_one_does_from_the_same_batch(whole, tmp_path):
    script = tmp_path / "shared_batch.py"
    script.write_text(SHARED_BATCH)
    told = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         str(script), str(Path(__file__).parent)],
        capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    line = next(line for line in told.stdout.splitlines() if line.startswith("TOLD"))
    size, losses, learnt = json.loads(line.removeprefix("TOLD"))
    assert size == 2
    # sums are added in another order: 1e-4 of the loss after 50 steps
    np.testing.assert_allclose(losses, whole[1].losses, rtol=1e-4)
    np.testing.assert_allclose(learnt, weights(whole), atol=2e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_learns_as_well_as_the_processor(monkeypatch):
    on_gpu = train()
    monkeypatch.setattr(training, "device_here", lambda: torch.device("cpu"))
    assert on_gpu[1].held_out[-1][1] == pytest.approx(train()[1].held_out[-1][1], abs=0.1)
