"""Thermal frames of cracked roads against colour, by what both show: how many are aligned.

    python benchmarks/cracked_roads.py ../shared/data/crack-rgbdt

The thermal camera has another field of view: 1.2 of its (halved) pixels to one of the colour
crop's, centre on centre, is where every capture starts; the first shift may be a fifth of it.
"""

import sys
from collections import Counter

import numpy as np

from mmdefect import Dataset
from mmdefect.alignment import Warp, refine
from mmdefect.alignment.edges import halved, picture_of

SCALE = 1.2
REACH = 0.2


def main() -> None:
    """Count what is refused, and why."""
    dataset = Dataset("crack_rgbdt", sys.argv[1])
    told: Counter[str] = Counter()
    for capture in dataset.captures(dataset.categories[0])[::2]:
        frames = dataset.frames(capture, ["rgb", "infrared"])
        if len(frames) < 2:
            continue
        rgb = halved(picture_of(frames["rgb"].values.mean(0)))
        infrared = halved(picture_of(frames["infrared"].values))
        middles = [(np.array(one.size[::-1]) - 1) / 2 for one in (rgb, infrared)]
        right, down = middles[1] - SCALE * middles[0]
        start = Warp(np.array([[SCALE, 0, right], [0, SCALE, down], [0, 0, 1]]))
        found = refine(rgb.values, infrared.values, start=start, reach=REACH)
        told["aligned" if found.trusted else found.trust.refusal.split("(")[0].strip()] += 1
    for what, count in told.most_common():
        print(f"{count:>3} of {told.total()}: {what}")


if __name__ == "__main__":
    main()
