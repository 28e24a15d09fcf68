"""Progress bars for long work, silent where nobody looks.

The bar goes to standard error and only to a terminal, so that logs and pipes stay clean and a
library user is not surprised; the command line switches it on, a notebook may.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

_shown: ContextVar[bool] = ContextVar("progress_shown", default=False)


@contextmanager
def progress_shown(shown: bool = True) -> Iterator[None]:
    """Show progress bars of the work done inside.

    Parameters
    ----------
    shown : bool
        Whether to show them.
    """
    token = _shown.set(shown)
    try:
        yield
    finally:
        _shown.reset(token)


def track(steps: Iterable[T], total: int | None = None, what: str = "working") -> Iterator[T]:
    """Iterate with a bar that tells how far and how long.

    Parameters
    ----------
    steps : iterable
        The work.
    total : int, optional
        The number of steps.
    what : str
        What is being done.

    Yields
    ------
    object
        The steps, unchanged.
    """
    console = _terminal()
    if console is None:
        yield from steps
        return
    from rich.progress import track as rich_track

    yield from rich_track(steps, what, total=total, console=console, transient=True)


def track_told(steps: Iterable[T], total: int, told: Callable[[], str]) -> Iterator[T]:
    """Iterate with a bar whose text changes as the work goes on.

    Parameters
    ----------
    steps : iterable
        The work.
    total : int
        The number of steps.
    told : callable
        Says what is being done, and how it goes; asked after every step.

    Yields
    ------
    object
        The steps, unchanged.
    """
    console = _terminal()
    if console is None:
        yield from steps
        return
    from rich.progress import Progress

    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(told(), total=total)
        for step in steps:
            yield step
            bar.update(task, advance=1, description=told())


def _terminal() -> "Console | None":
    """Give the terminal that a bar goes to, where progress is shown and somebody looks."""
    if not _shown.get():
        return None
    from rich.console import Console

    console = Console(stderr=True)
    return console if console.is_terminal else None


def say(text: str) -> None:
    """Say something about the work in progress, where progress is shown.

    Parameters
    ----------
    text : str
        One line; it goes to standard error.
    """
    if _shown.get():
        from rich.console import Console

        Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print(text)
