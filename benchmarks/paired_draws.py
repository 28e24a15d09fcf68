"""Thousands of bootstrapped AUROCs over the same parts, as products of matrices.

The mean over seeds, and over drawn stand-ins, of an AUROC is that of one matrix: the mean of who
ranks above whom. So a table of a product takes seconds.
"""

from functools import lru_cache

import numpy as np

REPLICATES = 1000


def wins(good: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Which defective part ranks above which good one (good, bad): 1, for ties ½."""
    one, other = good[:, None], bad[None]
    return (other > one) + 0.5 * (other == one)


def replicated(won: np.ndarray) -> np.ndarray:
    """AUROC and its replicates, of ``wins``; a mean of wins gives the mean of the AUROCs.

    Equal to `mmdefect.metrics.auroc_replicates`, of which thousands would be asked here.
    """
    good, bad = _drawn(*won.shape)
    told: np.ndarray = ((good @ won) * bad).sum(1) / won.size
    return told


@lru_cache(maxsize=64)
def _drawn(*parts: int) -> list[np.ndarray]:
    """How often every part is there (1 + replicate, part), for good and for defective ones."""
    rng = np.random.default_rng(0)
    drawn = [rng.multinomial(n, np.full(n, 1 / n), size=REPLICATES) for n in parts]
    return [np.vstack([np.ones(n), own]) for n, own in zip(parts, drawn, strict=True)]
