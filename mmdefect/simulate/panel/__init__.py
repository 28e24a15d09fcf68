"""A woven carbon-fibre panel: twill under resin, titanium fasteners, a label, a bonded pad.

* Colour sees the weave's reflections, which turn with the light; points see the relief; infrared
  sees below the surface after a flash; X-rays see what weighs.
* The doubler pad is bonded at one of two places: what is right at one of them depends on what
  the other sensors see there.
"""

from mmdefect.simulate.body import Product
from mmdefect.simulate.panel.defects import KINDS
from mmdefect.simulate.panel.part import build_panel
from mmdefect.simulate.panel.plan import draw_panel

PANEL = Product("panel", "Woven carbon-fibre panel", draw_panel, build_panel, KINDS)
