"""The numbers of an evaluation as Markdown and as a table for the console.

Texts of the data are made harmless for where they go: a file name with a bar must not shift a
column, and one with brackets must not colour the console.
"""

from typing import TYPE_CHECKING, Any

from mmdefect.report.costs import COST_HEADINGS, cost_line, cost_words
from mmdefect.report.curve import CAUTION, HEADINGS, curve_line, sensors_of_curve
from mmdefect.report.numbers import (
    KIND_COLUMNS,
    UNKNOWN,
    Column,
    columns_of,
    figure,
    parts,
    percent,
)

if TYPE_CHECKING:
    from rich.table import Table

Row = dict[str, Any]

_ON_CONSOLE = (
    "image_auroc", "pixel_auroc", "aupro_30", "recall", "fpr", "box_recall",
    "false_boxes_per_frame", "seconds_per_capture",
)  # fmt: skip
_NAME = 20


def headline(results: Row) -> str:
    """Say in plain words what was inspected, with what, and how often it cried wolf.

    Parameters
    ----------
    results : dict
        As in ``results.json``.

    Returns
    -------
    str
        Plain text.
    """
    splits = results["splits"]
    tested = sum(split["test"] for split in splits.values())
    named = f"{'category' if len(splits) == 1 else 'categories'} {', '.join(splits)}"
    title = results["card"]["title"] or results["card"]["name"]
    return (
        f"{tested} test parts of “{title}”, {named}, were inspected with {_features(results)}. "
        f"{_realised(results)}"
    )


def markdown_tables(results: Row) -> str:
    """Write the numbers as Markdown.

    Parameters
    ----------
    results : dict
        As in ``results.json``.

    Returns
    -------
    str
        The rows with intervals, the rows per kind, notes, refused files, and what it was made
        with.
    """
    blocks = [f"# {_plain(results['card']['title'] or results['card']['name'])}"]
    blocks += [_plain(headline(results)), _markdown(results["rows"], columns_of(results["rows"]))]
    if results["rows_per_kind"]:
        blocks += [
            "## Per kind of defect",
            _markdown(results["rows_per_kind"], KIND_COLUMNS),
        ]
    if results.get("costs"):
        lines = [COST_HEADINGS, ["---"] * len(COST_HEADINGS)]
        lines += [[_plain(cell) for cell in cost_line(one)] for one in results["costs"]]
        blocks += ["## What verdicts cost", cost_words(results["costs"][0])]
        blocks.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    if results.get("few"):
        named = sensors_of_curve(results["few"])
        lines = [[*HEADINGS, *named], ["---"] * (len(HEADINGS) + len(named))]
        lines += [[_plain(cell) for cell in curve_line(row, named)] for row in results["few"]]
        blocks += ["## Few good parts", CAUTION]
        blocks.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    if results.get("published"):
        lines = [PUBLISHED_HEADINGS, ["---"] * len(PUBLISHED_HEADINGS)]
        lines += [[_plain(cell) for cell in published_line(one)] for one in results["published"]]
        blocks += ["## Published numbers beside ours", PUBLISHED_CAUTION]
        blocks.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    if results["notes"]:
        blocks += ["## Notes", _list(results["notes"])]
    if results["refused"]:
        blocks += [
            f"## Refused ({len(results['refused'])})",
            _list([refusal(one) for one in results["refused"]]),
        ]
    blocks += [
        "## Made with",
        _list([f"{name}: {text}" for name, text in made_with(results)]),
    ]
    return "\n\n".join(blocks) + "\n"


def console_table(results: Row) -> "Table":
    """Build the table that the command line prints.

    Parameters
    ----------
    results : dict
        As in ``results.json``.

    Returns
    -------
    Table
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    chosen = [column for column in columns_of(results["rows"]) if column.key in _ON_CONSOLE]
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        caption="n: good + defective parts; after image AUROC its 95 % interval; s per capture",
    )
    for heading in ("category", "sensor"):
        longest = max((len(row[heading]) for row in results["rows"]), default=0)
        table.add_column(heading, overflow="fold", min_width=min(longest, _NAME))
    for heading in ("n", *(column.heading for column in chosen)):
        broken = heading.replace(" ", "\n").replace("@", "\n@").replace("s/capture", "s")
        wide = 9 if heading == "image AUROC" else None
        table.add_column(broken, justify="right", no_wrap=True, min_width=wide)
    for row in results["rows"]:
        cells = [Text(row["category"]), Text(row["sensor"]), Text(parts(row).replace(" ", ""))]
        for column in chosen:
            value, interval = figure(row, column.key, digits=2)
            cells.append(Text(value))
            if interval and column.key == "image_auroc":
                cells[-1].append(f" {interval.strip('[]')}", style="dim")
        table.add_row(*cells, style="bold" if row["sensor"] == "fused" else None)
    return table


PUBLISHED_HEADINGS = [
    "category", "metric", "published", "method", "sensors", "source", "test parts", "mark",
    "ours", "on", "our manifest",
]  # fmt: skip
PUBLISHED_CAUTION = (
    "Read elsewhere, not measured here. Ours stands beside them where the same sensors were used; "
    "the parts tested, their size and the split are the same work only where the counts agree. "
    "mem: cited from memory; third party: not measured by the method's authors."
)


def published_line(one: Row) -> list[str]:
    """Write one published number and ours.

    Parameters
    ----------
    one : dict
        One of ``results["published"]``.

    Returns
    -------
    list of str
        Plain text by ``PUBLISHED_HEADINGS``.
    """
    ours = UNKNOWN if one["ours"] is None else f"{one['ours']:.3f}"
    where = UNKNOWN if one["ours"] is None else f"{one['ours_sensor']}, {one['ours_parts']} parts"
    return [
        one["category"],
        one["metric"],
        f"{one['value']:.3f}",
        one["method"],
        " + ".join(one["sensors"]),
        one["source"],
        UNKNOWN if one["test_parts"] is None else str(one["test_parts"]),
        one["marks"] or UNKNOWN,
        ours,
        where,
        one["manifest"] or UNKNOWN,
    ]


def refusal(one: Row) -> str:
    """Say what was refused and why.

    Parameters
    ----------
    one : dict
        One of ``results["refused"]``.

    Returns
    -------
    str
        Plain text.
    """
    place = [one["capture"], one["sensor"], one["file"]]
    return f"{', '.join(dict.fromkeys(name for name in place if name))}: {one['why']}"


def made_with(results: Row) -> list[tuple[str, str]]:
    """List what an evaluation was made with.

    Parameters
    ----------
    results : dict
        As in ``results.json``.

    Returns
    -------
    list of (str, str)
        Name and text, both plain.
    """
    card = results["card"]
    versions = {"mmdefect": results["mmdefect"], **results["versions"]}
    return [
        ("data set", f"{card['name']}, licence {card['licence']}, source {card['source']}"),
        ("settings", _pairs(results["settings"])),
        ("versions", _pairs(versions)),
        ("manifest (SHA-256)", _pairs(results["manifest"])),
        ("smallest false-alarm rate that could be promised",
         ", ".join(f"{name} {percent(rate)}" for name, rate in
                   results["smallest_false_alarm"].items())),
        ("made", f"{results['created']}, seed {results['seed']}"),
    ]  # fmt: skip


def _features(results: Row) -> str:
    """Name the features, each with the sensors that have them."""
    used: dict[str, dict[str, list[str]]] = {}
    for category, features in results["features"].items():
        for sensor, name in features.items():
            used.setdefault(name, {}).setdefault(sensor, []).append(category)
    return " and ".join(
        f"{name} features for {_sensors(sensors, results['features'])}"
        for name, sensors in used.items()
    )


def _sensors(used: dict[str, list[str]], features: Row) -> str:
    """List sensors, with the categories where those of others have other features."""
    named = []
    for sensor, categories in used.items():
        having = [category for category in features if sensor in features[category]]
        rest = "" if categories == having else f" ({', '.join(categories)})"
        named.append(sensor + rest)
    return ", ".join(named)


def _realised(results: Row) -> str:
    """Hold the false alarms that happened against those that were asked for."""
    asked = percent(results["false_alarm"])
    fused = [row for row in results["rows"] if row["sensor"] == "fused" and row["fpr"] is not None]
    good = sum(row["n_good"] for row in fused)
    if not good:
        return f"Asked: at most {asked} false alarms; how many there were could not be measured."
    alarms = round(sum(row["fpr"] * row["n_good"] for row in fused))
    return (
        f"Asked: at most {asked} false alarms; realised: {percent(alarms / good)} "
        f"({alarms} of {good} good parts)."
    )


def _markdown(rows: list[Row], columns: tuple[Column, ...]) -> str:
    """Write rows as a Markdown table."""
    with_kind = any("kind" in row for row in rows)
    first = ["category", *(["kind"] if with_kind else []), "sensor", "good + defect"]
    headings = [*first, *(column.heading for column in columns)]
    lines = [headings, ["---"] * len(first) + ["---:"] * len(columns)]
    for row in rows:
        named = [_plain(row[name]) for name in first[:-1]]
        cells = [" ".join(filter(None, figure(row, column.key))) for column in columns]
        lines.append([*named, parts(row), *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _list(texts: list[str]) -> str:
    return "\n".join(f"- {_plain(text)}" for text in texts)


def _pairs(named: Row) -> str:
    """Write named values on one line."""
    return ", ".join(f"{name} {_value(value)}" for name, value in named.items())


def _value(value: object) -> str:
    """Write one setting; a dash where it was left open."""
    if isinstance(value, dict):
        value = [f"{name}={text}" for name, text in value.items()]
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or UNKNOWN
    return UNKNOWN if value is None else str(value)


def _plain(text: object) -> str:
    """Keep Markdown from reading a text of the data as its own."""
    line = " ".join(str(text).encode("utf-8", "replace").decode("utf-8").split())
    for mark in "\\|`*[]<":
        line = line.replace(mark, f"\\{mark}")
    return line
