"""Fit: learn the good parts of a data set, and keep what was learnt as a model."""

from pathlib import Path

from mmdefect.cache import SceneCache
from mmdefect.cards import Card
from mmdefect.dataset import Dataset
from mmdefect.errors import CardError, ModelError
from mmdefect.inspection import Inspection
from mmdefect.learning import Learning, check_features
from mmdefect.settings import Settings


def fit(
    card: Card | str | Path,
    root: str | Path,
    out: str | Path,
    *,
    category: str = "",
    settings: Settings | None = None,
    cache: SceneCache | None = None,
    readers: int = 0,
) -> tuple[Inspection, Dataset]:
    """Learn good parts, and write a model.

    Parameters
    ----------
    card : Card, str or Path
        A card, its name, or a TOML file.
    root : str or Path
        The folder of the captures; nothing is written there.
    out : str or Path
        A new folder for the model.
    category : str
        The kind of part; may be left out where there is only one.
    settings : Settings, optional
    cache : SceneCache, optional
        Where scenes are kept.
    readers : int
        Processes that read captures ahead.

    Returns
    -------
    Inspection
    Dataset
        With ``notes`` and ``refused``.

    Raises
    ------
    MmdefectError
        When nothing could be learnt, or something is there already.
    """
    settings, out = settings or Settings(), Path(out)
    dataset = Dataset(card, root, sensors=settings.sensors or None, cache=cache, readers=readers)
    check_features(dataset, settings)
    if out.resolve().is_relative_to(dataset.root.resolve()):
        raise CardError(
            f"the model would be written into the data set ({out}); give --out a folder elsewhere"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError(f"'{out}' is there already; name a new folder for the model")
    learning = Learning(dataset, one_category(dataset, category), settings)
    inspection = learning.inspection()
    learning.note_calibration(inspection)
    inspection.save(out, learning.told())
    return inspection, dataset


def one_category(dataset: Dataset, wanted: str) -> str:
    """Choose the kind of part: a model knows one.

    Parameters
    ----------
    dataset : Dataset
    wanted : str
        May be empty where there is only one.

    Returns
    -------
    str

    Raises
    ------
    CardError
        When there is none of that name, or several to choose from.
    """
    if not wanted and len(dataset.categories) > 1:
        raise CardError(
            f"there are {len(dataset.categories)} kinds of part, and a model knows one; choose "
            f"with --category among: {', '.join(dataset.categories)}"
        )
    if wanted and wanted not in dataset.categories:
        raise CardError(f"no category named {wanted!r}; there are: {', '.join(dataset.categories)}")
    return wanted or dataset.categories[0]
