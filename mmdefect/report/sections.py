"""Tables of texts as sections of the page."""

from collections.abc import Iterable, Sequence

from mmdefect.report.card import clean


def table_section(
    heading: str,
    above: str,
    headings: Sequence[str],
    lines: Iterable[Iterable[object]],
    style: str = "",
) -> str:
    """Write a table with its heading as HTML.

    Parameters
    ----------
    heading : str
    above : str
        HTML between heading and table.
    headings : sequence of str
        Of the columns.
    lines : iterable of iterable
        The cells of each row.
    style : str
        Class of the columns' headings; none when empty.

    Returns
    -------
    str
        With headings and cells made harmless.
    """
    named = f' class="{style}"' if style else ""
    heads = "".join(f'<th scope="col"{named}>{clean(text)}</th>' for text in headings)
    rows = "".join(
        f"<tr>{''.join(f'<td>{clean(cell)}</td>' for cell in line)}</tr>\n" for line in lines
    )
    return (
        f'<section><h2>{clean(heading)}</h2>\n{above}<div class="wide" tabindex="0"><table>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table></div></section>\n"
    )
