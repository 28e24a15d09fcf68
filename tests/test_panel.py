"""``.mmdefect`` on scenes and predictions: words that are true, and a panel with units."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from shown import PEAK, SENSORS, prediction_of, scene_of

import mmdefect.panel
from mmdefect.errors import MmdefectError, SceneError


def predicted(scene: xr.Dataset, **attrs) -> xr.Dataset:
    told = prediction_of(scene)
    told["image_score"] = 3.0
    told["p_value"] = 0.05
    told["sensor_p_value"] = ("sensor", np.full(len(PEAK), 0.25))
    return told.assign_attrs(attrs)


def texts(panel) -> list[str]:
    """Every word on a panel: titles, labels of bars, words in places."""
    from matplotlib.text import Text

    found = [one.get_text() for one in panel.figure.findobj(Text)]
    return [text for text in found if text]


def test_a_scene_tells_sensors_units_what_was_measured_and_on_which_grid():
    scene = scene_of(absent=["xray"], apart=["infrared"], units={"points": "relative"})
    first, rgb, points, infrared, xray = repr(scene.mmdefect).split("\n")
    assert first == (
        "Scene of part/7, 48x64 pixels on the grid of 'rgb'; known to be defect, 80 px of it marked"
    )
    assert rgb == "  rgb       0.40 to 0.40, 100 % measured, registered"
    assert points.startswith("  points    z 449.")
    assert points.endswith("(no unit known), 100 % measured, registered")
    assert infrared.endswith(" K, 97.9 % measured, on its own grid")
    assert xray == "  xray      absent (xray)"


def test_a_prediction_tells_what_was_decided_and_what_each_sensor_says():
    told = predicted(scene_of(absent=["xray"]), verdict="not_inspectable")
    lines = repr(told.mmdefect).split("\n")
    assert lines[0] == "Prediction of part/7: not inspectable, score 3.00, p 0.0500"
    assert lines[1] == "  rgb       evidence 0.500, p alone 0.250"
    assert lines[4] == "  xray      no evidence"
    above = predicted(scene_of(), verdict="defect", threshold=2.5)
    assert "defect, score 3.00 > threshold 2.50, p 0.0500" in repr(above.mmdefect)
    assert "score 3.00, no verdict yet" in repr(predicted(scene_of()).mmdefect)


def test_a_panel_has_a_place_per_sensor_with_units_on_its_bars():
    panel = scene_of(absent=["xray"]).mmdefect.plot()
    words = texts(panel)
    assert {*SENSORS, "absent", "z, mm", "temperature, K", "part/7"} <= set(words)
    assert repr(panel) == "Panel: part/7"


def test_a_prediction_is_drawn_below_its_scene_with_the_fused_map():
    scene = scene_of(apart=["infrared"])
    for panel in (
        scene.mmdefect.plot(predicted(scene, verdict="defect")),
        predicted(scene, verdict="defect").mmdefect.plot(scene),
    ):
        words = texts(panel)
        assert {"fused", "evidence, −ln p", "own grid, not registered"} <= set(words)
        assert words.count("evidence, −ln p") == len(SENSORS) + 1
        assert "part/7: defect" in words
    alone = texts(predicted(scene).mmdefect.plot())
    assert "temperature, K" not in alone
    assert alone.count("evidence, −ln p") == len(SENSORS) + 1


def test_a_panel_is_a_picture_in_a_notebook_and_on_disk(tmp_path):
    panel = scene_of(constant=True).mmdefect.plot()
    picture = panel._repr_png_()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 200_000
    assert panel.save(tmp_path / "panel.pdf").read_bytes().startswith(b"%PDF")


def test_a_panel_draws_the_values_and_hatches_where_nothing_was_measured():
    scene = scene_of()
    places = scene.mmdefect.plot().figure.axes
    _hatching, frame = places[2].get_images()
    blind = ~scene["valid"].sel(sensor="infrared").values
    assert blind[:8, :8].all()
    np.testing.assert_array_equal(np.ma.getmaskarray(frame.get_array()), blind)
    np.testing.assert_array_equal(frame.get_array()[~blind], scene["infrared"].values[~blind])
    assert len(places[1].get_images()) == 1  # the scanner measured everywhere: no hatching


def test_what_is_neither_scene_nor_prediction_says_so():
    other = xr.Dataset({"a": 1})
    assert repr(other.mmdefect) == "Neither a scene nor a prediction of mmdefect"
    with pytest.raises(SceneError, match="one of each was promised"):
        other.mmdefect.plot()
    with pytest.raises(SceneError, match="one of each was promised"):
        scene_of().mmdefect.plot(scene_of())
    with pytest.raises(MmdefectError, match="nothing was given"):
        mmdefect.panel.draw()


def test_without_matplotlib_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MmdefectError, match=r"pip install mmdefect\[plot\]"):
        scene_of().mmdefect.plot()


def test_scenes_of_a_data_set_have_it_and_matplotlib_is_not_imported_for_it():
    code = (
        "from mmdefect import Dataset, Inspection; import xarray, sys;"
        "Dataset, Inspection; repr(xarray.Dataset().mmdefect);"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
