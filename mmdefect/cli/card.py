"""``mmdefect card``: propose a card for a folder, asking for what no file can tell."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    root: Annotated[Path, typer.Argument(help="The folder of the captures.")],
    out: Annotated[
        Path | None, typer.Option(help="Write the card to this file instead of printing it.")
    ] = None,
) -> None:
    """Propose a card for a folder; units are asked for on a terminal, never guessed."""
    from mmdefect.errors import CardError
    from mmdefect.propose import propose

    asking = sys.stdin.isatty() and sys.stderr.isatty()
    proposal = propose(root, _ask if asking else None)
    if out is None:
        typer.echo(proposal.text, nl=False)
    elif out.resolve().is_relative_to(root.resolve()):
        raise CardError(
            f"the card would be written into the data set ({out}); give --out a place elsewhere"
        )
    else:
        try:
            with out.open("x", encoding="utf-8") as file:
                file.write(proposal.text)
        except OSError as error:
            raise CardError(f"'{out}' cannot be written: {error.strerror}") from error
    for sensor in proposal.unknown:
        typer.echo(f"not known: the unit of {sensor}; it stays relative", err=True)


def _ask(sensor: str, units: tuple[str, ...]) -> str | None:
    """Ask for a unit on the terminal."""
    answer: str = typer.prompt(
        f"unit of {sensor}'s values ({', '.join(units)}; empty: not known)",
        default="",
        show_default=False,
        err=True,
    )
    return answer.strip() or None
