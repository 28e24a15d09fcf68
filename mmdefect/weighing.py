"""What an inspection asks of others before it relies on them: weights, and a scene as learnt."""

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


def check_alike(scene: xr.Dataset, sensors: Sequence[str], size: tuple[int, int]) -> None:
    """Refuse a scene of other sensors or another size than what was learnt.

    Parameters
    ----------
    scene : Dataset
    sensors : sequence of str
        Those that were learnt.
    size : (int, int)
        Height and width that were learnt, px.

    Raises
    ------
    SceneError
    """
    check_sensors(scene, sensors)
    found = (scene.sizes["y"], scene.sizes["x"])
    if found != size:
        raise SceneError(
            f"the scene has {found[0]}x{found[1]} pixels, but {size[0]}x{size[1]} were learnt; "
            "bring it onto that grid, or fit anew"
        )
