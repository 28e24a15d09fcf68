"""What a calibration or a check found, as rows for machines and as a page for people."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmdefect.calibration.check import RigCheck
from mmdefect.calibration.intrinsics import Outlier
from mmdefect.calibration.motion import Motion
from mmdefect.calibration.rig import RigFit, SensorFit
from mmdefect.registration import BrownConrady, Camera, Pose

_INNER = ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3")
_LEAST_COVERAGE = 0.6
FORMAT = 1


def fit_rows(fit: RigFit) -> dict[str, Any]:
    """Give everything that a calibration found, ready for JSON.

    Parameters
    ----------
    fit : RigFit

    Returns
    -------
    dict
        Errors per view and camera in px, outliers, standard deviations, coverage.
    """
    return {
        "format": FORMAT,
        "rig": fit.rig.name,
        "reference": fit.rig.reference,
        "target": fit.target.kind,
        "views": len(fit.poses),
        "cameras": {
            name: _sensor_rows(sensor, fit.rig.cameras[name])
            for name, sensor in fit.sensors.items()
        },
        "shared_views": [{"cameras": list(pair), "views": n} for pair, n in fit.shared.items()],
        "outliers": _outlier_rows(fit.outliers),
        "motion": _motion_rows(fit.motion) if fit.motion else None,
        "not_found": {name: list(views) for name, views in fit.unseen.items()},
        "warnings": warnings_of(fit),
    }


def _outlier_rows(outliers: Sequence[Outlier]) -> list[dict[str, Any]]:
    """Give the views that do not fit."""
    return [
        {
            "camera": outlier.camera,
            "view": outlier.view,
            "error_px": _number(outlier.error),
            "usual_px": _number(outlier.usual),
            "reason": outlier.reason,
        }
        for outlier in outliers
    ]


def _motion_rows(motion: Motion) -> dict[str, Any]:
    """Give what a robot or a turntable has to do with the rig."""
    point, direction = motion.axis
    turntable = {"point_mm": point.tolist(), "direction": direction.tolist()}
    return {
        "kind": motion.kind,
        "mount": _pose_rows(motion.mount),
        "still": _pose_rows(motion.still),
        "axis": turntable if motion.kind == "turntable" else None,
        "standard_deviations": [_number(value) for value in motion.deviations],
        "rms_px": _number(motion.rms),
        "views": {view: {"mm": mm, "degrees": deg} for view, (mm, deg) in motion.errors.items()},
        "outliers": _outlier_rows(motion.outliers),
    }


def _pose_rows(pose: Pose) -> dict[str, Any]:
    """Give a pose as rows."""
    return {"rotation": pose.rotation.tolist(), "translation_mm": pose.translation.tolist()}


def _motion_lines(motion: Motion) -> list[str]:
    """Write what a robot or a turntable has to do with the rig."""
    off = np.array(list(motion.errors.values()))
    lines = ["", f"## Motion: {motion.kind}", ""]
    if motion.kind == "turntable":
        (x, y, z), (u, v, w) = motion.axis
        lines.append(
            f"Axis through ({x:.3f}, {y:.3f}, {z:.3f}) mm along ({u:.6f}, {v:.6f}, {w:.6f})."
        )
    else:
        (x, y, z), (a, b, c) = motion.mount.translation, motion.deviations[3:6]
        lines.append(f"Mount at ({x:.3f}, {y:.3f}, {z:.3f}) mm, ± ({a:.3f}, {b:.3f}, {c:.3f}) mm.")
    lines.append(
        f"In {len(off)} views the target is {off[:, 0].mean():.3f} mm and {off[:, 1].mean():.3f}° "
        f"from where the motion says, on average; {motion.rms:.3f} px rms."
    )
    left_out = ", ".join(f"{o.view} ({o.error:.2f} px)" for o in motion.outliers)
    return [*lines, *([f"Left out: {left_out}."] if left_out else [])]


def _sensor_rows(sensor: SensorFit, camera: Camera) -> dict[str, Any]:
    """Give one camera's part of the report."""
    deviations = [_number(value) for value in sensor.deviations]
    return {
        "rms_px": _number(sensor.rms),
        "noise_px": _number(sensor.sigma),
        "coverage": _number(sensor.coverage),
        "leaning_degrees": _number(sensor.leaning),
        "radial_terms": sensor.radial,
        "inverted": sensor.inverted,
        "values": dict(zip(_INNER, _values(camera), strict=True)),
        "standard_deviations": dict(zip(_INNER, deviations, strict=False))
        | {"rotation_radians": deviations[9:12], "translation_mm": deviations[12:]},
        "views": {
            view: {"rms_px": _rms(errors), "points": len(errors)}
            for view, errors in sensor.errors.items()
        },
    }


def _values(camera: Camera) -> list[float]:
    """Give a camera's nine numbers."""
    lens = camera.lens
    assert isinstance(lens, BrownConrady)
    focal = [camera.fx, camera.fy, camera.cx, camera.cy]
    return [*focal, lens.k1, lens.k2, lens.p1, lens.p2, lens.k3]


def _rms(errors: Any) -> float | None:
    """Give the root-mean-square length of errors (n, 2), px."""
    return _number(float(np.sqrt((errors**2).sum(1).mean())))


def _number(value: float) -> float | None:
    """Give a number that JSON can hold."""
    return float(value) if np.isfinite(value) else None


def warnings_of(fit: RigFit) -> list[str]:
    """Say what would make a calibration better.

    Parameters
    ----------
    fit : RigFit

    Returns
    -------
    list of str
    """
    said = []
    for name, sensor in fit.sensors.items():
        if sensor.coverage < _LEAST_COVERAGE:
            said.append(
                f"{name}: points lie in {sensor.coverage:.0%} of the frame's cells; where none "
                "lie the lens is a guess: show the target in every corner"
            )
        if len(sensor.errors) < 8:
            said.append(f"{name}: {len(sensor.errors)} views; 10 to 20 are better")
    return said


def fit_text(fit: RigFit) -> str:
    """Write a calibration as a page.

    Parameters
    ----------
    fit : RigFit

    Returns
    -------
    str
        Markdown.
    """
    rows = []
    for name, sensor in fit.sensors.items():
        camera, off = fit.rig.cameras[name], sensor.deviations
        rows.append(
            [
                name,
                str(len(sensor.errors)),
                f"{sensor.rms:.3f}",
                f"{camera.fx:.2f} ± {off[0]:.2f}",
                f"{camera.cx:.2f} ± {off[2]:.2f}",
                f"{camera.cy:.2f} ± {off[3]:.2f}",
                f"{np.linalg.norm(off[12:]):.3f}",
                f"{np.degrees(np.linalg.norm(off[9:12])):.4f}",
                f"{sensor.coverage:.0%}",
            ]
        )
    head = ["camera", "views", "rms px", "fx px", "cx px", "cy px", "± mm", "± °", "coverage"]
    lines = [f"# Calibration of {fit.rig.name}", "", f"Reference: {fit.rig.reference}.", ""]
    lines += table(head, rows)
    lines += ["", "## Errors by view, px rms", "", *_views_table(fit)]
    lines += ["", "## Outliers", ""]
    if fit.outliers:
        lines += table(
            ["camera", "view", "error px", "usual px", "why"],
            [
                [o.camera, o.view, f"{o.error:.2f}", f"{o.usual:.3f}", o.reason]
                for o in fit.outliers
            ],
        )
    else:
        lines.append("None.")
    for name, views in fit.unseen.items():
        if views:
            lines += ["", f"{name}: the target was not found in {', '.join(views)}."]
    lines += _motion_lines(fit.motion) if fit.motion else []
    said = warnings_of(fit)
    lines += ["", "## Warnings", "", *(f"* {one}" for one in said)] if said else []
    return "\n".join(lines) + "\n"


def _views_table(fit: RigFit) -> list[str]:
    """Write every view's error in every camera."""
    names = list(fit.sensors)
    rows = []
    for view in sorted({view for sensor in fit.sensors.values() for view in sensor.errors}):
        errors = [fit.sensors[name].errors.get(view) for name in names]
        rows.append([view, *("–" if e is None else f"{_rms(e):.3f}" for e in errors)])
    return table(["view", *names], rows)


def check_rows(check: RigCheck) -> dict[str, Any]:
    """Give everything that a check found, ready for JSON.

    Parameters
    ----------
    check : RigCheck

    Returns
    -------
    dict
    """
    return {
        "format": FORMAT,
        "holds": check.holds,
        "cameras": {
            name: {
                "holds": sensor.holds,
                "lens_holds": sensor.lens_holds,
                "pose_holds": sensor.pose_holds,
                "views": sensor.views,
                "floor_px": _number(sensor.floor),
                "alone_px": _number(sensor.alone),
                "together_px": _number(sensor.together),
                "limit_px": _number(sensor.limit),
                "bump_px": _number(sensor.bump),
            }
            for name, sensor in check.sensors.items()
        },
        "not_checked": list(check.unseen),
    }


def check_text(check: RigCheck) -> str:
    """Write a check as a page.

    Parameters
    ----------
    check : RigCheck

    Returns
    -------
    str
        Markdown.
    """
    rows = []
    for name, sensor in check.sensors.items():
        wrong = "moved or zoomed" if sensor.lens_holds else "lens changed"
        said = "holds" if sensor.holds else wrong
        numbers = (sensor.floor, sensor.alone, sensor.together, sensor.limit, sensor.bump)
        rows.append([name, str(sensor.views), *(f"{n:.3f}" for n in numbers), said])
    head = ["camera", "views", "floor px", "alone px", "together px", "limit px", "bump px", ""]
    lines = ["The rig holds." if check.holds else "The rig does not hold: calibrate it again.", ""]
    lines += table(head, rows)
    if check.unseen:
        lines += ["", f"Not checked, because it has no view: {', '.join(check.unseen)}."]
    return "\n".join(lines) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write a table in Markdown.

    Parameters
    ----------
    head : sequence of str
    rows : sequence of sequence of str

    Returns
    -------
    list of str
        Lines.
    """
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(one) + " |" for one in lines]


def as_json(rows: dict[str, Any]) -> str:
    """Write rows as JSON that anyone can read.

    Parameters
    ----------
    rows : dict

    Returns
    -------
    str
    """
    return json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
