"""What commands print beside their result: notes and refusals, on standard error."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 120


def out_console() -> "Console":
    """Make the console for standard output; a file or a pipe has no edge at which to break names.

    Returns
    -------
    Console
    """
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH)
    return console


def tell(notes: Iterable[str], refused: Iterable[Mapping[str, str]]) -> None:
    """Print notes and what was refused.

    Parameters
    ----------
    notes : iterable of str
    refused : iterable of mapping
        With ``capture``, ``file`` and ``why``.
    """
    from rich.console import Console

    errors = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)
    for note in notes:
        errors.print(f"note: {note}", style="yellow")
    for refusal in refused:
        place = refusal["file"] or refusal["capture"]
        errors.print(f"refused: {place}: {refusal['why']}", style="red")
