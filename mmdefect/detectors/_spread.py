"""How far features of good patches usually lie from their median: what a change is measured by."""

import torch


def spread_of(absolute: torch.Tensor) -> torch.Tensor:
    """Give each feature's spread: between that of most patches and that of the busiest.

    The median alone is the background's on a small part before a dark cloth, and then the
    background's noise counts as much as the part; the 95 % quantile alone is the rivets', and a
    dent counts nothing. Their geometric mean serves both.

    Parameters
    ----------
    absolute : Tensor (row, feature), float32
        Distances from the median.

    Returns
    -------
    Tensor (feature,), float32
        Positive.
    """
    usual = absolute.median(0).values
    busy = absolute.kthvalue(max(1, round(0.95 * len(absolute))), 0).values
    spread = (usual * busy).sqrt()
    return torch.where(spread > 0, spread, absolute.mean(0)).clamp_min(1e-9)
