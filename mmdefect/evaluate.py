"""Evaluate: learn the good parts of a data set, judge its test parts, measure how well.

One category that fails, or one file that cannot be read, is listed and does not stop the others,
and what is already measured is on disk before the next category begins. A run that was killed
goes on where it was when the same is asked for again; its results are those of one that was not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from mmdefect.cache import SceneCache
from mmdefect.captures import Refusal
from mmdefect.cards import Card
from mmdefect.dataset import Dataset
from mmdefect.errors import CardError, MmdefectError
from mmdefect.few import FewParts
from mmdefect.judged import Hands
from mmdefect.learning import check_features
from mmdefect.published import beside_ours, read_published
from mmdefect.report import linked, markdown_tables, mistake_rank, write_page
from mmdefect.report_pages import VIEWER, VIEWER_BYTES, write_pages
from mmdefect.results import Row, header, write_json
from mmdefect.settings import Settings
from mmdefect.trial import Trial
from mmdefect.work import Work

__all__ = ["Settings", "evaluate"]

_MOST_PICTURES = 400


def evaluate(
    card: Card | str | Path,
    root: str | Path,
    out: str | Path,
    *,
    categories: Sequence[str] = (),
    settings: Settings | None = None,
    cache: SceneCache | None = None,
    readers: int = 0,
    few: Sequence[int] = (),
    viewer_bytes: int = VIEWER_BYTES,
    hands: Hands | None = None,
) -> Row:
    """Fit on good parts, judge the test parts, measure and report.

    Parameters
    ----------
    card : Card, str or Path
        A card, its name, or a TOML file.
    root : str or Path
        The folder of the captures; nothing is written there.
    out : str or Path
        The folder for ``results.json``, ``results.md``, ``report.html`` and ``viewer``.
    categories : sequence of str
        Use only these; all when empty.
    settings : Settings, optional
    cache : SceneCache, optional
        Where scenes are kept.
    readers : int
        Processes that read captures ahead.
    few : sequence of int
        Numbers of good parts: the test parts are ranked once more after learning from so few.
    viewer_bytes : int
        Bytes of all captures' pages in the viewer, mistakes first; 0 for none.
    hands : Hands, optional
        Who judges the test parts (``mmdefect.hands.hired``); this process unless told otherwise.
        The results are the same.

    Returns
    -------
    dict
        What ``results.json`` holds.

    Raises
    ------
    MmdefectError
        When nothing could be evaluated.
    """
    settings = settings or Settings()
    dataset = Dataset(card, root, sensors=settings.sensors or None, cache=cache, readers=readers)
    check_features(dataset, settings)
    chosen = _categories(dataset, categories)
    folder = out_folder(Path(out), dataset.root)
    told = {**asdict(settings), "sensors": list(settings.sensors)}
    results = header({**told, "card": dataset.card.name, "root": dataset.root.name})
    results["card"] = {
        name: getattr(dataset.card, name) for name in ("name", "title", "licence", "source")
    }
    work = Work(folder)
    try:
        _run(dataset, chosen, settings, results, work, folder, few, viewer_bytes, hands)
    except MmdefectError:
        work.remove()
        raise
    finally:
        work.close()
    work.remove()
    return results


def _run(
    dataset: Dataset,
    chosen: Sequence[str],
    settings: Settings,
    results: Row,
    work: Work,
    folder: Path,
    few: Sequence[int],
    viewer_bytes: int,
    hands: Hands | None,
) -> None:
    """Try every category, and write what came out."""
    failures: list[MmdefectError] = []
    pictures: dict[str, Path] = {}
    packed: dict[str, Path] = {}
    for number, category in enumerate(chosen):
        trial = Trial(dataset, category, settings, work, number, viewer_bytes > 0, hands)
        try:
            trial.into(results)
            pictures |= trial.pictures
            results["few"] += FewParts(dataset, category, settings).rows(few) if few else []
            packed |= trial.packed
        except MmdefectError as error:
            failures.append(error)
            dataset.refused.append(Refusal(category, "", "", str(error)))
        _tell(results, dataset)
        if len(failures) <= number:
            write_json(folder / "results.json", results)
    if len(failures) == len(chosen):
        raise failures[0]
    addresses = write_pages(folder, results, packed, viewer_bytes)
    _write_report(results, folder, pictures, addresses)


def _categories(dataset: Dataset, wanted: Sequence[str]) -> list[str]:
    """Hold the wanted categories against those that are there."""
    unknown = [name for name in wanted if name not in dataset.categories]
    if unknown:
        raise CardError(
            f"no category named {unknown[0]!r}; there are: {', '.join(dataset.categories)}"
        )
    return list(dict.fromkeys(wanted)) or dataset.categories


def out_folder(out: Path, root: Path) -> Path:
    """Make the folder for results, never inside the data set.

    Parameters
    ----------
    out, root : Path
        The folder to be, and that of the captures.

    Returns
    -------
    Path

    Raises
    ------
    CardError
        When it lies inside the data set, or cannot be made.
    """
    pages = (out / VIEWER).resolve()
    inside = any(place.is_relative_to(root.resolve()) for place in (out.resolve(), pages))
    if inside or root.resolve().is_relative_to(pages):
        raise CardError(
            f"results would be written into the data set ({out}); give --out a folder elsewhere"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CardError(f"'{out}' cannot be made a folder for results: {error.strerror}") from error
    return out


def _tell(results: Row, dataset: Dataset) -> None:
    """Put what was refused or is worth knowing into the results."""
    results["refused"] = [refusal._asdict() for refusal in dataset.refused]
    results["notes"] = list(dict.fromkeys(dataset.notes))


def _write_report(
    results: Row, folder: Path, pictures: Mapping[str, Path], addresses: Mapping[str, str]
) -> None:
    """Write the JSON, the Markdown and the page, mistakes first."""
    published = read_published(results["card"]["name"])
    results["published"] = beside_ours(published, results["rows"], results["manifest"])
    ordered = sorted(results["captures"], key=mistake_rank)
    shown = ordered[:_MOST_PICTURES]
    if len(ordered) > len(shown):
        results["notes"].append(
            f"the report pictures {len(shown)} of {len(ordered)} captures, mistakes first; "
            "results.json lists all"
        )
    fragments = (_fragment(record["capture"], pictures, addresses) for record in shown)
    write_page(folder / "report.html", results, fragments)
    (folder / "results.md").write_text(markdown_tables(results), encoding="utf-8")
    write_json(folder / "results.json", results)


def _fragment(capture: str, pictures: Mapping[str, Path], addresses: Mapping[str, str]) -> str:
    """Read a capture's part of the report; let it lead to its page of the viewer."""
    fragment = pictures[capture].read_text(encoding="utf-8")
    return linked(fragment, addresses[capture]) if capture in addresses else fragment
