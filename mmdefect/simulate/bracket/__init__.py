"""A machined aluminium bracket: bosses, a flange that shades, a pocket, steel inserts and pins.

* Bare metal: colour and structured light fight with reflections, infrared mostly sees the room,
  X-rays see everything that is missing inside.
* About half of the good brackets have an additional hole: what is right at one place depends on
  what the other sensors see there.
"""

from mmdefect.simulate.body import Product
from mmdefect.simulate.bracket.defects import KINDS
from mmdefect.simulate.bracket.part import build_bracket
from mmdefect.simulate.bracket.plan import draw_bracket

BRACKET = Product("bracket", "Machined aluminium bracket", draw_bracket, build_bracket, KINDS)
