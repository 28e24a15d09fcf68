"""Sensors weighed by labelled defective parts, where a fusion can do that."""

from collections.abc import Sequence

import xarray as xr

from mmdefect.contracts import Fusion, Scenes, Weighable
from mmdefect.errors import MmdefectError, SceneError
from mmdefect.scene import sensors_of


def weighed(fusion: Fusion, defective: Scenes) -> str:
    """Let a fusion learn from labelled defective parts what its sensors are worth.

    Parameters
    ----------
    fusion : Fusion
        Fitted, not yet calibrated.
    defective : Scenes
        None of them may be tested later.

    Returns
    -------
    str
        What came of it.

    Raises
    ------
    MmdefectError
        When the fusion cannot weigh its sensors.
    """
    if not isinstance(fusion, Weighable):
        raise MmdefectError(
            f"{type(fusion).__name__} cannot weigh its sensors by defective parts; leave them out"
        )
    return str(fusion.learn_weights(defective))


def check_sensors(scene: xr.Dataset, sensors: Sequence[str]) -> None:
    """Refuse a scene that lacks a sensor that was learnt.

    Parameters
    ----------
    scene : Dataset
    sensors : sequence of str
        Those that were learnt.

    Raises
    ------
    SceneError
    """
    there = sensors_of(scene)
    lacking = [name for name in sensors if name not in there]
    if lacking:
        raise SceneError(
            f"the scene has the sensors {', '.join(there)}, but {', '.join(sensors)} were learnt; "
            f"give {lacking[0]!r} too, blind where it measured nothing "
            "(mmdefect.scene.blank_frame)"
        )
