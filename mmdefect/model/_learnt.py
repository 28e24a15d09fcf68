"""What an inspection learnt: to a model's folder, and back."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mmdefect import __version__
from mmdefect.card_text import packed, unpacked
from mmdefect.cards import Card
from mmdefect.contracts import Fusion
from mmdefect.errors import ModelError
from mmdefect.familiar import Familiar
from mmdefect.features import extractor
from mmdefect.keyed import below
from mmdefect.model._folder import ModelFolder
from mmdefect.model._origin import Origin
from mmdefect.model._weights import carried, placed
from mmdefect.peaks import Peaks
from mmdefect.provenance import versions
from mmdefect.registry import load as plug_in
from mmdefect.registry import name_of
from mmdefect.verdict import Calibration

CARD, FILES, WEIGHTS = "card/card.json", "card", "weights"

Content = tuple[dict[str, np.ndarray], dict[str, Any]]


@dataclass
class Learnt:
    """Everything that was learnt.

    Parameters
    ----------
    fusion : Fusion
        Fitted.
    calibration : Calibration
    peaks : Peaks
    size : (int, int)
        Height and width of the scenes in pixels.
    origin : Origin or None
        The data set that the parts came from.
    familiar : Familiar
        What they look like.
    """

    fusion: Fusion
    calibration: Calibration
    peaks: Peaks
    size: tuple[int, int]
    origin: Origin | None = None
    familiar: Familiar = field(default_factory=Familiar)


def save(
    learnt: Learnt,
    path: Path,
    *,
    false_alarm: float,
    referral: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> ModelFolder:
    """Write what was learnt to a new folder.

    Parameters
    ----------
    learnt : Learnt
    path : Path
        Not there yet.
    false_alarm : float
    referral : mapping
        The band that is referred, as `mmdefect.referral.Referral.state` gives it.
    settings : mapping
        What shaped it.

    Returns
    -------
    ModelFolder

    Raises
    ------
    ModelError
        When something is there already, or nothing can be written.
    """
    files: dict[str, bytes] = {}
    if learnt.origin is not None:
        written, attached = packed(learnt.origin.card)
        files[CARD] = json.dumps(written, indent=1).encode()
        files |= {f"{FILES}/{name}": held for name, held in attached.items()}
    content, weights = content_of(learnt)
    facts = {
        **_facts(learnt, settings),
        "weights": sorted(weights),
        "files": {
            name.partition("/")[2]: hashlib.sha256(held).hexdigest() for name, held in files.items()
        },
    }
    files |= {f"{WEIGHTS}/{name}": held for name, held in weights.items()}
    told: Any = {"false_alarm": false_alarm, "referral": referral}
    return ModelFolder.create(path, facts, content, files, **told)


def _facts(learnt: Learnt, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Tell what does not change as long as the model lives."""
    origin = learnt.origin
    _, state = learnt.fusion.state()
    return {
        "mmdefect": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "category": origin.category if origin else None,
        "sensors": list(learnt.fusion.sensors),
        "size": list(learnt.size),
        "frame_sizes": {name: list(size) for name, size in origin.sizes.items()} if origin else {},
        "fusion": name_of("fusion", learnt.fusion),
        "features": {n: extractor(spec).name for n, spec in state.get("features", {}).items()},
        "settings": dict(settings),
        "versions": versions(),
        "manifest": origin.manifest if origin else None,
        "knows_good": origin.knows_good if origin else True,
    }


def content_of(learnt: Learnt) -> tuple[Content, dict[str, bytes]]:
    """Give what was learnt as arrays and JSON.

    Parameters
    ----------
    learnt : Learnt

    Returns
    -------
    (dict of str to array, dict)
    dict of str to bytes
        Weights by the names that the content speaks of.
    """
    tensors, told = learnt.fusion.state()
    told, weights = carried(told)
    levels, peaks = learnt.peaks.state()
    looks, frames = learnt.familiar.state()
    arrays = {f"fusion/{key}": held for key, held in tensors.items()}
    arrays |= {f"peaks/{key}": held for key, held in levels.items()}
    arrays |= {f"familiar/{key}": held for key, held in looks.items()}
    arrays["calibration/evidence"] = learnt.calibration.evidence
    arrays["calibration/scores"] = learnt.calibration.scores
    arrays["calibration/pixels"] = learnt.calibration.pixels
    arrays["calibration/signs"] = learnt.calibration.signs
    left = learnt.calibration.left
    arrays |= {f"calibration/left/{number}": rows for number, rows in enumerate(left.values())}
    origin = learnt.origin
    parts = {"fit": origin.fit, "calibration": origin.calibration} if origin else {}
    state = {
        "fusion": told,
        "peaks": peaks,
        "familiar": frames,
        "sensors": list(learnt.calibration.sensors),
        "left": [list(there) for there in left],
        "parts": parts,
    }
    return (arrays, state), weights


def load(path: Path) -> tuple[Learnt, ModelFolder]:
    """Read what was learnt.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Learnt
    ModelFolder

    Raises
    ------
    ModelError
        When the folder holds no model, one of another format, or is not as it was written.
    """
    folder = ModelFolder(path)
    facts, card = folder.facts, card_of_model(folder)
    tensors, state = folder.content()
    try:
        told = placed(state["fusion"], folder.path, facts["weights"])
        maker: Any = plug_in("fusion", facts["fusion"])
        fusion: Fusion = maker.from_state(below(tensors, "fusion"), told)
        learnt = Learnt(
            fusion,
            Calibration(
                tuple(state["sensors"]),
                tensors["calibration/evidence"],
                tensors["calibration/scores"],
                fusion.combine,
                tensors.get("calibration/pixels", np.empty(0)),
                tensors.get("calibration/signs", np.empty((0, 0, 0))),
                {
                    tuple(there): tensors[f"calibration/left/{number}"]
                    for number, there in enumerate(state.get("left", []))
                },
            ),
            Peaks.from_state(below(tensors, "peaks"), state["peaks"]),
            (int(facts["size"][0]), int(facts["size"][1])),
            familiar=Familiar.from_state(below(tensors, "familiar"), state.get("familiar", {})),
        )
        if card is not None:
            sizes = {name: (int(h), int(w)) for name, (h, w) in facts["frame_sizes"].items()}
            sensors, parts = tuple(facts["sensors"]), state["parts"]
            learnt.origin = Origin(
                card,
                facts["category"],
                sensors,
                sizes,
                facts["manifest"],
                **parts,
                knows_good=bool(facts["knows_good"]),
            )
    except (KeyError, TypeError, IndexError) as error:
        raise ModelError(
            f"'{path}' lacks or misnames {error}; it was written by another version: fit it again"
        ) from error
    return learnt, folder


def card_of_model(folder: ModelFolder) -> Card | None:
    """Make the card a model carries; None for a model of scenes without a card.

    Parameters
    ----------
    folder : ModelFolder

    Returns
    -------
    Card or None

    Raises
    ------
    ModelError
        When the card or a file it speaks of is not the one that was written.
    """
    for name, digest in folder.facts["files"].items():
        file = folder.path / FILES / name
        try:
            found = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError as error:
            raise ModelError(f"'{file}' cannot be read ({error.strerror})") from error
        if found != digest:
            raise ModelError(f"'{file}' was changed after the model was made; copy it again")
    if not folder.facts["files"]:
        return None
    written = json.loads((folder.path / CARD).read_bytes())
    return unpacked(written, folder.path / FILES, written["name"])
