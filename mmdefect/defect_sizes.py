"""Joins an evaluation with the sizes of its defects, and fits detection against size.

Sizes come from the ``truth.json`` of a simulated data set, where each kind has its own measures,
or from a table (CSV) with the columns ``capture`` and one for each measure, as somebody with a
microscope writes it.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmdefect.errors import CardError, MmdefectError
from mmdefect.pod import Pod, hit_miss, signal_response

Row = dict[str, Any]

FUSED = "fused"
_MOST_BYTES = 256 << 20


def read_sizes(path: Path) -> dict[str, dict[str, float]]:
    """Read the measures of defects.

    Parameters
    ----------
    path : Path
        ``truth.json``, or a table in CSV.

    Returns
    -------
    dict of str to dict of str to float
        By capture, by measure; a measure names its unit (``diameter_mm``).

    Raises
    ------
    CardError
        When it cannot be read, or holds something else.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise CardError(
                f"'{path}' has more than {_MOST_BYTES >> 20} MiB; no table of sizes has"
            )
        text = path.read_text(encoding="utf-8")
        if path.suffix.lower() == ".json":
            captures = json.loads(text)["captures"]
            return {name: dict(told["sizes"]) for name, told in captures.items()}
        return dict(_of_table(text, path))
    except OSError as error:
        raise CardError(f"'{path}' cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CardError(
            f"'{path}' holds no sizes ({error}); truth.json of a simulated data set, or a table "
            "(CSV) with the columns 'capture' and one for each measure was promised"
        ) from error


def read_results(path: Path) -> Row:
    """Read what an evaluation wrote.

    Parameters
    ----------
    path : Path
        ``results.json``, or its folder.

    Returns
    -------
    dict

    Raises
    ------
    CardError
        When it cannot be read, or is no such file.
    """
    file = path / "results.json" if path.is_dir() else path
    try:
        results: Row = json.loads(file.read_text(encoding="utf-8"))
        missing = {"captures", "rows", "false_alarm"} - results.keys()
    except (OSError, ValueError, AttributeError) as error:
        raise CardError(f"'{file}' is not the results.json of an evaluation: {error}") from error
    if missing:
        raise CardError(f"'{file}' lacks {', '.join(sorted(missing))}: it is no results.json")
    return results


def _of_table(text: str, path: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """Go through the rows of a table; an empty cell is a measure that was not taken."""
    for row in csv.DictReader(text.splitlines()):
        name = row.pop("capture")
        yield name, {key: float(value) for key, value in row.items() if value and value.strip()}


def detection_rows(
    results: Mapping[str, Any], sizes: Mapping[str, Mapping[str, float]], measure: str = ""
) -> list[Row]:
    """Fit a curve for every category, kind and sensor of an evaluation.

    Parameters
    ----------
    results : mapping
        As ``results.json`` holds it.
    sizes : mapping of str to mapping of str to float
        As `read_sizes` gives them.
    measure : str, optional
        The measure to use; by default each kind's first in alphabetical order that is not the
        same for all its parts.

    Returns
    -------
    list of dict
        ``category``, ``kind``, ``sensor`` (``fused`` for all), ``measure``, ``hit_miss`` and
        ``signal_response``: a `Pod`, or a text that says why there is none.

    Raises
    ------
    MmdefectError
        When no defect of the evaluation has a size.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for capture in results["captures"]:
        if capture["label"] == "defect" and sizes.get(capture["capture"]):
            groups.setdefault((capture["category"], capture["kind"]), []).append(capture)
    thresholds = {(row["category"], row["sensor"]): row["threshold"] for row in results["rows"]}
    chosen = {key: _measure(parts, sizes, measure) for key, parts in groups.items()}
    rows = [
        {"category": category, "kind": kind, "sensor": sensor, "measure": name}
        | _curves(
            parts,
            [sizes[part["capture"]][name] for part in parts],
            sensor,
            thresholds.get((category, sensor)),
        )
        for (category, kind), parts in sorted(groups.items())
        if (name := chosen[category, kind])
        for sensor in [*parts[0]["sensors"], FUSED]
    ]
    if not rows:
        raise MmdefectError(
            "no defect of the evaluation has a size"
            + (f" named {measure!r}" if measure else "")
            + "; captures are named as in results.json: category/split/kind/name"
        )
    return rows


def _measure(parts: list[Row], sizes: Mapping[str, Mapping[str, float]], wanted: str) -> str:
    """Choose the measure of a kind; empty where there is none."""
    told = [sizes[part["capture"]] for part in parts]
    shared = sorted(set.intersection(*map(set, told)))
    if wanted:
        return wanted if wanted in shared else ""
    return next((name for name in shared if len({own[name] for own in told}) > 1), "")


def _curves(parts: list[Row], sizes: list[float], sensor: str, threshold: float | None) -> Row:
    """Fit both curves of one sensor, to the parts that had it."""
    if sensor == FUSED:
        told = [(part["image_score"], part["verdict"]) for part in parts]
    else:
        own = [part["sensors"][sensor] for part in parts]
        told = [(one["score"], one["verdict"]) for one in own]
    seen = [n for n, (height, _) in enumerate(told) if height is not None]
    lengths, heights = [sizes[n] for n in seen], [told[n][0] for n in seen]
    hits = [told[n][1] == "defect" for n in seen]
    found: Row = {"hit_miss": _tried(lambda: hit_miss(lengths, hits))}
    if threshold is None:
        found["signal_response"] = "there is no threshold at the rate asked for"
    else:
        limit = threshold
        found["signal_response"] = _tried(lambda: signal_response(lengths, heights, limit))
    return found


def _tried(fit: Callable[[], Pod]) -> Pod | str:
    """Fit, or tell why that cannot be done."""
    try:
        return fit()
    except MmdefectError as error:
        return str(error)
