"""The viewer's pages beside a report: one file a capture, mistakes first, within a bound on bytes.

One file a capture, because a file of hundreds would be too large to open, and because whoever
argues about one part wants to mail that part. Each leads to the one before, the one after and the
report.
"""

from collections.abc import Mapping
from pathlib import Path

from mmdefect.report import mistake_rank
from mmdefect.results import Row
from mmdefect.viewer import Link, Packed, page_of, write_pieces

VIEWER = "viewer"
"""The folder of the pages, beside the report."""
VIEWER_BYTES = 256 << 20

_ONE_PAGE = 100_000
"""More than a page takes around its capture."""


def write_pages(
    folder: Path, results: Row, packed: Mapping[str, Path], most_bytes: int = VIEWER_BYTES
) -> dict[str, str]:
    """Write a page of the viewer for every capture that fits.

    Parameters
    ----------
    folder : Path
        Of the report. Pages of an earlier evaluation are removed.
    results : dict
        As in ``results.json``; a note says how many captures have no page.
    packed : mapping of str to Path
        By capture, what ``Packed.write`` kept.
    most_bytes : int
        Of all pages.

    Returns
    -------
    dict of str to str
        By capture, the page's address relative to the report.
    """
    for old in (folder / VIEWER).glob("[0-9]" * 6 + ".html"):
        old.unlink()
    ordered = [one["capture"] for one in sorted(results["captures"], key=mistake_rank)]
    there = [name for name in ordered if name in packed]
    chosen = _fitting(there, packed, most_bytes)
    if 0 < most_bytes and len(chosen) < len(ordered):
        results["notes"].append(
            f"the viewer holds {len(chosen)} of {len(ordered)} captures, mistakes first; "
            "--viewer-bytes allows more"
        )
    if not chosen:
        return {}
    (folder / VIEWER).mkdir(exist_ok=True)
    names = [f"{number:06d}.html" for number in range(1, len(chosen) + 1)]
    title = results["card"]["title"] or results["card"]["name"]
    for number, capture in enumerate(chosen):
        links = _links(names, number)
        pieces = page_of([Packed.read(packed[capture])], title, links, results["created"])
        write_pieces(folder / VIEWER / names[number], pieces)
    return {capture: f"{VIEWER}/{name}" for capture, name in zip(chosen, names, strict=True)}


def _fitting(captures: list[str], packed: Mapping[str, Path], most_bytes: int) -> list[str]:
    """Take captures in their order for as long as there is room."""
    left = most_bytes
    for count, capture in enumerate(captures):
        left -= packed[capture].stat().st_size + _ONE_PAGE
        if left < 0:
            return captures[:count]
    return captures


def _links(names: list[str], number: int) -> dict[str, Link]:
    """Lead to the pages before and after, and to the report."""
    links = {"up": Link("../report.html", "report")}
    if number > 0:
        links["previous"] = Link(names[number - 1], "‹ previous")
    if number + 1 < len(names):
        links["next"] = Link(names[number + 1], "next ›")
    return links
