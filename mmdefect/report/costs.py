"""What the verdicts would cost on a line, beside what one verdict for all parts would."""

from typing import Any

from mmdefect.report.card import clean
from mmdefect.report.numbers import number, percent
from mmdefect.report.sections import table_section

Row = dict[str, Any]

_WAYS = {
    "as_judged": "as judged",
    "without_referral": "nothing referred by cost",
    "all_passed": "all passed",
    "all_scrapped": "all scrapped",
    "all_referred": "all referred",
}
COST_HEADINGS = ["category", *_WAYS.values(), "good referred", "defective referred"]


def cost_words(row: Row) -> str:
    """Say what was stated."""
    return (
        f"Cost of one part on average, when a missed defect costs {row['missed']:g}, a false alarm "
        f"{row['false_alarm']:g}, a referral {row['referral']:g}, and "
        f"{100 * row['defect_rate']:g} % of parts are defective, of the kinds that were tested."
    )


def cost_line(row: Row) -> list[str]:
    """Put one category into cells."""
    shares = [percent(row[f"{side}_referred"]) for side in ("good", "defective")]
    return [row["category"], *(number(row[way]) for way in _WAYS), *shares]


def costs_section(rows: list[Row]) -> str:
    """Write the table as HTML; nothing without rows."""
    if not rows:
        return ""
    said = f'<p class="small">{clean(cost_words(rows[0]))}</p>'
    lines = [cost_line(row) for row in rows]
    return table_section("What verdicts cost", said, COST_HEADINGS, lines)
