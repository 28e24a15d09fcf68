"""Arguments that several sub-commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mmdefect.acquire.session import Session

Cameras = Annotated[
    Path, typer.Argument(help="A file that says which camera is which sensor; see docs/rigs.md.")
]
Idle = Annotated[
    float | None,
    typer.Option(min=0.1, help="Stop after so many seconds without a frame; by default never."),
]


def tell_refused(session: "Session") -> bool:
    """Print how many frames were refused; tell whether any was.

    Parameters
    ----------
    session : Session

    Returns
    -------
    bool
    """
    told = session.told()
    for camera, reasons in told.items():
        counted = ", ".join(f"{count} {why}" for why, count in reasons.items())
        typer.echo(f"refused: {camera}: {counted}", err=True)
    return bool(told)


def summary(array: Any) -> str:
    """Describe a measurement in a few words: its size, its type, its range, its holes.

    Parameters
    ----------
    array : ndarray

    Returns
    -------
    str
    """
    import numpy as np

    size = "x".join(map(str, array.shape[:2]))
    if array.dtype.kind != "f":
        return f"{size} px, {array.dtype}, counts {array.min()} to {array.max()}"
    last = array[..., -1] if array.ndim == 3 else array
    valid = np.isfinite(last)
    if not valid.any():
        return f"{size} px, no pixel measured"
    low, high = last[valid].min(), last[valid].max()
    return f"{size} px, {valid.mean():.1%} measured, z {low:.3f} to {high:.3f} mm"
