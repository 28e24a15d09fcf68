"""Ablations: what every sensor, every subset of them and every kind of fusion is worth.

A fusion that is not held against its best sensor proves nothing, and a table put together from
five runs compares five draws of everything. Here each kind of fusion is fitted once and scores
every test capture once; all that is left out afterwards (a sensor, a source of evidence) is left
out of the same evidences, so that all rows speak of the same parts and differences are paired.
"""

from mmdefect.ablation.run import KINDS, ablate

__all__ = ["KINDS", "ablate"]
