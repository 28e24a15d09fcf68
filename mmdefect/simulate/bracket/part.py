"""From a bracket's plan to the part on its fixture."""

from mmdefect.simulate.body import Part
from mmdefect.simulate.bracket.plan import Bracket
from mmdefect.simulate.bracket.shape import milled, steel
from mmdefect.simulate.bracket.skin import bracket_skin
from mmdefect.simulate.fixture import table

STANDOFF_MM = 2.0


def build_bracket(plan: Bracket) -> Part:
    """Build a bracket; draws nothing.

    Parameters
    ----------
    plan : Bracket

    Returns
    -------
    Part
        Fixture, milled body in pieces, inserts and pins, flaws inside.
    """
    skin = bracket_skin(plan)
    bodies = (
        table(plan.standing, plan.thickness + STANDOFF_MM),
        *milled(plan, skin),
        *steel(plan),
        *plan.flaws,
    )
    return Part(bodies, plan.standing.pose)
