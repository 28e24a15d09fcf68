"""From a panel's plan to the part on its fixture."""

from mmdefect.simulate.body import Part
from mmdefect.simulate.fixture import table
from mmdefect.simulate.panel.plan import Panel
from mmdefect.simulate.panel.shape import density, doubler, fasteners, laminate
from mmdefect.simulate.panel.skin import panel_skin

STANDOFF_MM = 4.0


def build_panel(plan: Panel) -> Part:
    """Build a panel; draws nothing.

    Parameters
    ----------
    plan : Panel

    Returns
    -------
    Part
        Fixture, laminate, pad, fasteners, flaws inside; delaminations; the film that stands for
        the fibres' uneven weight.
    """
    skin = panel_skin(plan)
    bodies = (
        table(plan.standing, plan.thickness + STANDOFF_MM),
        laminate(plan, skin),
        doubler(plan, skin),
        *fasteners(plan),
        *plan.flaws,
    )
    return Part(bodies, plan.standing.pose, (density(plan),), plan.delaminations)
