"""``mmdefect pod``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmdefect.cli._exits import DONE

if TYPE_CHECKING:
    from mmdefect.pod import Pod


def command(
    results: Annotated[Path, typer.Argument(help="The results.json of an evaluation.")],
    sizes: Annotated[
        Path, typer.Argument(help="truth.json of a simulation, or a CSV table: capture, measures.")
    ],
    measure: Annotated[
        str,
        typer.Option(help="The measure to use, e.g. diameter_mm; by default each kind's first."),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which size of defect is found nine times out of ten, sensor by sensor and fused."""
    import json

    from mmdefect.defect_sizes import detection_rows, read_results, read_sizes

    told = read_results(results)
    rows = detection_rows(told, read_sizes(sizes), measure)
    if as_json:
        plain = [
            {key: value if isinstance(value, str) else asdict(value) for key, value in row.items()}
            for row in rows
        ]
        print(json.dumps(plain, indent=1).replace("Infinity", "null"))
        raise typer.Exit(DONE)
    _print(rows, told["false_alarm"])
    raise typer.Exit(DONE)


def _print(rows: list[dict[str, Any]], rate: float) -> None:
    """Print the table, and below it why some curves are missing."""
    from rich.table import Table

    from mmdefect.cli._tell import out_console, tell

    table = Table(title=f"probability of detection at a false-alarm rate of {rate:g}")
    for name in ("category", "kind", "measure", "sensor", "found", "hit/miss a90", "a90/95"):
        table.add_column(name)
    for name in ("signal a90", "a90/95"):
        table.add_column(name)
    why: dict[str, None] = {}
    for row in rows:
        curve, line = row["hit_miss"], row["signal_response"]
        found = "" if isinstance(curve, str) else f"{curve.found}/{curve.parts}"
        head = [row[key] for key in ("category", "kind", "measure", "sensor")]
        table.add_row(*head, found, *_cells(curve), *_cells(line))
        if isinstance(curve, str):
            why[f"{row['category']} {row['kind']}, {row['sensor']}: {curve}"] = None
    out_console().print(table)
    tell(why, [])


def _cells(curve: "Pod | str") -> tuple[str, str]:
    """Put both sizes into words."""
    if isinstance(curve, str):
        return "–", "–"
    return f"{curve.a90:.3g}", f"{curve.a90_95:.3g}"
