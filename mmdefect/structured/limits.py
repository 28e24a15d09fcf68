"""What a pixel must reach to be believed, as shares of the camera's range: for any bit depth."""

from dataclasses import dataclass

import numpy as np

from mmdefect.errors import SensorError


@dataclass(frozen=True)
class Limits:
    """What a pixel must reach to be believed.

    Parameters
    ----------
    snr : float, 1
        Least ratio of signal to noise.
    modulation : float, 1
        Least modulation of the fringes, or half the contrast of stripes, as a share of the range
        of the camera's counts.
    noise : float, 1
        Standard deviation of a count, as a share of the range.
    saturation : float, 1
        Share of the range from which a count says nothing more.
    apart : float, turns
        By how much phases of several periods may disagree.
    sure : float, 1
        Least contrast of the second weakest stripe, as a share of the strongest.
    neighbours : int
        How many of a pixel's eight neighbours must lie on its surface. A straight rim has five:
        with six every surface loses the pixel where it ends, which often sees two surfaces.
    skew : float, px
        Where columns and rows were coded: by how much the projector's other axis may disagree.
    """

    snr: float = 10.0
    modulation: float = 3 / 255
    noise: float = 2 / 255
    saturation: float = 253 / 255
    apart: float = 0.12
    sure: float = 0.05
    neighbours: int = 6
    skew: float = 2.0

    def __post_init__(self) -> None:
        """Refuse what is no limit."""
        for name in ("snr", "modulation", "noise", "saturation", "apart", "sure", "skew"):
            limit = getattr(self, name)
            if not 0 <= limit < np.inf or (name in ("noise", "saturation") and limit == 0):
                raise SensorError(
                    f"{name} is {limit!r}, but a positive number was promised; correct the limits"
                )
        if not 0 <= self.neighbours <= 8:
            raise SensorError(f"neighbours is {self.neighbours!r}, but 0 to 8 was promised")
