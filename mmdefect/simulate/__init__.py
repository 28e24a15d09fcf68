"""The simulated rig: a carbon-fibre panel, its defects, and three sensors that look at it.

* Every data set that one may show, ship or test with is made up here, with a truth that no real
  data set has: extent, sizes, and each sensor's measured contrast for every defect.
* One direction: the part's numbers → its maps → a defect applied to them → each sensor renders
  the maps → raw files. Sensors know nothing of defects.
* Units are mm, K and s. x runs right and y down in the frame; heights rise towards the sensors.
"""

from mmdefect.simulate.capture import GOOD, KINDS, Capture, render_capture
from mmdefect.simulate.writing import simulate

__all__ = ["GOOD", "KINDS", "Capture", "render_capture", "simulate"]
