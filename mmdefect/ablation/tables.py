"""The ablation as Markdown and as a table for the console."""

from typing import TYPE_CHECKING, Any

from mmdefect.report.numbers import UNKNOWN

if TYPE_CHECKING:
    from rich.table import Table

Row = dict[str, Any]

HEADINGS = (
    "combined", "n", "image AUROC", "AUPRO@30", "AUPRO@5", "recall", "FPR", "− full",
    "− best sensor", "s",
)  # fmt: skip

_NAME = 12

_FORMS = {
    "sensor": "each sensor alone",
    "subset": "sensors taken away, nothing fitted anew",
    "fusion": "kinds of fusion, all sensors",
}


def markdown(results: Row) -> str:
    """Write an ablation as Markdown.

    Parameters
    ----------
    results : dict
        As in ``ablation.json``.

    Returns
    -------
    str
    """
    rows = results["rows"]
    lines = [list(HEADINGS), ["---"] * len(HEADINGS)]
    for group, title in _FORMS.items():
        own = [row for row in rows if row["group"] == group]
        if own:
            lines.append([f"*{title}*", *[""] * (len(HEADINGS) - 1)])
            lines += [line_of(row) for row in own]
    blocks = [
        f"# Ablation of {results['category']}",
        "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |"
                  for line in lines),
        *remarks(results),
    ]  # fmt: skip
    if results["rows_per_kind"]:
        blocks += ["## Image AUROC per kind of defect", _kinds(results["rows_per_kind"])]
    for title, told in (("Notes", results["notes"]), ("Made with", _made_with(results))):
        if told:
            blocks += [f"## {title}", "\n".join(f"* {text}" for text in told)]
    return "\n\n".join(blocks) + "\n"


def _kinds(rows: list[Row]) -> str:
    """Write a row a kind, a column for each sensor alone and each kind of fusion."""
    shown = [row for row in rows if row["group"] != "subset"]
    arms = list(dict.fromkeys(row["arm"] for row in shown))
    lines = [["kind", "n", *arms], ["---"] * (2 + len(arms))]
    for kind in dict.fromkeys(row["kind"] for row in shown):
        own = {row["arm"]: row for row in shown if row["kind"] == kind}
        cells = [_number(own[arm]["image_auroc"]) for arm in arms]
        lines.append([kind, str(max(row["n_defect"] for row in own.values())), *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def console_table(results: Row) -> "Table":
    """Build the table that the command line prints.

    Parameters
    ----------
    results : dict
        As in ``ablation.json``.

    Returns
    -------
    Table
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for heading in HEADINGS:
        first = heading == HEADINGS[0]
        table.add_column(
            heading, overflow="fold", no_wrap=not first, min_width=_NAME if first else None
        )
    before = ""
    for row in results["rows"]:
        if before and row["group"] != before:
            table.add_section()
        before = row["group"]
        narrow = line_of(row | {"intervals": row["intervals"] | {"aupro_30": [None, None]}})
        table.add_row(*(Text(cell) for cell in narrow))
    return table


def line_of(row: Row) -> list[str]:
    """Write one arm.

    Parameters
    ----------
    row : dict

    Returns
    -------
    list of str
        One cell a heading.
    """
    ranged = [_ranged(row[name], row["intervals"][name]) for name in ("image_auroc", "aupro_30")]
    plain = [_number(row[name]) for name in ("aupro_05", "recall", "fpr")]
    apart = [_signed(row[key]["image_auroc"]) for key in ("to_full", "to_best_sensor")]
    seconds = row["seconds_per_capture"]
    return [
        row["arm"],
        f"{row['n_good']} + {row['n_defect']}",
        *ranged,
        *plain,
        *apart,
        UNKNOWN if seconds is None else f"{seconds:.2f}",
    ]


def remarks(results: Row) -> list[str]:
    """Say what has to be known to read the table.

    Parameters
    ----------
    results : dict

    Returns
    -------
    list of str
    """
    told = [
        "n: good + defective parts; s: seconds a capture; '− full' and '− best sensor': "
        "differences of AUROC, paired, with 95 % intervals by a bootstrap over the parts. 'full' "
        "is the first kind of fusion with all sensors. "
        f"Recall and false-alarm rate (FPR) at α = {results['false_alarm']:g}, from calibration "
        "parts combined in the same way."
    ]
    best, elsewhere = results["best_sensor"], results["best_sensor_chosen_elsewhere"]
    if "image_auroc" in best:
        told.append(
            f"The best sensor, {best['image_auroc']}, is the one that is best on these parts, "
            "which flatters it. "
            + (
                f"Chosen on one half of them and measured on the other, the best sensor reaches "
                f"{_number(elsewhere['image_auroc'])} ({' and '.join(elsewhere['sensors'])})."
                if elsewhere
                else "There are too few parts to choose it on others."
            )
        )
    return told


def _made_with(results: Row) -> list[str]:
    category = results["category"]
    return [
        f"mmdefect {results['mmdefect']}, {results['created']}",
        ", ".join(f"{name} {told}" for name, told in results["versions"].items() if told),
        f"settings: {results['settings']}",
        f"features: {results['features'][category]}",
        f"parts: {results['splits'][category]}",
        f"manifest: {results['manifest'][category]}",
    ]


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}".replace("0.", ".", 1)


def _ranged(value: float | None, interval: list[float | None]) -> str:
    low, high = interval
    if value is None or low is None or high is None:
        return _number(value)
    return f"{_number(value)} [{_number(low)}–{_number(high)}]"


def _signed(told: list[float | None]) -> str:
    value, low, high = told
    if value is None:
        return UNKNOWN
    texts = [f"{one:+.3f}".replace("0.", ".", 1) for one in (value, low, high) if one is not None]
    return texts[0] if len(texts) < 3 else f"{texts[0]} [{texts[1]}, {texts[2]}]"
