"""``mmdefect watch``."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from mmdefect.cli import _options as options
from mmdefect.cli._exits import DONE


def command(
    folder: Annotated[Path, typer.Argument(help="The folder that captures arrive in.")],
    model: options.Model,
    journal: Annotated[
        Path | None,
        typer.Option(help="The file of verdicts; by default FOLDER.verdicts.jsonl beside FOLDER."),
    ] = None,
    settle: Annotated[
        float, typer.Option(min=0.0, help="Seconds for which a file must not have changed.")
    ] = 1.0,
    timeout: Annotated[
        float,
        typer.Option(
            min=0.0, help="Seconds after which a capture is judged without what it lacks."
        ),
    ] = 30.0,
    rescan: Annotated[
        float, typer.Option(min=0.1, help="Seconds between two walks through the folder.")
    ] = 10.0,
    run_length: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="Captures between two false alarms of one sensor's monitor, on average at least; "
            "0: sensors are not watched.",
        ),
    ] = 10_000.0,
    once: Annotated[
        bool, typer.Option("--once", help="Stop when all that is there is judged.")
    ] = False,
) -> None:
    """Judge captures as they arrive: one line of JSON each, kept in a journal across restarts."""
    import json

    from mmdefect.inspection import Inspection
    from mmdefect.journal import Journal
    from mmdefect.watch.loop import Patience, Watch, check_outside

    place = folder.absolute()
    kept = journal or place.with_name(f"{place.name}.verdicts.jsonl")
    check_outside(kept, place)
    with Journal(kept) as opened:
        if opened.cut:
            _tell(f"{opened.cut} bytes of an unfinished line were cut off '{kept}'")
        patience = Patience(settle, timeout, rescan)
        watch = Watch(place, Inspection.load(model), opened, patience, _tell, run_length)
        _stop_on_signals(watch.stop)
        _tell(f"{len(watch)} captures have their verdict; watching '{folder}', journal '{kept}'")
        for row in watch.rows(once=once):
            print(json.dumps(row, allow_nan=False), flush=True)
    raise typer.Exit(DONE)


def _tell(text: str) -> None:
    """Print a note."""
    typer.echo(f"note: {text}", err=True)


def _stop_on_signals(stop: Callable[[], None]) -> None:
    """Finish the capture in hand when the program is asked to end; not where others own signals."""
    import signal
    import threading

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop())
