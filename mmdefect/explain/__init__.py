"""Explainers: which sensor a verdict came from, where, and beside which good parts.

A module whose name does not begin with an underscore is a plug-in, as everywhere
(``mmdefect.registry``). ``explained`` puts together what one part needs.
"""

from mmdefect.evidence import Match, Neighbour
from mmdefect.explain._explained import explained
from mmdefect.explain._told import Counterfactual, Explanation, Finding, Measure

__all__ = [
    "Counterfactual",
    "Explanation",
    "Finding",
    "Match",
    "Measure",
    "Neighbour",
    "explained",
]
