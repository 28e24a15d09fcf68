"""``mmdefect rig``: one module a sub-command, as in the folder above.

Drivers, and everything heavy, are imported when a sub-command runs: ``--help`` needs no camera.
"""

from importlib import import_module

import typer

COMMANDS = ("list", "grab", "record", "patterns", "scan", "decode", "calibrate", "check")

app = typer.Typer(
    help="Cameras and scanners: see what they deliver, calibrate them, record captures.",
    no_args_is_help=True,
)

for _name in COMMANDS:
    app.command(name=_name)(import_module(f"mmdefect.cli.rig.{_name}").command)
