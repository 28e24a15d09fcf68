"""Asks all sensors' detectors the same, side by side where that is faster.

A network, or descriptors of a whole cloud, share their own work out over all threads: such sensors
are asked in turn. Filters of small pictures are over before a second thread is awake: there, one
thread takes a sensor.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from mmdefect.contracts import Detector
from mmdefect.jit import side_by_side

Answer = TypeVar("Answer")


def answers_of(
    detectors: Mapping[str, Detector], ask: Callable[[str], Answer]
) -> dict[str, Answer]:
    """Ask something of every sensor.

    Parameters
    ----------
    detectors : mapping of str to Detector
        By sensor.
    ask : callable (sensor)
        Changes nothing that another sensor's question reads.

    Returns
    -------
    dict
        By sensor, in the detectors' order.
    """
    short = [
        name
        for name, made in detectors.items()
        if getattr(getattr(made, "extractor", None), "in_short_steps", False)
    ]
    said = {name: ask(name) for name in detectors if name not in short}
    said |= zip(short, side_by_side([partial(ask, name) for name in short]), strict=True)
    return {name: said[name] for name in detectors}
