"""Background taken out of a scene, never out of a file.

A background pixel becomes NaN, not valid, in every sensor on the grid of the scanner that saw it;
sensors that look from elsewhere keep theirs. The scene's attribute ``background`` says what was
done: the share removed, or why nothing was.
"""

import xarray as xr

from mmdefect.errors import SceneError
from mmdefect.geometry.background import CLEAR_MM, background
from mmdefect.scene import check, present_in, sensors_of


def without_background(scene: xr.Dataset, clear: float = CLEAR_MM) -> xr.Dataset:
    """Mark what is not the part as not measured.

    Parameters
    ----------
    scene : Dataset
        A scene.
    clear : float, mm
        Height above the plane up to which a point belongs to it.

    Returns
    -------
    Dataset
        Another scene. Its attribute ``background`` is e.g. ``"plane: 0.4312 of the points of
        'points' removed"``, or ``"nothing removed: …"`` with the reason.

    Raises
    ------
    SceneError
        When the points are in no unit of length, so that no height in mm can be told.
    """
    scanners = [name for name in present_in(scene) if scene[name].attrs["modality"] == "points"]
    if not scanners:
        return scene.assign_attrs(background="nothing removed: no points in this capture")
    scanner = scanners[0]
    if scene[scanner].attrs["units"] != "mm":
        raise SceneError(
            f"{scanner!r} is in {scene[scanner].attrs['units']!r}, but a background is removed by "
            "its height in mm; state the unit of the points in the card, or leave out [rig] "
            "background"
        )
    found = background(scene[scanner].values, clear=clear)
    if found.plane is None:
        return scene.assign_attrs(
            background=f"nothing removed: no plane behind the part in {scanner!r}"
        )
    grid = str(scene["grid"].sel(sensor=scanner).item())
    beside = [n for n in sensors_of(scene) if str(scene["grid"].sel(sensor=n).item()) == grid]
    kept = xr.DataArray(~found.mask, dims=("y", "x"))
    named = {name: scene[name].where(kept) for name in beside}
    on_grid = scene["sensor"].isin(beside)
    told = f"plane: {found.share:.4f} of the points of {scanner!r} removed"
    shown = scene.assign({**named, "valid": scene["valid"] & (kept | ~on_grid)})
    return check(shown.assign_attrs(background=told))
