"""Registration without calibration: the warp between two sensors' frames, from the frames alone.

``refine`` estimates it and says what it is worth; ``KnownPairs`` does so by captures whose
registration is known; ``together`` joins what several captures say. ``warps`` holds what is
estimated, ``edges``, ``information`` and ``climb`` how, ``trust`` whether to believe it.
``docs/registration.md`` has the method, what was measured, and the limits.
"""

from mmdefect.alignment.known import KnownPair, KnownPairs
from mmdefect.alignment.refine import Alignment, refine
from mmdefect.alignment.several import together
from mmdefect.alignment.trust import Limits, Trust
from mmdefect.alignment.warps import Warp

__all__ = ["Alignment", "KnownPair", "KnownPairs", "Limits", "Trust", "Warp", "refine", "together"]
