"""Frames above maps, one column a sensor, with colour bars in units.

* Drawn without pyplot, so that nothing global is touched and nothing is shown twice.
* Colour maps are those of the report: even to the eye, lighter means more.
* Hatching is where a sensor measured nothing; the outline is the known defect.
"""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mmdefect.errors import MmdefectError
from mmdefect.plane import plane_of
from mmdefect.report.colors import COLOR_MAPS
from mmdefect.scene import present_in, registered_in, sensors_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = {
    "points": ("height", "z"),
    "depth": ("height", "depth"),
    "infrared": ("temperature", "temperature"),
    "xray": ("transmission", "transmission"),
}
_INCHES = 2.5
_DPI = 80
_CLIPPED = (1, 99)
_LEAST_TOP, _MOST_TOP = 10.0, 40.0


class Panel:
    """A drawn panel.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    words : str
        What is on it.
    """

    def __init__(self, figure: "Figure", words: str) -> None:
        self.figure = figure
        self.words = words

    def __repr__(self) -> str:
        """Tell what is on it."""
        return f"Panel: {self.words}"

    def _repr_png_(self) -> bytes:
        """Show the panel in a notebook."""
        stream = BytesIO()
        self.figure.savefig(stream, format="png", dpi=_DPI)
        return stream.getvalue()

    def save(self, path: str | Path, dpi: int = 150) -> Path:
        """Write the panel as a picture.

        Parameters
        ----------
        path : str or Path
            Its ending says which kind: png, pdf, svg.
        dpi : int
            Dots per inch, of pictures made of dots.

        Returns
        -------
        Path
        """
        self.figure.savefig(path, dpi=dpi)
        return Path(path)


def draw(scene: xr.Dataset | None = None, prediction: xr.Dataset | None = None) -> Panel:
    """Draw a scene, a prediction, or both.

    Parameters
    ----------
    scene : Dataset, optional
    prediction : Dataset, optional
        With ``evidence_map`` and ``anomaly_map``.

    Returns
    -------
    Panel

    Raises
    ------
    MmdefectError
        When matplotlib is not installed, or nothing was given.
    """
    told = scene if scene is not None else prediction
    if told is None:
        raise MmdefectError("nothing was given; a scene, a prediction or both were promised")
    names = sensors_of(told) if scene is not None else [str(n) for n in told["sensor"].values]
    columns = [*names, *(["fused"] if prediction is not None else [])]
    rows = [kind for kind, given in (("frame", scene), ("map", prediction)) if given is not None]
    figure, axes = _empty(len(rows), len(columns), told)
    for row, kind in zip(axes, rows, strict=True):
        for place, name in zip(row, columns, strict=True):
            if kind == "frame" and scene is not None:
                _frame(place, scene, name)
            elif prediction is not None:
                _evidence(place, prediction, name, scene)
    for number, name in enumerate(columns):
        axes[-1 if name == "fused" else 0][number].set_title(name, fontsize=10)
    words = _words(told, prediction)
    figure.suptitle(words, fontsize=11)
    return Panel(figure, words)


def _words(told: xr.Dataset, prediction: xr.Dataset | None) -> str:
    """Say what is on the panel."""
    capture = str(told.attrs.get("capture", "a capture"))
    verdict = prediction.attrs.get("verdict") if prediction is not None else None
    return f"{capture}: {verdict.replace('_', ' ')}" if verdict else capture


def _empty(rows: int, columns: int, told: xr.Dataset) -> tuple["Figure", Any]:
    """Make a figure of empty places."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MmdefectError(
            "drawing needs matplotlib, which is not installed; run 'pip install mmdefect[plot]'"
        ) from error
    aspect = told.sizes["y"] / told.sizes["x"]
    size = (_INCHES * columns, (_INCHES * aspect + 0.55) * rows + 0.35)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for place in axes.flat:
        place.set_xticks([])
        place.set_yticks([])
        place.set_facecolor("0.55")
    return figure, axes


def _frame(place: Any, scene: xr.Dataset, name: str) -> None:
    """Draw what a sensor saw."""
    if name == "fused":
        place.axis("off")
        return
    if name not in present_in(scene):
        _absent(place, "absent")
        return
    frame = scene[name]
    if frame.attrs["modality"] == "rgb":
        blind = frame.isnull().any("color").values
        colors = np.moveaxis(np.nan_to_num(frame.values).clip(0, 1), 0, -1)
        alpha = (~blind).astype(np.float32)[..., None]
        _hatched(place, blind)
        place.imshow(np.concatenate([colors, alpha], axis=-1), interpolation="nearest")
    else:
        plane, colors_of, label = _plane(frame)
        known = plane[np.isfinite(plane)]
        low, high = np.percentile(known, _CLIPPED).tolist() if known.size else (0.0, 1.0)
        _image(place, plane, colors_of, low, max(high, low + 1e-6), label)
    if name in registered_in(scene):
        _outline(place, scene)
    else:
        place.set_xlabel("own grid, not registered", fontsize=8)


def _plane(frame: xr.DataArray) -> tuple[np.ndarray, str, str]:
    """Give the one plane of a frame that is drawn, its colours, and the words of its bar."""
    modality, unit = str(frame.attrs["modality"]), str(frame.attrs["units"])
    colors, quantity = _SHOWN[modality]
    if "channel" in frame.dims:
        first = frame.isel(channel=0)
        quantity, unit = (str(first[name].item()) for name in ("channel", "channel_unit"))
    words = {"1": quantity, "relative": "no unit known"}.get(unit, f"{quantity}, {unit}")
    return plane_of(frame), colors, words


def _evidence(place: Any, prediction: xr.Dataset, name: str, scene: xr.Dataset | None) -> None:
    """Draw the evidence of one sensor, or of all together."""
    fused = name == "fused"
    if not fused and name not in prediction["sensor"].values:
        _absent(place, "not asked")
        return
    told = prediction["anomaly_map"] if fused else prediction["evidence_map"].sel(sensor=name)
    if np.isnan(told.values).all():
        _absent(place, "no evidence")
        return
    _image(place, told.values, "score", 0.0, _top(prediction), "evidence, −ln p")
    if scene is not None and (fused or name in registered_in(scene)):
        _outline(place, scene)


def _top(prediction: xr.Dataset) -> float:
    """Find the evidence of the last colour, shared by all maps."""
    maps = [prediction[name].values.ravel() for name in ("evidence_map", "anomaly_map")]
    known = np.concatenate(maps)
    known = known[np.isfinite(known)]
    return float(np.clip(np.ceil(known.max(initial=0)), _LEAST_TOP, _MOST_TOP))


def _image(place: Any, plane: np.ndarray, colors: str, low: float, high: float, label: str) -> None:
    """Draw a plane of numbers with its colour bar."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import MaxNLocator

    table = LinearSegmentedColormap.from_list(colors, COLOR_MAPS[colors] / 255)
    _hatched(place, ~np.isfinite(plane))
    image = place.imshow(
        np.ma.masked_invalid(plane), cmap=table, vmin=low, vmax=high, interpolation="nearest"
    )
    bar = place.figure.colorbar(
        image, ax=place, location="bottom", pad=0.02, aspect=28, ticks=MaxNLocator(4)
    )
    bar.ax.tick_params(labelsize=7)
    bar.set_label(label, fontsize=8)


def _hatched(place: Any, blind: np.ndarray) -> None:
    """Hatch where nothing was measured."""
    if blind.any():
        y, x = np.indices(blind.shape)
        stripes = np.where((y + x) // max(2, blind.shape[1] // 64) % 2, 0.62, 0.5)
        place.imshow(stripes, cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def _outline(place: Any, scene: xr.Dataset) -> None:
    """Outline the known defect with a dark and a bright line, which shows on any picture."""
    if "defect" not in scene or not bool(scene["defect"].any()):
        return
    mask = scene["defect"].values.astype(float)
    for color, width in (("black", 2.2), ("#00e5ff", 1.1)):
        place.contour(mask, levels=[0.5], colors=[color], linewidths=[width])


def _absent(place: Any, words: str) -> None:
    """Say that there is nothing to see."""
    place.text(0.5, 0.5, words, ha="center", va="center", color="white", transform=place.transAxes)
