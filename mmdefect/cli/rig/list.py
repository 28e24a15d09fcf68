"""``mmdefect rig list``."""

from typing import Annotated

import typer

from mmdefect.cli._exits import DONE, NOTHING_DONE

Producers = Annotated[
    list[str] | None,
    typer.Option(
        "--producer",
        help="A GenTL producer (.cti), or 'viky' for the virtual one; by default those that "
        "GENICAM_GENTL64_PATH leads to. May be repeated.",
    ),
]


def command(
    producer: Producers = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the cameras that answer: behind GenTL producers, and by GigE Vision."""
    import json

    found, notes = cameras(producer or [])
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    if as_json:
        print(json.dumps(found))
    else:
        _print(found)
    raise typer.Exit(DONE if found else NOTHING_DONE)


def cameras(producers: list[str]) -> tuple[list[dict[str, str]], list[str]]:
    """Ask every driver that is here.

    Parameters
    ----------
    producers : list of str

    Returns
    -------
    list of dict
        Cameras, with the ``id`` that a file of cameras takes.
    list of str
        What could not be asked, and why.
    """
    from mmdefect.acquire import gentl, gige
    from mmdefect.acquire.setup import GIGE
    from mmdefect.errors import AcquisitionError

    found: list[dict[str, str]] = []
    notes: list[str] = []
    try:
        with gentl.Gentl(producers) as behind:
            found += behind.cameras()
    except AcquisitionError as error:
        if producers:
            raise
        notes.append(str(error))
    try:
        found += [entry | {"id": GIGE + entry["id"]} for entry in gige.cameras()]
    except AcquisitionError as error:
        notes.append(str(error))
    return found, notes


def _print(found: list[dict[str, str]]) -> None:
    """Print a table."""
    from rich.table import Table

    from mmdefect.cli._tell import out_console

    table = Table(box=None, pad_edge=False, header_style="")
    columns = ("id", "vendor", "model", "serial", "address")
    for name in columns:
        table.add_column(name)
    for entry in found:
        table.add_row(*(entry.get(name, "") for name in columns))
    out_console().print(table, highlight=False)
