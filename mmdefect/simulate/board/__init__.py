"""A populated circuit board under power: the product on which all four sensors have work to do.

* What is seen from above: prints, residue, components. What stands up: their heights, the board's
  bow. What works: heat. What is below: solder. No sensor has all of it.
* Heat where no component stands is inconsistent: each sensor alone has seen the like on good
  boards. A capacitor in the other maker's colours is nearly so, but for the shadow it throws.
"""

from mmdefect.simulate.board.assembly import (
    dead_component,
    displaced_component,
    hot_spot,
    missing_component,
    null,
    tilted_component,
    warp,
    wrong_component,
    wrong_height,
)
from mmdefect.simulate.board.build import build
from mmdefect.simulate.board.plan import draw
from mmdefect.simulate.board.soldering import (
    contamination,
    misprint,
    no_solder,
    solder_bridge,
    solder_void,
)
from mmdefect.simulate.body import Kind, Product

KINDS = {
    "contamination": Kind("surface", contamination, share=0.5),
    "dead_component": Kind("subsurface", dead_component, share=6),
    "displaced_component": Kind("structural", displaced_component),
    "hot_spot": Kind("inconsistent", hot_spot, share=0.5),
    "misprint": Kind("surface", misprint, share=0.5),
    "missing_component": Kind("structural", missing_component, share=5),
    "no_solder": Kind("internal", no_solder),
    "null": Kind("null", null),
    "solder_bridge": Kind("surface", solder_bridge, share=0.5),
    "solder_void": Kind("internal", solder_void),
    "tilted_component": Kind("geometric", tilted_component),
    "warp": Kind("geometric", warp, share=0.5),
    "wrong_component": Kind("structural", wrong_component, share=2),
    "wrong_height": Kind("structural", wrong_height, share=0.5),
}
BOARD = Product("board", "populated circuit board", draw, build, KINDS)
