"""What an infrared camera makes of heat: radiance in its band, and the temperature it tells.

A camera measures radiance: emitted by the surface, and mirrored from around. The temperature in
its file is the one that a surface of the emissivity set in its menu would have.
"""

from typing import Any

import numpy as np

from mmdefect.simulate.raster import Map, as_map

BAND_UM = (8.0, 14.0)
COLDEST, HOTTEST = 200.0, 500.0
_STEP = 0.25
_SECOND_RADIATION = 14387.77  # µm K
_KELVIN = np.arange(COLDEST, HOTTEST + _STEP, _STEP)


def _planck() -> Any:
    """Integrate Planck's law over the band for a table of temperatures; 1 at 300 K."""
    wavelengths = np.linspace(*BAND_UM, 121)
    exponent = _SECOND_RADIATION / (wavelengths[None, :] * _KELVIN[:, None])
    spectral = 1 / (wavelengths**5 * np.expm1(exponent))
    total = np.trapezoid(spectral, wavelengths, axis=1)
    return total / np.interp(300.0, _KELVIN, total)


_RADIANCE = _planck()


def radiance(kelvin: Any) -> Any:
    """Give a black body's radiance, in units of that at 300 K.

    Parameters
    ----------
    kelvin : array, K
        Between 200 and 500.

    Notes
    -----
    Planck's law over 8–14 µm, the band of an uncooled camera, whose response is taken as flat.
    """
    return np.interp(np.asarray(kelvin), _KELVIN, _RADIANCE)


def temperature(received: Any) -> Any:
    """Give the temperature (K) of a black body of that radiance."""
    return np.interp(received, _RADIANCE, _KELVIN)


def apparent(received: Any, around: float, emissivity: float) -> Map:
    """Give the temperature that a camera tells.

    Parameters
    ----------
    received : array, units of 300 K
        Radiance that reaches it.
    around : float, K
        Temperature of the surroundings, as set in its menu.
    emissivity : float, 1
        As set in its menu.

    Returns
    -------
    Map, K
    """
    own = (received - (1 - emissivity) * radiance(around)) / emissivity
    return as_map(temperature(own))
