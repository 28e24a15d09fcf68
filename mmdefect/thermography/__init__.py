"""Sequences of thermograms as a few channels that tell what lies below the surface.

One thermogram after a flash shows uneven heating and emissivity before it shows a flaw. How a
pixel's temperature *changes* tells the flaw: when heat that sinks meets it, the surface above
cools later. Four ways to say so, each with channels in units of their own (coordinate
``channel_unit``): lock-in [1]_, pulsed phase [2]_, principal components [3]_ and the
reconstruction of the cooling's logarithm [4]_.

References
----------
.. [1] Busse, Wu, Karpen: Thermal wave imaging with phase sensitive modulated thermography, J. Appl.
   Phys. 71, 1992.
.. [2] Maldague, Marinetti: Pulse phase infrared thermography, J. Appl. Phys. 79, 1996.
.. [3] Rajic: Principal component thermography for flaw contrast enhancement and flaw depth
   characterisation in composite structures, Compos. Struct. 58, 2002.
.. [4] Shepard, Lhota, Rubadeux, Wang, Ahmed: Reconstruction and enhancement of active
   thermographic image sequences, Opt. Eng. 42, 2003.
"""

from mmdefect.thermography.components import principal_components
from mmdefect.thermography.harmonics import lockin, pulsed_phase
from mmdefect.thermography.reconstruction import reconstruction

__all__ = ["lockin", "principal_components", "pulsed_phase", "reconstruction"]
