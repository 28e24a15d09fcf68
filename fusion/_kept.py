"""The sensors' detectors as arrays and JSON, under one roof, and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmdefect.contracts import Detector, Tensors
from mmdefect.keyed import below, under
from mmdefect.registry import load

from ._positions import Positions

_PLACES = "late"


def packed(detectors: Mapping[str, Detector]) -> tuple[Tensors, dict[str, Any]]:
    """Give the states of detectors.

    Parameters
    ----------
    detectors : mapping of str to Detector
        Fitted, by sensor.

    Returns
    -------
    dict of str to array
        Keys ``SENSOR/NAME``.
    dict
        By sensor, of what JSON can hold.
    """
    states = {name: made.state() for name, made in detectors.items()}
    tensors: Tensors = {}
    for name, (held, _) in states.items():
        tensors |= under(name, held)
    return tensors, {name: own for name, (_, own) in states.items()}


def detectors_of(
    detector: str, tensors: Mapping[str, np.ndarray], told: Mapping[str, Any]
) -> dict[str, Detector]:
    """Make the detectors that `packed` put away.

    Parameters
    ----------
    detector : str
        Their plug-in's name.
    tensors : mapping of str to array
    told : mapping
        By sensor.

    Returns
    -------
    dict of str to Detector
    """
    maker: Any = load("detectors", detector)
    return {name: maker.from_state(below(tensors, name), own) for name, own in told.items()}


def packed_positions(positions: Mapping[str, Positions]) -> Tensors:
    """Give what places taught, as arrays with keys of their own.

    Parameters
    ----------
    positions : mapping of str to Positions
        By sensor.

    Returns
    -------
    dict of str to array
    """
    tensors: Tensors = {}
    for name, own in positions.items():
        tensors |= under(f"{_PLACES}:{name}", own.state())
    return tensors


def positions_of(tensors: Mapping[str, np.ndarray], sensors: Sequence[str]) -> dict[str, Positions]:
    """Make the positions that `packed_positions` put away.

    Parameters
    ----------
    tensors : mapping of str to array
    sensors : sequence of str

    Returns
    -------
    dict of str to Positions
    """
    return {name: Positions.from_state(below(tensors, f"{_PLACES}:{name}")) for name in sensors}
