"""The ablation of one category, from a card and a folder to a table."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmdefect.ablation.arms import (
    COMPARED,
    PART,
    Measured,
    arms_of,
    compared,
    measured,
    row_of,
    rows_per_kind,
)
from mmdefect.ablation.best import best_sensors, chosen_elsewhere
from mmdefect.ablation.scoring import Scored, scored
from mmdefect.ablation.tables import markdown
from mmdefect.cache import SceneCache, card_key
from mmdefect.cards import Card
from mmdefect.dataset import Dataset
from mmdefect.errors import CardError, MmdefectError, UnknownNameError
from mmdefect.evaluate import out_folder
from mmdefect.fitting import one_category
from mmdefect.learning import Learning, check_features
from mmdefect.progress import track
from mmdefect.registry import names
from mmdefect.results import header, write_json
from mmdefect.settings import Settings
from mmdefect.trial import capture_told
from mmdefect.work import Work

Row = dict[str, Any]

KINDS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "banks": ("late", {}),
    "transformer": ("transformer", {"sources": ["transformer"]}),
    "both": ("transformer", {"sources": ["bank", "transformer"]}),
    "mapping": ("mapping", {}),
    "concat": ("concat", {}),
}
"""Kinds of fusion by the name that the table gives them: plug-in, and what it is told."""

_PART_NUMBERS = (PART, "recall", "fpr")


def kinds_there() -> tuple[str, ...]:
    """List the kinds of fusion whose plug-in is installed.

    Returns
    -------
    tuple of str
    """
    return tuple(kind for kind, (plug_in, _) in KINDS.items() if plug_in in names("fusion"))


def ablate(
    card: Card | str | Path,
    root: str | Path,
    out: str | Path,
    *,
    category: str = "",
    kinds: Sequence[str] = (),
    settings: Settings | None = None,
    cache: SceneCache | None = None,
) -> Row:
    """Fit each kind of fusion once, score the test parts once, measure all that can be left out.

    Parameters
    ----------
    card : Card, str or Path
        A card, its name, or a TOML file.
    root : str or Path
        The folder of the captures; nothing is written there.
    out : str or Path
        The folder for ``ablation.json`` and ``ablation.md``.
    category : str
        The kind of part; may be left out where there is only one.
    kinds : sequence of str
        Kinds of fusion; all that are there when empty. Of the first one sensors are taken away,
        and with all its sensors it is what the other rows are held against.
    settings : Settings, optional
        ``fusion`` is not looked at.
    cache : SceneCache, optional
        Where scenes are kept.

    Returns
    -------
    dict
        What ``ablation.json`` holds.

    Raises
    ------
    MmdefectError
        When there is nothing to ablate, or nothing could be learnt.
    """
    settings, kinds = settings or Settings(), _checked(kinds)
    dataset = Dataset(card, root, sensors=settings.sensors or None, cache=cache)
    check_features(dataset, settings)
    category = one_category(dataset, category)
    sensors = dataset.sensors(category)
    if len(sensors) < 2:
        raise CardError(
            f"{category!r} has one sensor only ({', '.join(sensors)}): there is nothing to ablate; "
            "'mmdefect evaluate' measures it"
        )
    folder = out_folder(Path(out), dataset.root)
    work = Work(folder)
    try:
        results = _run(dataset, category, kinds, settings, work)
    except MmdefectError:
        work.remove()
        raise
    finally:
        work.close()
    (folder / "ablation.md").write_text(markdown(results), encoding="utf-8")
    write_json(folder / "ablation.json", results)
    work.remove()
    return results


def _checked(kinds: Sequence[str]) -> tuple[str, ...]:
    """Hold the wanted kinds of fusion against those that are there."""
    there = kinds_there()
    unknown = [kind for kind in kinds if kind not in there]
    if unknown:
        raise UnknownNameError(
            f"no kind of fusion named {unknown[0]!r}; there are: {', '.join(there)}"
        )
    return tuple(dict.fromkeys(kinds)) or there


def _run(
    dataset: Dataset, category: str, kinds: Sequence[str], settings: Settings, work: Work
) -> Row:
    """Score by every kind of fusion, then measure; a kind that cannot be had here is a note."""
    found: list[Scored] = []
    failures: list[MmdefectError] = []
    for number, kind in enumerate(kinds):
        plug_in, options = KINDS[kind]
        learning = Learning(dataset, category, replace(settings, fusion=plug_in))
        fit, calibrate, test = learning.fit_parts, learning.calibration_parts, learning.test_parts()
        manifest = dataset.manifest([*fit, *calibrate, *test])
        sides = [[capture_told(capture) for capture in side] for side in (fit, calibrate, test)]
        features = learning.feature_names
        shaping = [learning.told(), options, features, card_key(dataset.card), manifest, sides]
        place = work.category(number, f"{category} by {kind}", shaping)
        if plug_in == "transformer":  # one training for all kinds that use it
            options = options | {"checkpoint": _training(work, shaping)}
        try:
            found.append(scored(kind, options, learning, test, place))
        except MmdefectError as error:
            failures.append(error)
            dataset.notes.append(f"{kind} is left out: {error}")
    if not found:
        raise failures[0]
    told = {**asdict(settings), "sensors": list(settings.sensors), "kinds": list(kinds)}
    del told["fusion"]
    results = header({**told, "card": dataset.card.name, "root": dataset.root.name})
    del results["captures"]
    results["category"] = category
    results["manifest"] = {category: manifest}
    results["features"] = {category: features}
    counts = {"fit": len(fit), "calibration": len(calibrate), "test": len(test)}
    results["splits"] = {category: counts}
    results["smallest_false_alarm"] = {category: found[0].inspection.smallest_false_alarm}
    results |= _table(found, settings.seed, learning.knows_good)
    results["refused"] = [refusal._asdict() for refusal in dict.fromkeys(dataset.refused)]
    results["notes"] = list(dict.fromkeys(dataset.notes))
    return results


def _training(work: Work, shaping: list[Any]) -> Path:
    """Name the folder where a training is kept, whatever sources the fusion has besides."""
    told = json.dumps([part for part in shaping if part is not shaping[1]], sort_keys=True)
    return work.folder / f"training-{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def _table(found: Sequence[Scored], seed: int, knows_good: bool) -> Row:
    """Measure every arm, and hold it against all sensors and against the best one."""
    captures = found[0].captures
    truth = np.array([capture.label == "defect" for capture in captures])
    arms = arms_of(found)
    told = [measured(arm, seed) for arm in track(arms, len(arms), "measuring")]
    if not knows_good:
        told = [
            one._replace(scores=one.scores * np.nan, called=one.called * np.nan) for one in told
        ]
    rows = [row_of(one, truth, seed) for one in told]
    singles = [one for one in told if one.arm.group == "sensor"]
    best = best_sensors(rows[: len(singles)])
    full = next(one for one in told if one.arm.group == "fusion")
    by_name = {one.arm.name: one for one in singles}
    for row, one in zip(rows, told, strict=True):
        row["to_full"] = compared(one, full, truth, seed)
        row["to_best_sensor"] = _to_best(one, best, by_name, truth, seed)
    elsewhere = chosen_elsewhere(singles, truth, [capture.kind for capture in captures], seed)
    return {
        "rows": rows,
        "rows_per_kind": rows_per_kind(told, truth, [capture.kind for capture in captures]),
        "best_sensor": best,
        "best_sensor_chosen_elsewhere": elsewhere if knows_good else None,
    }


def _to_best(
    one: Measured, best: Mapping[str, str], by_name: Mapping[str, Measured], truth: Any, seed: int
) -> dict[str, list[float | None]]:
    """Hold an arm against the sensor that is best by each metric."""
    return {
        metric: compared(one, by_name[best[metric]], truth, seed)[metric]
        if metric in best
        else [None, None, None]
        for metric in COMPARED
    }
