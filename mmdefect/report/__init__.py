"""The report: one page that opens offline, one Markdown file, one table for the console.

Whoever reads it decides about parts, so the mistakes come first, every number has its interval,
and nothing that was refused is left out.
"""

from mmdefect.report.card import capture_card, linked
from mmdefect.report.groups import mistake_rank
from mmdefect.report.page import write_page
from mmdefect.report.tables import console_table, markdown_tables

__all__ = [
    "capture_card",
    "console_table",
    "linked",
    "markdown_tables",
    "mistake_rank",
    "write_page",
]
