"""Metrics of pixels: one score map and one mask a capture.

* Exact. AUPRO below a false positive rate of 1 % depends on the thresholds that are tried: on
  grids of about 100, the literature's habit, that area is a single straight segment. Here every
  distinct score is a threshold. The literature's values are given too, under names of their own,
  because old tables can only be compared with those.
* In bounded memory. A test set of full-size maps may be larger than memory; the maps are read as
  often as needed, and what is kept of them stays within a budget.
"""

import numpy as np

from mmdefect.metrics._bootstrap import replicates
from mmdefect.metrics._collect import collect, survey
from mmdefect.metrics._pixels import Floats, Maps
from mmdefect.metrics._sweep import AUPRO_LIMITS, EXACT, GRIDS, PRO_AT, Sweep
from mmdefect.metrics._top import top_areas
from mmdefect.metrics.intervals import UNDEFINED, Estimate, percentile_interval

PRO_POINTS = {f"pro_at_{at:g}": at for at in PRO_AT}
"""Names of the points of the curve of overlaps, and their false positive rates."""
PIXEL_METRICS = (
    *EXACT,
    *(f"{name}_grid{n}" for n in GRIDS for name in AUPRO_LIMITS),
    *PRO_POINTS,
)


def pixel_metrics(
    maps: Maps, *, byte_budget: int = 256 * 2**20, seed: int = 0, level: float = 0.95
) -> dict[str, Estimate]:
    """Measure how well score maps rank defect pixels above defect-free ones.

    Parameters
    ----------
    maps : iterable of (float32 array (y, x), bool array (y, x)), with a length
        Score map, higher is worse, and mask of each capture, True where the part is defective.
        Captures may differ in size. Read several times, each time in the same order. A score that
        is not finite counts as the lowest finite one of its map, and a map without any as lower
        than all others.
    byte_budget : int
        What all collected pixels together may take. Besides come the work on one capture and
        tables of about 40 MB.
    seed : int
        Seed of the bootstrap.
    level : float
        Confidence level of the intervals, between 0 and 1.

    Returns
    -------
    dict of str to Estimate
        ``pixel_auroc``, ties counting half; ``pixel_ap``, the average precision without
        interpolation; ``aupro_30``, ``aupro_10``, ``aupro_05`` and ``aupro_01``, the mean overlap
        of defect regions [1]_ up to a false positive rate of 30, 10, 5 and 1 %, divided by that
        rate. Their intervals are approximate: percentiles of 200 replicates that redraw captures
        with and without defects within their group, on about 2,000 bins.
        ``aupro_30_grid99`` to ``aupro_01_grid100``: the same areas on 99 and 100 thresholds,
        equidistant in rank, as the literature's code computes them [2]_; without intervals.
        ``pro_at_0`` to ``pro_at_0.3`` (``PRO_POINTS``): the mean overlap of defect regions at
        that false positive rate, without intervals: points of the curve AUPRO is the area of.
        Undefined without any defect pixel or without any defect-free one.

    Raises
    ------
    SceneError
        When a map or mask is of the wrong type or shape, or when a second reading of the maps
        does not give the promised number of captures.

    References
    ----------
    .. [1] P. Bergmann, K. Batzner, M. Fauser, D. Sattlegger, C. Steger, "The MVTec Anomaly
       Detection Dataset", International Journal of Computer Vision 129, 2021, 1038-1059.
    .. [2] A. Costanzino, P. Zama Ramirez, G. Lisanti, L. Di Stefano, "Multimodal Industrial
       Anomaly Detection by Crossmodal Feature Mapping", CVPR 2024 (99 thresholds).

    Examples
    --------
    >>> import numpy as np
    >>> score_map = np.array([[0, 1], [2, 3]], dtype=np.float32)
    >>> pixel_metrics([(score_map, score_map > 2)])["aupro_01"].value
    1.0
    """
    sweep, drawn = _measured(maps, byte_budget, seed)
    if sweep is None:
        return dict.fromkeys(PIXEL_METRICS, UNDEFINED)
    estimates = {
        name: percentile_interval(value, drawn[name], level)
        if drawn[name].size
        else Estimate(value, None, None)
        for name, value in sweep.exact().items()
    }
    on_grids = {name: Estimate(value, None, None) for name, value in sweep.on_grids().items()}
    curve = sweep.curve()
    points = {name: Estimate(curve[at], None, None) for name, at in PRO_POINTS.items()}
    return estimates | on_grids | points


def aupro(maps: Maps, *, byte_budget: int = 256 * 2**20) -> dict[str, float]:
    """Measure AUPRO alone, exactly, at all limits, in half the time of all metrics.

    Parameters
    ----------
    maps, byte_budget
        As `pixel_metrics` takes them.

    Returns
    -------
    dict of str to float
        ``aupro_30``, ``aupro_10``, ``aupro_05`` and ``aupro_01`` as `pixel_metrics` gives them,
        without intervals. NaN without any defect pixel or without any defect-free one.

    Raises
    ------
    SceneError
        As `pixel_metrics` raises it.

    Examples
    --------
    >>> import numpy as np
    >>> score_map = np.array([[0, 1], [2, 3]], dtype=np.float32)
    >>> aupro([(score_map, score_map > 1)])["aupro_30"]
    1.0
    """
    areas = top_areas(maps, byte_budget)
    return dict.fromkeys(AUPRO_LIMITS, np.nan) if areas is None else areas


def pixel_replicates(
    maps: Maps, *, byte_budget: int = 256 * 2**20, seed: int = 0
) -> dict[str, Floats]:
    """Measure score maps on the captures themselves and on redrawn ones, for differences.

    Parameters
    ----------
    maps, byte_budget, seed
        As `pixel_metrics` takes them.

    Returns
    -------
    dict of str to float64 array (1 + replicate,)
        ``pixel_auroc``, ``pixel_ap`` and the exact AUPROs, first that of the captures as they are.
        Replicates of other maps of the same captures with the same seed belong together. NaN
        alone without any defect pixel or without any defect-free one.

    Raises
    ------
    SceneError
        As `pixel_metrics` raises it.
    """
    sweep, drawn = _measured(maps, byte_budget, seed)
    if sweep is None:
        return {name: np.array([np.nan]) for name in EXACT}
    return {name: np.append(value, drawn[name]) for name, value in sweep.exact().items()}


def _measured(maps: Maps, byte_budget: int, seed: int) -> tuple[Sweep | None, dict[str, Floats]]:
    """Sweep all thresholds, and redraw the captures; None where nothing is defined."""
    found = survey(maps, byte_budget)
    if not found.totals.good or not found.totals.defect:
        return None, {}
    sweep = Sweep(found.totals)
    for steps in collect(found, byte_budget):
        sweep.add(steps)
    return sweep, replicates(sweep.exact(), found, sweep.edges(), seed=seed)
