"""Rigs from folders: one folder a camera, in it one frame a view.

::

    views/
      target.toml
      rgb/        01.png 02.png …
      infrared/   01.tiff 02.tiff …

Files of one name are one view.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mmdefect.calibration.check import RigCheck, check_rig
from mmdefect.calibration.intrinsics import calibrate_camera
from mmdefect.calibration.report import as_json, fit_rows, fit_text
from mmdefect.calibration.rig import RigFit, join
from mmdefect.calibration.sighting import Sighting, sight_file
from mmdefect.calibration.target import Target, read_target
from mmdefect.errors import CalibrationError
from mmdefect.registration import Rig, read_rig, rig_text

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".npy")
"""Of frames."""


def calibrate_folder(
    folder: str | Path, target: Target | str | Path, *, out: str | Path | None = None,
    reference: str | None = None, overwrite: bool = False,
) -> RigFit:  # fmt: skip
    """Calibrate a rig from a folder of views.

    Parameters
    ----------
    folder : str or Path
        As described above.
    target : Target, str or Path
        Or its description's file.
    out : str or Path, optional
        The rig file to write; beside it come ``NAME.calibration.json`` and ``.md``, the report.
    reference : str, optional
        The camera whose frame is the rig's; the first by name when left out.
    overwrite : bool
        Whether an existing rig file may be replaced.

    Returns
    -------
    RigFit

    Raises
    ------
    CalibrationError
        When the folder holds no views, when they do not calibrate the rig, or when the rig file
        exists.
    SensorError
        When a frame is damaged.
    """
    target = target if isinstance(target, Target) else read_target(target)
    path = None if out is None else Path(out)
    if path is not None and path.exists() and not overwrite:
        raise CalibrationError(
            f"the rig file '{path}' exists; name another, or say that it may be overwritten"
        )
    seen, unseen = _sightings(_frames(Path(folder)), target)
    chosen = reference or next(iter(seen))
    if chosen not in seen:
        raise CalibrationError(
            f"the reference {chosen!r} has no folder; there are: {', '.join(seen)}"
        )
    fits = {camera: calibrate_camera(views, target, name=camera) for camera, views in seen.items()}
    name = path.stem if path is not None else Path(folder).resolve().name
    fit = replace(join(fits, seen, target, chosen, name), unseen=unseen)
    if path is not None:
        write_fit(fit, path)
    return fit


def check_folder(
    folder: str | Path, target: Target | str | Path, rig: Rig | str | Path,
    *, limit: float | None = None,
) -> RigCheck:  # fmt: skip
    """Check a rig on a folder of new views.

    Parameters
    ----------
    folder : str or Path
        As for ``calibrate_folder``.
    target : Target, str or Path
    rig : Rig, str or Path
    limit : float, px, optional
        As for ``check_rig``.

    Returns
    -------
    RigCheck

    Raises
    ------
    CalibrationError
        When there is no view in which the target is found, or they are not the rig's.
    RegistrationError
        When the rig file is not as written.
    SensorError
        When a frame is damaged.
    """
    target = target if isinstance(target, Target) else read_target(target)
    rig = rig if isinstance(rig, Rig) else read_rig(rig)
    seen, _ = _sightings(_frames(Path(folder)), target)
    return check_rig(rig, seen, target, limit=limit)


def write_fit(fit: RigFit, path: Path) -> None:
    """Write a rig file and its report, each whole or not at all; the rig file comes last.

    Parameters
    ----------
    fit : RigFit
    path : Path
        Of the rig file.
    """
    _write(path.with_suffix(".calibration.json"), as_json(fit_rows(fit)))
    _write(path.with_suffix(".calibration.md"), fit_text(fit))
    _write(path, rig_text(fit.rig))


def _write(path: Path, text: str) -> None:
    """Write a file beside its place, then move it there."""
    try:
        handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise CalibrationError(
            f"'{path}' cannot be written ({error.strerror}); name a folder that is there"
        ) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).chmod(0o644)
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _frames(folder: Path) -> dict[str, dict[str, Path]]:
    """List the frames, by camera and view."""
    if not folder.is_dir():
        raise CalibrationError(
            f"no folder '{folder}'; one of views, a folder a camera, was promised"
        )
    found: dict[str, dict[str, Path]] = {}
    for camera in sorted(one for one in folder.iterdir() if one.is_dir()):
        views: dict[str, Path] = {}
        for path in sorted(camera.iterdir()):
            if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
                if path.stem in views:
                    raise CalibrationError(
                        f"{camera.name}: '{path.name}' and '{views[path.stem].name}' are one view "
                        "twice; keep one of them"
                    )
                views[path.stem] = path
        if views:
            found[camera.name] = views
    if not found:
        raise CalibrationError(
            f"'{folder}' holds no folder with frames ({', '.join(SUFFIXES)}); put every camera's "
            "views into a folder of its name"
        )
    return found


def _sightings(
    frames: Mapping[str, Mapping[str, Path]], target: Target
) -> tuple[dict[str, dict[str, Sighting]], dict[str, tuple[str, ...]]]:
    """Find the target in all frames: sightings by camera and view, and views without one."""
    seen: dict[str, dict[str, Sighting]] = {}
    unseen = {}
    for camera, views in frames.items():
        every = {view: sight_file(path, target) for view, path in views.items()}
        seen[camera] = {view: one for view, one in every.items() if one is not None}
        unseen[camera] = tuple(view for view, one in every.items() if one is None)
    return seen, unseen
