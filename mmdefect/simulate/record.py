"""What is true about the captures of a simulated data set: ``truth.json``.

No real data set has it: drawn sizes, and for every sensor the contrast of the defect, measured
between noise-free twins. The settings stand in it too, so that a folder is only ever resumed with
the settings it was begun with.
"""

import json
from pathlib import Path
from typing import Any

from mmdefect.errors import CardError
from mmdefect.simulate.capture import Capture, visibility
from mmdefect.simulate.products import GOOD, product_named
from mmdefect.whole import write_whole

TRUTH = "truth.json"


def read_truth(out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of the captures below `out`, empty for a new folder."""
    if not out.exists():
        return {}
    if not out.is_dir():
        raise CardError(f"'{out}' is a file, a folder was promised: name another one")
    path = out / TRUTH
    if not path.exists():
        if any(out.iterdir()):
            raise CardError(
                f"'{out}' holds other files and no '{TRUTH}'; a simulated data set wants an empty "
                "folder: name a new one"
            )
        return {}
    try:
        truth = json.loads(path.read_text(encoding="utf-8"))
        found, captures = truth["settings"], truth["captures"]
    except (ValueError, KeyError, TypeError):
        raise CardError(
            f"'{path}' is not the truth of a simulated data set; its folder cannot be resumed: "
            "name a new folder"
        ) from None
    if found != settings:
        raise CardError(
            f"'{out}' was simulated with {_wording(found)}, but {_wording(settings)} was asked "
            "for: name a new folder, or repeat the old settings to resume"
        )
    return dict(captures)


def _wording(settings: dict[str, Any]) -> str:
    """Put settings into words."""
    return " ".join(
        f"{name}={'+'.join(value) or 'all' if isinstance(value, list) else value}"
        for name, value in sorted(settings.items())
    )


def entry_of(capture: Capture) -> dict[str, Any]:
    """Return what is true about one capture, for ``truth.json``."""
    product = product_named(capture.product)
    group = GOOD if capture.kind == GOOD else product.kinds[capture.kind].group
    return {
        "seed": list(capture.seed),
        "kind": capture.kind,
        "group": group,
        "sizes": {name: round(value, 4) for name, value in capture.sizes.items()},
        "contrast_to_noise": {name: round(value, 4) for name, value in capture.contrast.items()},
        "visibility": {name: visibility(value) for name, value in capture.contrast.items()},
    }


def write_truth(out: Path, settings: dict[str, Any], captures: dict[str, Any]) -> None:
    """Write what is true about all captures made so far."""
    text = json.dumps({"settings": settings, "captures": captures}, indent=1, sort_keys=True)
    write_whole(out / TRUTH, lambda path: path.write_text(text + "\n", encoding="utf-8"))
