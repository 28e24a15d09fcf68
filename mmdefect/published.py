"""Numbers that others published on a data set, to be printed beside ours.

They lie in ``datasets/NAME.published.toml``, beside the card. A number without its source, its
test parts and a word on who measured it invites comparisons that do not hold, so each row carries
them; what is cited from memory or measured by a third party is marked wherever it is printed.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmdefect.cards import card_folder
from mmdefect.errors import CardError

Row = dict[str, Any]

MEAN = "mean"
FUSED = "fused"
_HASH = 12


@dataclass(frozen=True)
class Published:
    """One method's numbers of one metric.

    Parameters
    ----------
    method : str
    sensors : tuple of str
        The sensors it used.
    metric : str
        As in ``results.json``.
    source : str
        Where the numbers were read.
    values : mapping of str to float
        By category, and ``mean`` over all of them.
    test_parts : int or None
        Of the whole data set, where known.
    categories : int or None
        How many the mean is over.
    memory, third_party : bool
        Whether it is cited from memory, and whether others than its authors measured it.
    note : str
    """

    method: str
    sensors: tuple[str, ...]
    metric: str
    source: str
    values: Mapping[str, float]
    test_parts: int | None = None
    categories: int | None = None
    memory: bool = False
    third_party: bool = False
    note: str = ""

    @property
    def marks(self) -> str:
        """What a reader must know: ``mem``, ``third party`` and the note."""
        told = ["mem"] * self.memory + ["third party"] * self.third_party
        return "; ".join([*told, *([self.note] if self.note else [])])


def read_published(card: str) -> list[Published]:
    """Read what was published on a card's data set.

    Parameters
    ----------
    card : str
        The card's name.

    Returns
    -------
    list of Published
        Empty where nothing lies beside the card.

    Raises
    ------
    CardError
        When the file is not as described in ``datasets/README.md``.
    """
    path = card_folder() / f"{card}.published.toml"
    if "/" in card or not path.is_file():
        return []
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
        common = {key: written.get(key) for key in ("test_parts", "categories")}
        return [
            Published(**{**common, **row, "sensors": tuple(row["sensors"])})
            for row in written.get("published", [])
        ]
    except (tomllib.TOMLDecodeError, TypeError, KeyError) as error:
        raise CardError(
            f"{path.name} is not as datasets/README.md describes it: {error}"
        ) from error


def beside_ours(
    published: Sequence[Published], rows: Sequence[Row], manifest: Mapping[str, str]
) -> list[Row]:
    """Put published numbers beside ours.

    Parameters
    ----------
    published : sequence of Published
    rows : sequence of dict
        Of ``results.json``.
    manifest : mapping of str to str
        By category, the hash of what ours were measured on.

    Returns
    -------
    list of dict
        One per number: ``category``, ``metric``, ``method``, ``sensors``, ``value``, ``source``,
        ``test_parts``, ``marks``; and ``ours`` with ``ours_sensor``, ``ours_parts`` and
        ``manifest``. ``ours`` is None where we have no such number, and for means over other
        categories than ours.
    """
    measured = {(row["category"], row["sensor"]): row for row in rows}
    categories = list(dict.fromkeys(row["category"] for row in rows))
    found = []
    for one in published:
        for category in [*categories, MEAN]:
            if category in one.values:
                found.append(_beside(one, category, measured, categories, manifest))
    return found


def _beside(
    one: Published,
    category: str,
    measured: Mapping[tuple[str, str], Row],
    categories: Sequence[str],
    manifest: Mapping[str, str],
) -> Row:
    """Make one line."""
    own = _own_sensor(one, {sensor for _, sensor in measured})
    chosen = categories if category == MEAN else [category]
    complete = category != MEAN or len(categories) == one.categories
    rows = [measured.get((name, own)) for name in chosen] if own and complete else []
    values = [
        row[one.metric] for row in rows if row is not None and row.get(one.metric) is not None
    ]
    ours = sum(values) / len(values) if values and len(values) == len(chosen) else None
    there = [row for row in rows if row is not None]
    return {
        "category": category,
        "metric": one.metric,
        "method": one.method,
        "sensors": list(one.sensors),
        "value": float(one.values[category]),
        "source": one.source,
        "test_parts": one.test_parts,
        "marks": one.marks,
        "ours": ours,
        "ours_sensor": own if ours is not None else None,
        "ours_parts": sum(row["n_good"] + row["n_defect"] for row in there) if there else None,
        "manifest": " ".join(manifest[name][:_HASH] for name in chosen if name in manifest)
        if ours is not None
        else None,
    }


def _own_sensor(one: Published, there: set[str]) -> str | None:
    """Tell which of our rows used the same sensors: one sensor's, or the fusion's of exactly these.

    A fusion of other sensors is other work and stands beside nothing.
    """
    if len(one.sensors) == 1:
        return one.sensors[0] if one.sensors[0] in there else None
    return FUSED if set(one.sensors) == there - {FUSED} else None
