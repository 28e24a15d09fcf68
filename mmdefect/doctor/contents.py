"""What is there, from names alone: enough parts on every side of the split, and every sensor.

These are the mistakes that cost most and show least: a detector fits whatever it is given, and a
test without good parts still prints numbers.
"""

from collections import Counter
from collections.abc import Iterator

from mmdefect.capture_notes import series_on_both_sides
from mmdefect.captures import Capture
from mmdefect.dataset import Dataset
from mmdefect.division import divide
from mmdefect.doctor.findings import DOUBTFUL, GOOD_TO_KNOW, MOST_NAMED, WRONG, Finding
from mmdefect.verdict import parts_needed

FALSE_ALARM = 0.05
_FEW_GOOD = 20
_TELLING = 0.5


def contents(dataset: Dataset, category: str) -> dict[str, dict[str, int]]:
    """Count captures.

    Parameters
    ----------
    dataset : Dataset
    category : str

    Returns
    -------
    dict of str to dict of str to int
        By split, then by kind.
    """
    counted = Counter((c.split, c.kind) for c in dataset.captures(category))
    told: dict[str, dict[str, int]] = {}
    for (split, kind), count in sorted(counted.items()):
        told.setdefault(split, {})[kind] = count
    return told


def split_findings(dataset: Dataset, category: str) -> Iterator[Finding]:
    """Tell whether there is enough to learn from, to calibrate and to test.

    Parameters
    ----------
    dataset : Dataset
    category : str

    Yields
    ------
    Finding
    """

    def told(severity: str, what: str, why: str, do: str, count: int = 0) -> Finding:
        return Finding(severity, "split", category, "", what, why, do, count)

    train, extra, test = (
        dataset.captures(category, split) for split in ("train", "calibration", "test")
    )
    good = [c for c in (*train, *extra) if c.label == "good"]
    teaching = [c for c in (*train, *extra) if dataset.teaches(c)]
    bad = [c for c in (*train, *extra) if c.label != "good"]
    by_pixels = dataset.card.truth.good_pixels is not None
    if not good:
        yield told(
            GOOD_TO_KNOW if teaching else WRONG,
            f"no good part to learn from among {len(train) + len(extra)} captures outside the test "
            "split",
            "a detector learns what good parts look like; no part-level number is defined without",
            "nothing: good pixels of defective captures are learnt from, as the card says"
            if teaching
            else "record good parts, or, where masks say which pixels are defective, set "
            "[learn] good_pixels in the card",
        )
    elif bad and not by_pixels:
        yield told(
            DOUBTFUL,
            f"{len(bad)} defective captures lie outside the test split",
            "they are not learnt from, and they are not tested either",
            "move them to the test split",
            len(bad),
        )
    if teaching:
        _, calibrate = divide(
            [c for c in train if dataset.teaches(c)],
            [c for c in extra if dataset.teaches(c)],
            FALSE_ALARM,
            0,
        )
        needed = parts_needed(FALSE_ALARM)
        if len(calibrate) < needed and good:
            yield told(
                DOUBTFUL,
                f"only {len(calibrate)} good parts would be left to calibrate on",
                f"a false-alarm rate of {FALSE_ALARM:.0%} takes at least {needed}; with fewer, "
                f"every verdict at that rate is 'refer'",
                "record more good parts, or ask for a higher rate",
                len(calibrate),
            )
    yield from _test_findings(test, category, bool(good))


def _test_findings(test: list[Capture], category: str, has_good: bool) -> Iterator[Finding]:
    """Tell what the test split can and cannot measure."""

    def told(severity: str, what: str, why: str, do: str, count: int = 0) -> Finding:
        return Finding(severity, "split", category, "", what, why, do, count)

    good = sum(c.label == "good" for c in test)
    if not test:
        yield told(
            DOUBTFUL, "no part to test", "nothing can be measured", "add a test split to the card"
        )
    elif not good:
        yield told(
            DOUBTFUL if has_good else GOOD_TO_KNOW,
            f"none of the {len(test)} test captures is good",
            "neither an AUROC nor a false-alarm rate is defined",
            "add good parts that were not learnt from",
        )
    elif good == len(test):
        yield told(
            DOUBTFUL,
            f"none of the {len(test)} test captures is defective",
            "what is missed cannot be measured",
            "add defective parts, or read the false-alarm rate only",
        )
    elif good < _FEW_GOOD:
        yield told(
            GOOD_TO_KNOW,
            f"{good} good test parts",
            f"one of them moves the false-alarm rate by {1 / good:.0%} and the AUROC by up to "
            f"{1 / good:.2f}",
            "read intervals, not values; record more good test parts",
            good,
        )


def series_findings(dataset: Dataset, category: str) -> Iterator[Finding]:
    """Tell which parts were captured several times, and whether one is on both sides.

    Parameters
    ----------
    dataset : Dataset
    category : str

    Yields
    ------
    Finding
    """
    sides: dict[str, Counter[tuple[str, str]]] = {}
    for capture in dataset.captures(category):
        if capture.series:
            sides.setdefault(capture.series, Counter())[capture.split, capture.label] += 1
    if sides:
        told = "; ".join(
            f"{series}: "
            + ", ".join(f"{n} {label} ({split})" for (split, label), n in found.items())
            for series, found in sorted(sides.items())
        )
        yield Finding(
            GOOD_TO_KNOW,
            "series",
            category,
            "",
            f"{len(sides)} parts with several captures each: {told}",
            "captures of one part are alike: they count as one part, and intervals are too narrow",
            "keep each on one side of the split, as the card does",
            len(sides),
        )
    both = series_on_both_sides(dataset.captures(category))
    if both:
        yield Finding(
            WRONG,
            "series",
            category,
            "",
            f"captures of {', '.join(both[:MOST_NAMED])} are both learnt from and tested",
            "the test then measures how well a known part is recognised, not a new one",
            "assign each series to one split in the card's [assign]",
            len(both),
        )


def sensor_findings(dataset: Dataset, category: str) -> Iterator[Finding]:
    """Tell which sensors are missing, and where.

    Parameters
    ----------
    dataset : Dataset
    category : str

    Yields
    ------
    Finding
    """
    captures = dataset.captures(category)
    for name in dataset.sensors(category):
        lacking = [c for c in captures if name not in c.frames]
        if lacking:
            yield _lacking(dataset, captures, lacking, name)
    registered = {dataset.reference(category), *dataset.card.registered}
    for name in dataset.sensors(category):
        if name not in registered:
            yield Finding(
                GOOD_TO_KNOW,
                "registration",
                category,
                name,
                f"{name} is not registered to {dataset.reference(category)}",
                "it is fused per part only, and masks say nothing about its pixels",
                "if it shares the field of view pixel by pixel, add it to the card's 'registered'; "
                "else register it",
            )


def _lacking(
    dataset: Dataset, captures: list[Capture], lacking: list[Capture], name: str
) -> Finding:
    """Weigh the absence of a sensor."""
    learnt = [c for c in captures if c.split != "test" and dataset.teaches(c)]
    test = [c for c in captures if c.split == "test"]
    gone = {c.id for c in lacking}

    def share(group: list[Capture]) -> float:
        return sum(c.id in gone for c in group) / len(group) if group else 0.0

    severity, why = GOOD_TO_KNOW, "the verdict rests on the other sensors there"
    do = "nothing, if the absence has nothing to do with the part"
    good, bad = ([c for c in test if c.label == label] for label in ("good", "defect"))
    if len(lacking) == len(captures):
        severity, why = DOUBTFUL, "the sensor has no say"
        do = f"check the folder's name, or leave {name} out with --sensors"
    elif learnt and share(learnt) == 1 and share(test) < 1:
        severity, why = WRONG, "it cannot be learnt, though test captures have it"
        do = "add its frames of the good training parts"
    elif good and bad and abs(share(good) - share(bad)) > _TELLING:
        severity = DOUBTFUL
        why = (
            f"{share(good):.0%} of the good and {share(bad):.0%} of the defective test captures "
            "lack it: its absence tells the label"
        )
        do = "record it for all parts, or leave it out"
    return Finding(
        severity,
        "sensors",
        captures[0].category,
        name,
        f"{len(lacking)} of {len(captures)} captures have no {name} frame",
        why,
        do,
        len(lacking),
        tuple(c.id for c in lacking[:MOST_NAMED]),
    )
