"""The adapter of structured light, from a folder of frames to a registered scene."""

import numpy as np
import pytest

from mmdefect.cards import read_card
from mmdefect.dataset import Dataset
from mmdefect.errors import CardError, SensorError
from mmdefect.provenance import Digests
from mmdefect.registration import Pose, write_rig
from mmdefect.registry import load
from mmdefect.simulate.body import Body, Finish, Part
from mmdefect.simulate.light.fringes import light_rig, light_up, photograph_stack
from mmdefect.simulate.shapes import box
from mmdefect.simulate.station import DISTANCE_MM
from mmdefect.simulate.tracer import World
from mmdefect.structured.codes import complete

pytestmark = pytest.mark.usefixtures("three_threads")

SIZE = (40, 56)
CARD = """
name = "light"
good = "good"
[splits]
train = "train"
[frames]
points = "{split}/{kind}/points/{capture}"
[sensors.points]
adapter = "structured_light"
rig = "rig.toml"
[rig]
file = "rig.toml"
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A data set of two captures of a table by two cameras, and what is true of the first's."""
    root = tmp_path_factory.mktemp("light")
    rig = light_rig(SIZE)
    write_rig(rig, root / "rig.toml")
    (root / "card.toml").write_text(CARD)
    paper = Finish((0.7, 0.7, 0.7), roughness=0.6, specular=0.02)
    table = Body("table", *box(400, 400, -5, 0), "abs", paper)
    world = World(Part((table,), Pose(np.eye(3), np.array([0, 0, DISTANCE_MM]))))
    one, two = (
        light_up(world, rig.cameras[n], rig.cameras["projector"]) for n in ("points", "second")
    )
    code = complete("gray", (1280, 800), (18.0,))
    for index in range(2):
        folder = root / "train" / "good" / "points" / f"{index:03d}.stack"
        photograph_stack(folder, one, code, seed=index)
        photograph_stack(folder / "second", two, code, seed=9)
    return root, one


def stack(root):
    return root / "train" / "good" / "points" / "000.stack"


@pytest.mark.parametrize("second", ["", "second"])
@pytest.mark.parametrize("name", ["", "stack.toml"])
def test_a_stack_is_read_into_millimetres(recorded, second, name):
    root, truth = recorded
    adapter = load("sensors", "structured_light")(rig=root / "rig.toml", second=second, near=400)
    frame = adapter.read(stack(root) / name)
    assert frame.dims == ("axis", "y", "x")
    assert frame.dtype == np.float32
    assert frame.attrs == {"modality": "points", "units": "mm"}
    assert np.array_equal(np.isnan(frame[0]), np.isnan(frame[2]))
    assert np.isfinite(frame[2]).mean() > 0.95
    assert np.nanmedian(np.abs(frame[2] - truth.depth)) < 0.06


def test_a_card_with_stacks_gives_registered_scenes(recorded):
    root, truth = recorded
    dataset = Dataset(read_card(root / "card.toml"), root)
    captures = dataset.captures(dataset.categories[0], "train")
    assert [capture.frames["points"].name for capture in captures] == ["000.stack", "001.stack"]
    assert not dataset.refused
    scene = next(iter(dataset.scenes(captures)))
    assert scene["points"].shape == (3, *SIZE)
    assert scene["valid"].sel(sensor="points").mean() > 0.95
    assert float(np.abs(scene["points"].sel(axis="z") - truth.depth).median()) < 0.06


def test_a_result_rests_on_every_frame_of_a_stack(recorded, tmp_path):
    root, _ = recorded
    digests = [Digests(root).of(stack(root)) for _ in range(2)]
    assert digests[0] == digests[1]
    frame = stack(root) / "0-003.png"
    kept = frame.read_bytes()
    try:
        frame.write_bytes(kept[:-1] + b"x")
        assert Digests(root).of(stack(root)) != digests[0]
    finally:
        frame.write_bytes(kept)


def test_what_cannot_be_read_says_why(recorded, tmp_path):
    root, _ = recorded
    make = load("sensors", "structured_light")
    with pytest.raises(SensorError, match=r'000.stack: cannot be triangulated.*add rig = "FILE"'):
        make().read(stack(root))
    with pytest.raises(CardError, match="rig cannot be read: no rig file"):
        make(rig=tmp_path / "no.toml")
    with pytest.raises(CardError, match=r"no camera 'left'.*there are: points, projector, second"):
        make(rig=root / "rig.toml", camera="left")
    with pytest.raises(CardError, match=r"noise is 0.0, but a positive number"):
        make(noise=0)
    write_rig(light_rig((41, 56)), tmp_path / "rig.toml")
    with pytest.raises(SensorError, match=r"000.stack: the frames have 40x56 .* promises 41x56"):
        make(rig=tmp_path / "rig.toml").read(stack(root))
