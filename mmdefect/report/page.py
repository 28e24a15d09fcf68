"""One page that holds everything: no server, no network, no file beside it.

* Its content-security policy forbids every outside request, so a page that was mailed can be
  opened in a plant that has no network, and tells nobody that it was.
* Captures are written one after the other as they come; a page of hundreds needs the memory of
  one.
* Complete without JavaScript; the script only adds a filter.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from mmdefect.report.card import clean
from mmdefect.report.colors import COLOR_MAPS, css_gradient
from mmdefect.report.costs import costs_section
from mmdefect.report.curve import curve_section
from mmdefect.report.curves import curves_section
from mmdefect.report.groups import GROUPS, group_of
from mmdefect.report.numbers import KIND_COLUMNS, Column, columns_of, figure, parts
from mmdefect.report.sections import table_section
from mmdefect.report.tables import (
    PUBLISHED_CAUTION,
    PUBLISHED_HEADINGS,
    headline,
    made_with,
    published_line,
    refusal,
)
from mmdefect.whole import write_whole

Row = dict[str, Any]

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_GROUP = re.compile(r'<article data-group="([a-z_]+)"')
_WORST = ("missed", "false_alarm")
_LONG = 24
"""Rows from which a table scrolls in a window of its own."""


def write_page(path: Path, results: Row, fragments: Iterable[str]) -> None:
    """Write the report as one HTML file, in one go.

    Parameters
    ----------
    path : Path
        Written under a temporary name beside it, then moved into place.
    results : dict
        As in ``results.json``; the headings count all its ``captures``, pictured or not.
    fragments : iterable of str
        From ``capture_card``, sorted by ``mistake_rank``; taken one at a time.

    Raises
    ------
    ValueError
        When a fragment is none of ``capture_card``, or they are not sorted.
    """
    counts = Counter(group_of(record) for record in results["captures"])

    def write(unfinished: Path) -> None:
        with unfinished.open("w", encoding="utf-8") as page:
            page.write(_opening(results, counts))
            page.writelines(_grouped(fragments, counts))
            page.write(_ending(results))

    write_whole(path, write)


def _grouped(fragments: Iterable[str], counts: Counter[str]) -> Iterator[str]:
    """Put a heading before the first capture of every group."""
    seen: set[str] = set()
    for group, members in groupby(fragments, _group_named):
        if group in seen:
            raise ValueError(
                f"the group {group!r} came back after another; fragments sorted by mistake_rank "
                "were promised"
            )
        seen.add(group)
        yield from _section(group, members, counts[group])
    for group in GROUPS:
        if counts[group] and group not in seen:
            yield from _section(group, (), counts[group])


def _group_named(fragment: str) -> str:
    """Read the group that a fragment names in its first tag."""
    found = _GROUP.match(fragment)
    if found is None:
        raise ValueError(
            f"a fragment begins with {fragment[:40]!r}; an article from capture_card was promised"
        )
    return found[1]


def _section(group: str, fragments: Iterable[str], count: int) -> Iterator[str]:
    """Write one group, and say so when it is not pictured in full."""
    yield f'<section class="group" id="{group}">\n<h2>{GROUPS[group]} ({count})</h2>\n'
    shown = 0
    for fragment in fragments:
        yield fragment
        shown += 1
    if shown < count:
        yield f'<p class="note">{shown} of {count} are pictured.</p>\n'
    yield "</section>\n"


def _opening(results: Row, counts: Counter[str]) -> str:
    """Write everything above the captures."""
    title = clean(results["card"]["title"] or results["card"]["name"])
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<link rel="icon" href="data:,">\n<title>Inspection report: {title}</title>\n'
        f"<style>\n{_beside('page.css')}{_gradients()}</style>\n</head>\n<body>\n<main>\n"
        f'<header class="top"><h1>{title}</h1>\n'
        f'<p class="headline">{clean(headline(results))}</p>\n{_tally(counts)}</header>\n'
        f"{_listed('Notes', 'notes', [str(note) for note in results['notes']])}"
        f"{_listed('Refused', 'refused', [refusal(one) for one in results['refused']])}"
        f"{_table('Results', results['rows'], columns_of(results['rows']))}"
        f"{curves_section(results['captures'], float(results['false_alarm']), results['rows'])}"
        f"{_table('Per kind of defect', _by_kind(results['rows_per_kind']), KIND_COLUMNS)}"
        f"{costs_section(results.get('costs', []))}"
        f"{curve_section(results.get('few', []))}"
        f"{_published(results.get('published', []))}"
        f"{_LEGEND}"
    )


def _ending(results: Row) -> str:
    """Write everything below the captures."""
    lines = "".join(
        f"<dt>{clean(name)}</dt><dd>{clean(text)}</dd>\n" for name, text in made_with(results)
    )
    return (
        f'<footer><h2>Made with</h2>\n<dl class="made">\n{lines}</dl></footer>\n'
        f"</main>\n<script>\n{_beside('page.js')}</script>\n</body>\n</html>\n"
    )


def _beside(name: str) -> str:
    """Read a file that lies beside this one."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _gradients() -> str:
    """Write the colour maps as rules of style."""
    return "".join(f".ramp.{name} {{ background: {css_gradient(name)}; }}\n" for name in COLOR_MAPS)


def _tally(counts: Counter[str]) -> str:
    """Count the groups where the eye falls first."""
    tiles = []
    for group, heading in GROUPS.items():
        count = counts[group]
        classes = " ".join(
            [group, *(["some"] if count else []), *(["worst"] if group in _WORST else [])]
        )
        text = f"<b>{count}</b> {heading.lower()}"
        inside = f'<a href="#{group}">{text}</a>' if count else f"<span>{text}</span>"
        tiles.append(f'<li class="{classes}">{inside}</li>\n')
    return f'<ul class="tally">\n{"".join(tiles)}</ul>\n'


def _listed(heading: str, name: str, texts: list[str]) -> str:
    """Write a list that nobody may overlook; nothing when it is empty."""
    if not texts:
        return ""
    lines = "".join(f"<li>{clean(text)}</li>\n" for text in texts)
    return (
        f'<section class="told {name}"><h2>{heading} ({len(texts)})</h2>\n'
        f"<ul>\n{lines}</ul></section>\n"
    )


def _by_kind(rows: list[Row]) -> list[Row]:
    """Put all sensors of a kind below each other."""
    return sorted(rows, key=lambda row: (row["category"], row["kind"]))


def _table(heading: str, rows: list[Row], columns: tuple[Column, ...]) -> str:
    """Write rows of metrics, each with its interval; nothing when there are none."""
    if not rows:
        return ""
    first = ["category", *(["kind"] if "kind" in rows[0] else []), "sensor"]
    named = "".join(f'<th scope="col" class="name">{name}</th>' for name in first)
    measured = "".join(
        f'<th scope="col" title="{clean(column.meaning)}">{clean(column.heading)}</th>'
        for column in columns
    )
    lines = "".join(_line(row, first, columns) for row in rows)
    style = "wide long" if len(rows) > _LONG else "wide"
    return (
        f'<section><h2>{heading}</h2>\n<div class="{style}" tabindex="0"><table>\n'
        f'<thead><tr>{named}<th scope="col">good + defect</th>{measured}</tr></thead>\n'
        f"<tbody>\n{lines}</tbody></table></div>\n"
        '<p class="small">In grey: 95 % intervals.</p></section>\n'
    )


def _line(row: Row, first: list[str], columns: tuple[Column, ...]) -> str:
    """Write one row."""
    names = "".join(f'<th scope="row">{clean(row[name])}</th>' for name in first)
    cells = []
    for column in columns:
        value, interval = figure(row, column.key)
        small = f"<small>{interval}</small>" if interval else ""
        cells.append(f"<td>{value}{small}</td>")
    fused = ' class="fused"' if row["sensor"] == "fused" else ""
    return f"<tr{fused}>{names}<td>{parts(row)}</td>{''.join(cells)}</tr>\n"


def _published(rows: list[Row]) -> str:
    """Write published numbers beside ours; nothing when there are none."""
    if not rows:
        return ""
    said, lines = f'<p class="small">{PUBLISHED_CAUTION}</p>\n', map(published_line, rows)
    return table_section("Published numbers beside ours", said, PUBLISHED_HEADINGS, lines, "name")


_LEGEND = """<section class="legend"><h2>Captures</h2>
<p>Above, what a sensor saw, coloured between its 1st and 99th percentile, heights shaded by slope.
Below, the evidence against each pixel, −ln p among good parts: higher is worse, and all maps of a
capture share one scale.<br>
<span><i class="key outline"></i> outline of the known defect</span>
<span><i class="key hatch"></i> hatched: not measured there</span></p>
</section>
"""
