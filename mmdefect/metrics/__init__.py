"""How good a detector is: metrics of parts and of pixels, each with an interval.

``METRICS`` lists them in the order in which reports print them. What each one means, where it is
from, and how it differs from what others print under the same name: ``docs/metrics.md``.
"""

from mmdefect.metrics.boxes import box_metrics, match_boxes
from mmdefect.metrics.intervals import Estimate, auroc_interval, wilson
from mmdefect.metrics.paired import auroc_replicates, difference
from mmdefect.metrics.part import part_metrics, rates
from mmdefect.metrics.pixel import PRO_POINTS, aupro, pixel_metrics, pixel_replicates

METRICS: tuple[str, ...] = (
    "image_auroc",
    "image_ap",
    "pixel_auroc",
    "pixel_ap",
    "aupro_30",
    "aupro_10",
    "aupro_05",
    "aupro_01",
    "precision",
    "recall",
    "fpr",
    "fnr",
    "box_recall",
    "false_boxes_per_frame",
)

__all__ = [
    "METRICS",
    "PRO_POINTS",
    "Estimate",
    "aupro",
    "auroc_interval",
    "auroc_replicates",
    "box_metrics",
    "difference",
    "match_boxes",
    "part_metrics",
    "pixel_metrics",
    "pixel_replicates",
    "rates",
    "wilson",
]
