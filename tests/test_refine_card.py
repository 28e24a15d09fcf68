"""``[rig] refine`` in a card: a sensor is brought onto the grid, or stays where it is, and why."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from test_alignment import SIZE, contrast, part

from mmdefect import Dataset
from mmdefect.alignment import Warp
from mmdefect.alignment.placing import carried, refined
from mmdefect.alignment.warps import pixels_of, sampled
from mmdefect.card_text import unpacked, written_of
from mmdefect.cards import read_card
from mmdefect.errors import CardError
from mmdefect.scene import registered_in

OWN = 'base = "folder"\n[sensors.infrared]\nunit = "relative"\n[rig]\nreference = "rgb"\n'
AWAY = Warp.of(np.array([3.0, -2.0, 1.0, 0.5, -0.5, 1.0]), SIZE)


@pytest.fixture
def parts(tmp_path: Path) -> tuple[Path, Path]:
    """Two captures: a part whose infrared frame lies elsewhere, and one with nothing in it."""
    root = tmp_path / "parts"
    (tmp_path / "own.toml").write_text(OWN + 'refine = ["infrared"]\n')
    rng = np.random.default_rng(0)
    for name in ("000", "001"):
        rgb = np.clip(contrast(part(1), 1), 0, 1)
        infrared = sampled(contrast(part(1), 2), AWAY, SIZE)
        if name == "001":
            infrared = rng.uniform(0, 1, SIZE)
        for sensor, picture in (
            ("rgb", (255 * rgb[..., None].repeat(3, -1)).astype(np.uint8)),
            ("infrared", (1000 + 20000 * np.nan_to_num(infrared.clip(0, 1))).astype(np.uint16)),
        ):
            folder = root / "train" / "good" / sensor
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / f"{name}.png")
    return tmp_path / "own.toml", root


def test_a_sensor_is_brought_onto_the_grid_and_what_shows_nothing_stays(parts):
    dataset = Dataset(*parts)
    first, second = (dataset.scene(one) for one in dataset.captures(dataset.categories[0]))
    assert registered_in(first) == ["rgb", "infrared"]
    assert "infrared: aligned, 0." in first.attrs["aligned"]
    one, other = (first[name].values for name in ("infrared", "rgb"))
    straight = contrast(part(1), 2, 0.0)
    known = np.isfinite(one)
    assert known[10:-10, 10:-10].all()
    raw = sampled(contrast(part(1), 2), AWAY, SIZE)[known]
    assert np.corrcoef(one[known], straight[known])[0, 1] > 0.94
    assert np.corrcoef(np.nan_to_num(raw), straight[known])[0, 1] < 0.9
    assert other.shape[-2:] == SIZE
    assert registered_in(second) == ["rgb"]
    assert "infrared: not aligned: " in second.attrs["aligned"]


def test_a_card_keeps_the_wish_and_refuses_a_registered_sensor(parts, tmp_path):
    card = read_card(parts[0])
    assert card.refine == ("infrared",)
    assert written_of(card)["rig"]["refine"] == ["infrared"]
    assert unpacked(written_of(card), tmp_path, "model").refine == ("infrared",)
    both = tmp_path / "both.toml"
    both.write_text(OWN + 'refine = ["infrared"]\nregistered = ["infrared"]\n')
    with pytest.raises(CardError, match="refine names 'infrared', which is the reference or"):
        read_card(both)
    both.write_text(OWN + 'refine = ["sonar"]\n')
    with pytest.raises(CardError, match=r"\[rig\] refine names 'sonar'"):
        read_card(both)


def frame(values: np.ndarray, modality: str = "infrared") -> xr.DataArray:
    attrs = {"modality": modality, "units": "relative"}
    return xr.DataArray(values.astype(np.float32), dims=("y", "x"), attrs=attrs)


def test_a_blind_pixel_spreads_to_what_would_have_used_it_and_no_further():
    columns = pixels_of(SIZE)[..., 0].copy()
    columns[50, 60] = np.nan
    out = carried(frame(columns), Warp.shift(0.5, 0.5), SIZE).values
    assert np.isnan(out[49:51, 59:61]).all()
    assert np.isnan(out[:-1, :-1]).sum() == 4
    assert np.isnan(out[-1]).all()
    np.testing.assert_allclose(out[10, :50], np.arange(50) + 0.5)


def test_what_cannot_be_tried_is_said():
    picture = contrast(part(), 0)
    two = {"rgb": frame(picture, "rgb"), "depth": frame(picture, "depth")}
    assert "by a rig only" in refined(two, "rgb", ["depth"], SIZE).told["depth"]
    assert (
        "no frame of rgb" in refined({"depth": two["depth"]}, "rgb", ["depth"], SIZE).told["depth"]
    )
    small = {"rgb": frame(picture, "rgb"), "infrared": frame(picture[:20, :20])}
    found = refined(small, "rgb", ["infrared", "xray"], SIZE)
    assert "too small" in found.told["infrared"]
    assert found.placed == ()
    assert "xray" not in found.told
