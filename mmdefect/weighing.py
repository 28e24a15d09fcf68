"""Sensors weighed by labelled defective parts, where a fusion can do that."""

from mmdefect.contracts import Fusion, Scenes, Weighable
from mmdefect.errors import MmdefectError


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
