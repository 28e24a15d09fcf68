"""``mmdefect rig decode``."""

from pathlib import Path
from typing import Annotated

import typer

from mmdefect.cli._exits import DONE, NOTHING_DONE


def command(
    capture: Annotated[
        Path, typer.Argument(help="The folder of a camera's frames, with their stack.toml.")
    ],
    rig: Annotated[Path, typer.Argument(help="The rig file with the camera and the projector.")],
    out: Annotated[Path, typer.Argument(help="The cloud: .ply, .npy, or .nc for everything.")],
    camera: Annotated[str, typer.Option(help="The camera's name in the rig.")] = "points",
    projector: Annotated[str, typer.Option(help="The projector's name in the rig.")] = "projector",
    second: Annotated[str, typer.Option(help="A second camera's name in the rig.")] = "",
    second_capture: Annotated[
        Path | None, typer.Option(help="The folder of the second camera's frames.")
    ] = None,
    near: Annotated[float | None, typer.Option(help="Nearest depth that is believed, mm.")] = None,
    far: Annotated[float | None, typer.Option(help="Farthest depth that is believed, mm.")] = None,
) -> None:
    """Decode a capture of structured light into an organised cloud in mm."""
    from mmdefect.registration import read_rig
    from mmdefect.structured.cloud import decode_capture, write_cloud

    cloud = decode_capture(
        capture,
        read_rig(rig),
        second_path=second_capture,
        camera=camera,
        projector=projector,
        second=second,
        near=near,
        far=float("inf") if far is None else far,
    )
    write_cloud(cloud, out)
    valid = cloud["valid"].values
    typer.echo(f"cloud:    {valid.shape[0]}x{valid.shape[1]} px, {valid.mean():.1%} measured")
    if not valid.any():
        typer.echo("no pixel was decoded: too dark, saturated, or another rig?", err=True)
        raise typer.Exit(NOTHING_DONE)
    depth, noise = cloud["points"].sel(axis="z").values[valid], cloud["noise"].values[valid]
    import numpy as np

    low, middle, high = np.quantile(depth, [0.01, 0.5, 0.99])
    typer.echo(f"depth:    {middle:.3f} mm in the middle, 98 % from {low:.3f} to {high:.3f} mm")
    typer.echo(f"noise:    {np.median(noise):.4f} mm in the middle")
    typer.echo(f"written:  {out}")
    raise typer.Exit(DONE)
