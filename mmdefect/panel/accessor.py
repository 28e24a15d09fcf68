"""What a scene or a prediction tells of itself: in words, and as a panel of pictures.

A scene is a plain ``xarray.Dataset``, so this is how xarray lets others add to it: an accessor.
"""

import numpy as np
import xarray as xr

from mmdefect.errors import SceneError
from mmdefect.panel.drawing import Panel, draw
from mmdefect.report.numbers import ends, number, percent
from mmdefect.scene import present_in, registered_in, sensors_of


@xr.register_dataset_accessor("mmdefect")  # type: ignore[no-untyped-call]
class Accessor:
    """The accessor ``.mmdefect`` of a dataset.

    Parameters
    ----------
    told : Dataset
        A scene or a prediction.

    Examples
    --------
    >>> import mmdefect.panel
    >>> from mmdefect.scene import blank_frame, new_scene
    >>> frame = blank_frame("infrared", "K", 2, 2)
    >>> frame[0] = 293.15
    >>> new_scene({"infrared": frame}, reference="infrared").mmdefect
    Scene of a capture, 2x2 pixels on the grid of 'infrared'
      infrared  293.15 to 293.15 K, 50 % measured, registered
    """

    def __init__(self, told: xr.Dataset) -> None:
        self._told = told

    def __repr__(self) -> str:
        """Tell sensors, units, what was measured, and what was decided."""
        if _is_prediction(self._told):
            return "\n".join(_prediction_lines(self._told))
        if _is_scene(self._told):
            return "\n".join(_scene_lines(self._told))
        return "Neither a scene nor a prediction of mmdefect"

    def plot(self, other: xr.Dataset | None = None) -> Panel:
        """Draw what every sensor saw, or the evidence held against it, or both.

        Parameters
        ----------
        other : Dataset, optional
            The scene of this prediction, or a prediction of this scene: then both are drawn, frame
            above map.

        Returns
        -------
        Panel
            Shows itself in a notebook; ``save`` writes a picture.

        Raises
        ------
        SceneError
            When this is neither a scene nor a prediction, or the other is of the same kind.
        MmdefectError
            When matplotlib is not installed.
        """
        given = [self._told] if other is None else [self._told, other]
        scenes = [one for one in given if _is_scene(one) and not _is_prediction(one)]
        predictions = [one for one in given if _is_prediction(one)]
        if len(scenes) + len(predictions) < len(given) or max(len(scenes), len(predictions)) > 1:
            raise SceneError(
                "a scene, a prediction with evidence, or one of each was promised; give "
                "scene.mmdefect.plot(prediction)"
            )
        return draw(next(iter(scenes), None), next(iter(predictions), None))


def _is_scene(told: xr.Dataset) -> bool:
    return "valid" in told and "reference" in told.attrs and "sensor" in told.coords


def _is_prediction(told: xr.Dataset) -> bool:
    return "anomaly_map" in told and "evidence_map" in told and "sensor" in told.coords


def _scene_lines(scene: xr.Dataset) -> list[str]:
    """Tell a scene, a line a sensor."""
    names = sensors_of(scene)
    wide = max(map(len, names))
    size = f"{scene.sizes['y']}x{scene.sizes['x']} pixels"
    lines = [
        f"Scene of {scene.attrs.get('capture', 'a capture')}, {size} on the grid of "
        f"{scene.attrs['reference']!r}{_truth(scene)}"
    ]
    return lines + [f"  {name:<{wide}}  {_sensor_words(scene, name)}" for name in names]


def _truth(scene: xr.Dataset) -> str:
    label = f"; known to be {scene.attrs['label']}" if "label" in scene.attrs else ""
    count = int(scene["defect"].sum()) if "defect" in scene else 0
    return f"{label}, {count} px of it marked" if count else label


def _sensor_words(scene: xr.Dataset, name: str) -> str:
    """Tell what one sensor measured."""
    frame = scene[name]
    modality, unit = str(frame.attrs["modality"]), str(frame.attrs["units"])
    if name not in present_in(scene):
        return f"absent ({modality})"
    shown = frame.sel(axis="z") if modality == "points" else frame
    values = shown.values[np.isfinite(shown.values)]
    low, high = ends(float(values.min()), float(values.max()))
    kind = "" if modality == name else f" ({modality})"
    grid = "registered" if name in registered_in(scene) else "on its own grid"
    axis = "z " if modality == "points" else ""
    valid = percent(float(scene["valid"].sel(sensor=name).mean()))
    unit = {"1": "", "relative": " (no unit known)"}.get(unit, f" {unit}")
    return f"{axis}{low} to {high}{unit}{kind}, {valid} measured, {grid}"


def _prediction_lines(prediction: xr.Dataset) -> list[str]:
    """Tell a prediction, a line a sensor."""
    score, attrs = float(prediction["image_score"]), prediction.attrs
    lines = [f"Prediction of {attrs.get('capture', 'a capture')}: {_decided(prediction, score)}"]
    names = [str(name) for name in prediction["sensor"].values]
    wide = max(map(len, names))
    for name in names:
        own = prediction.sel(sensor=name)
        evidence = float(own["evidence"])
        said = "no evidence" if np.isnan(evidence) else f"evidence {number(evidence)}"
        if "sensor_p_value" in own and not np.isnan(evidence):
            said += f", p alone {number(float(own['sensor_p_value']))}"
        lines.append(f"  {name:<{wide}}  {said}")
    return lines


def _decided(prediction: xr.Dataset, score: float) -> str:
    """Tell the verdict, or the score where none was given."""
    if "verdict" not in prediction.attrs:
        return f"score {number(score)}, no verdict yet"
    verdict = str(prediction.attrs["verdict"]).replace("_", " ")
    threshold = prediction.attrs.get("threshold")
    sign = ">" if threshold is not None and score > threshold else "≤"
    limit = f" {sign} threshold {number(threshold)}" if threshold is not None else ""
    return f"{verdict}, score {number(score)}{limit}, p {number(float(prediction['p_value']))}"
