"""Rigs from folders: one folder a camera, in it one frame or one stack of patterns a view.

::

    views/
      target.toml
      rgb/        01.png 02.png …
      infrared/   01.tiff 02.tiff …
      points/     01/stack.toml + frames  02/…      a camera before which a projector works
      motion.toml                                   a robot's or a turntable's poses

Files and stacks of one name are one view. A stack's white frame shows the target, and its patterns
calibrate the projector as one more camera. What moves is tied to the rig at the end.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mmdefect.calibration._given import bundled
from mmdefect.calibration.check import RigCheck, check_rig
from mmdefect.calibration.intrinsics import calibrate_camera
from mmdefect.calibration.motion import calibrate_motion
from mmdefect.calibration.motion_file import read_motion
from mmdefect.calibration.report import as_json, fit_rows, fit_text
from mmdefect.calibration.rig import RigFit, Views, join
from mmdefect.calibration.sighting import Sighting, sight_file
from mmdefect.calibration.stacks import projector_views, sight_stack
from mmdefect.calibration.target import Target, read_target
from mmdefect.errors import CalibrationError
from mmdefect.registration import Camera, Pose, Rig, read_rig, rig_text
from mmdefect.structured.stack import DESCRIPTION

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".npy")
"""Of frames."""
MOTION = "motion.toml"


def calibrate_folder(
    folder: str | Path, target: Target | str | Path, *, out: str | Path | None = None,
    reference: str | None = None, overwrite: bool = False, projector: str = "projector",
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
    projector : str
        The name of the projector that stacks show.

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
    frames = _frames(Path(folder))
    seen, unseen = _sightings(frames, target)
    chosen = reference or next(iter(seen))
    if chosen not in seen:
        raise CalibrationError(
            f"the reference {chosen!r} has no folder; there are: {', '.join(seen)}"
        )
    fits = {camera: calibrate_camera(views, target, name=camera) for camera, views in seen.items()}
    cameras = {name: fit.camera for name, fit in fits.items()}
    poses = {name: fit.poses for name, fit in fits.items()}
    lit = _projected(frames, seen, cameras, poses, target, projector)
    for name, views in lit.items():
        seen[name] = views
        fits[name] = calibrate_camera(views, target, name=name)
    name = path.stem if path is not None else Path(folder).resolve().name
    fit = replace(join(fits, seen, target, chosen, name), unseen=unseen)
    moves = Path(folder) / MOTION
    if moves.exists():
        kind, given = read_motion(moves)
        fit = replace(
            fit, motion=calibrate_motion(fit.rig, _fitting(seen, fit), target, given, kind)
        )
    if path is not None:
        write_fit(fit, path)
    return fit


def check_folder(
    folder: str | Path, target: Target | str | Path, rig: Rig | str | Path,
    *, limit: float | None = None, projector: str = "projector",
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
    projector : str
        The name of the projector that stacks show.

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
    frames = _frames(Path(folder))
    seen, _ = _sightings(frames, target)
    known = {name: views for name, views in seen.items() if name in rig.cameras and views}
    poses = bundled(rig, known, target).poses if known and projector in rig.cameras else {}
    seen |= _projected(frames, seen, rig.cameras, poses, target, projector)
    return check_rig(rig, seen, target, limit=limit)


def _projected(
    frames: Mapping[str, Mapping[str, Path]], seen: Views, cameras: Mapping[str, Camera],
    poses: Mapping[str, Mapping[str, Pose]], target: Target, projector: str,
) -> dict[str, dict[str, Sighting]]:  # fmt: skip
    """Find the projector's sightings, by its name, where there are stacks."""
    stacks = {
        camera: {view: path for view, path in views.items() if path.is_dir()}
        for camera, views in frames.items()
    }
    if not any(stacks.values()):
        return {}
    if projector in frames:
        raise CalibrationError(
            f"{projector!r} is a camera's folder and the projector's name; rename one of them"
        )
    views = projector_views(stacks, seen, cameras, poses, target)
    return {projector: views} if views else {}


def _fitting(seen: Views, fit: RigFit) -> dict[str, dict[str, Sighting]]:
    """Keep the sightings that were no outliers."""
    return {
        camera: {view: one for view, one in views.items() if view in fit.sensors[camera].errors}
        for camera, views in seen.items()
    }


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
            stacked = (path / DESCRIPTION).is_file()
            framed = path.is_file() and path.suffix.lower() in SUFFIXES
            if path.name.startswith(".") or not (stacked or framed):
                continue
            view = path.name if stacked else path.stem
            if view in views:
                raise CalibrationError(
                    f"{camera.name}: '{path.name}' and '{views[view].name}' are one view twice; "
                    "keep one of them"
                )
            views[view] = path
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
        every = {
            view: (sight_stack if path.is_dir() else sight_file)(path, target)
            for view, path in views.items()
        }
        seen[camera] = {view: one for view, one in every.items() if one is not None}
        unseen[camera] = tuple(view for view, one in every.items() if one is None)
    return seen, unseen
