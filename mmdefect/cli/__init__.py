"""The command line: one module a command.

Each module of ``COMMANDS`` has one function ``command``, whose signature is the command's; a folder
has an ``app`` of sub-commands. Modules
import what they need when the command runs, so ``--help`` and completion stay fast. A new command
is a new module and its name in the list. Exit codes: 0 done; 1 done, with refusals listed; 2
nothing done.
"""

import os
import traceback
from importlib import import_module
from typing import Annotated

import typer

from mmdefect.cli._exits import DONE, NOTHING_DONE, REFUSALS
from mmdefect.errors import MmdefectError

__all__ = ["DONE", "NOTHING_DONE", "REFUSALS", "app", "main"]

COMMANDS = (
    "simulate",
    "card",
    "doctor",
    "evaluate",
    "ablate",
    "fit",
    "inspect",
    "explain",
    "view",
    "watch",
    "model",
    "threshold",
    "update",
    "undo",
    "pod",
    "list",
    "rig",
)

app = typer.Typer(
    name="mmdefect",
    help="Multimodal industrial inspection: RGB, 3D, infrared and X-ray on one registered grid.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich's takes longer to load than all the rest
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from mmdefect import __version__

        typer.echo(f"mmdefect {__version__}")
        raise typer.Exit


@app.callback()
def _door(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    pass


for _name in COMMANDS:
    _module = import_module(f"mmdefect.cli.{_name}")
    if hasattr(_module, "app"):
        app.add_typer(_module.app, name=_name)
    else:
        app.command(name=_name)(_module.command)


def main() -> None:
    """Run the command line; a known error is one line and exit code 2.

    Threads of numerical libraries wait asleep, unless the user says otherwise: spinning, as is
    their habit, made the same work three times as slow on a busy two-core machine.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except MmdefectError as error:
        typer.echo(f"mmdefect: {error}", err=True)
        raise SystemExit(NOTHING_DONE) from error
    except Exception as error:  # a mistake of ours must not look like "done, with refusals"
        traceback.print_exc()
        raise SystemExit(NOTHING_DONE) from error
