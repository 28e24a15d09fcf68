"""``mmdefect simulate``."""

import shlex
from pathlib import Path
from typing import Annotated

import typer


def command(
    out: Annotated[Path, typer.Argument(help="A new folder for the captures and their card.")],
    train: Annotated[int, typer.Option(min=1, help="Good captures to learn from.")] = 60,
    test: Annotated[int, typer.Option(min=1, help="Captures to test, good and defective.")] = 60,
    seed: Annotated[int, typer.Option(help="Draws the parts.")] = 0,
) -> None:
    """Write the captures of a simulated rig, with known defects."""
    from mmdefect.progress import progress_shown, track
    from mmdefect.simulate import simulate as write_captures

    with progress_shown():
        card = write_captures(out, train=train, test=test, seed=seed, track=track)
    places = f"{shlex.quote(str(card))} {shlex.quote(str(out))}"
    typer.echo(f"wrote {train + test} captures; next:\n  mmdefect evaluate {places}")
