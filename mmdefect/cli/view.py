"""``mmdefect view``."""

from pathlib import Path
from typing import Annotated

import typer

from mmdefect.cli import _options as options
from mmdefect.cli._exits import DONE, NOTHING_DONE, REFUSALS


def command(
    model: options.Model,
    paths: Annotated[
        list[Path],
        typer.Argument(help="Folders in the grammar of the model's card, or any frame of a part."),
    ],
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("captures.html"),
    good: Annotated[
        Path | None,
        typer.Option(help="Folder of the captures learnt from: shows the nearest good patches."),
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Captures to show at most.")] = 100,
) -> None:
    """Judge captures and write one HTML file in which to look at them."""
    from mmdefect.cli._tell import tell
    from mmdefect.progress import progress_shown
    from mmdefect.showing import show

    with progress_shown():
        shown, refused, left_out = show(model, paths, most, good)
    notes = [f"{left_out} further captures are left out; --most shows more"] if left_out else []
    tell(notes, [refusal._asdict() for refusal in refused])
    if not shown.captures:
        typer.echo("there is nothing to show", err=True)
        raise typer.Exit(NOTHING_DONE)
    size = shown.save(out).stat().st_size
    typer.echo(f"viewer:  {out} ({len(shown.captures)} captures, {size / 1e6:.2f} MB)")
    raise typer.Exit(REFUSALS if refused else DONE)
