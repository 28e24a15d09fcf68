"""From counts to the part's temperature: take away what it did not emit, then ask Planck.

A detector counts what arrives: what the part emits, what it mirrors, and what air and window emit
themselves, each weakened by all that lies behind it. All of these add in counts, so the part's
share is found by subtraction, and its temperature by inverting the camera's Planck curve.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import SensorError
from mmdefect.flir.camera import Air, Planck, Scene

_CELSIUS = 273.15
_VAPOUR = (1.5587, 6.939e-2, -2.7816e-4, 6.8455e-7)


class Balance(NamedTuple):
    """What arrives as a share of what the part emits, and besides it.

    Parameters
    ----------
    share : float, 1
        Of the black body's counts at the part's temperature.
    beside : float, counts
        What mirrored surroundings, air and window add.
    """

    share: float
    beside: float


def balance(planck: Planck, air: Air, scene: Scene) -> Balance:
    """Follow radiation from the part to the detector.

    Parameters
    ----------
    planck : Planck
    air : Air
    scene : Scene

    Returns
    -------
    Balance

    Raises
    ------
    SensorError
        When air or a temperature makes no sense with the camera's constants.

    Notes
    -----
    On its way radiation S becomes τS + (1 - τ)S(T) of the medium it passes: air, window, air.
    A surface of emissivity ε sends εS + (1 - ε)S(reflected).
    """
    in_middle = scene.window_at == "middle"
    ways = (scene.distance / 2, scene.distance / 2) if in_middle else (scene.distance, 0.0)
    before, behind = (transmission(air, scene, way) for way in ways)
    share = scene.emissivity
    beside = (1 - scene.emissivity) * counts_at(planck, scene.reflected_temperature)
    for through, kelvin in (
        (before, scene.air_temperature),
        (scene.window_transmission, scene.window_temperature),
        (behind, scene.air_temperature),
    ):
        share *= through
        beside = beside * through + (1 - through) * counts_at(planck, kelvin)
    return Balance(share, beside)


def transmission(air: Air, scene: Scene, distance: float) -> float:
    """Give the share of radiation that air lets through.

    Parameters
    ----------
    air : Air
    scene : Scene
        Its air temperature and humidity.
    distance : float, m

    Returns
    -------
    float, 1

    Raises
    ------
    SensorError
        When the constants let nothing through, or add to it.
    """
    celsius = scene.air_temperature - _CELSIUS
    powers = (factor * celsius**order for order, factor in enumerate(_VAPOUR))
    root, way = math.sqrt(scene.humidity * _exp(sum(powers))), math.sqrt(distance)
    first = _exp(-way * (air.alpha1 + air.beta1 * root))
    second = _exp(-way * (air.alpha2 + air.beta2 * root))
    through = air.x * first + (1 - air.x) * second
    if not 0 < through <= 1.001:
        raise SensorError(
            f"lets a share of {through:g} through {distance:g} m of air, but one up to 1 was "
            "promised; give distance, air_temperature and humidity in the card's scene"
        )
    return through


def counts_at(planck: Planck, kelvin: float) -> float:
    """Give the counts of a black body.

    Parameters
    ----------
    planck : Planck
    kelvin : float, K

    Returns
    -------
    float, counts

    Raises
    ------
    SensorError
        When the constants have no answer at this temperature.
    """
    below = planck.r2 * (_exp(planck.b / kelvin) - planck.f)
    if not below > 0:
        raise SensorError(
            f"states a temperature of {kelvin:g} K, to which its Planck constants give no counts; "
            "give the temperatures in the card's scene"
        )
    return planck.r1 / below - planck.offset


def kelvin_of(counts: NDArray[np.uint16], planck: Planck, told: Balance) -> NDArray[np.float64]:
    """Turn counts into temperature.

    Parameters
    ----------
    counts : array (y, x), uint16
    planck : Planck
    told : Balance

    Returns
    -------
    array (y, x), float64, K
        NaN where less arrives than the surroundings alone would send.
    """
    own = (counts.astype(np.float64) - told.beside) / told.share + planck.offset
    with np.errstate(all="ignore"):
        kelvin: NDArray[np.float64] = planck.b / np.log(planck.r1 / (planck.r2 * own) + planck.f)
    kelvin[~((own > 0) & np.isfinite(kelvin) & (kelvin > 0))] = np.nan
    return kelvin


def _exp(power: float) -> float:
    """Raise e to a power; infinity where a float holds no more."""
    return math.exp(power) if power < 700 else math.inf
