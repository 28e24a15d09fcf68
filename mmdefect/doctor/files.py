"""Files that cannot be used, and files that nobody looks at.

A bad file is one finding and stops nothing. Files with the same complaint are told together.
"""

from collections.abc import Iterator

from mmdefect.dataset import Dataset
from mmdefect.doctor.findings import DOUBTFUL, GOOD_TO_KNOW, MOST_NAMED, WRONG, Finding
from mmdefect.provenance import Digests

_MOST = 0.5


def file_findings(dataset: Dataset) -> Iterator[Finding]:
    """Tell which files were refused, and which have no place.

    Parameters
    ----------
    dataset : Dataset
        After all its frames were read.

    Yields
    ------
    Finding
    """
    groups: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for refusal in dataset.refused:
        category = refusal.capture.split("/")[0]
        key = category, refusal.sensor, refusal.why
        groups.setdefault(key, []).append((refusal.capture, refusal.file))
    for (category, sensor, why), files in groups.items():
        most = _is_most(dataset, category, sensor, len(files))
        yield Finding(
            WRONG if most else DOUBTFUL,
            "files",
            category,
            sensor,
            f"{_counted(len(files))} cannot be used: {why}",
            "so the sensor is hardly there" if most else "the frame counts as absent",
            "repair, record again or remove",
            len(files),
            tuple(file for _, file in files[:MOST_NAMED]),
        )
    for note in dataset.notes:
        if "have no place in the card" in note:
            yield Finding(
                GOOD_TO_KNOW,
                "files",
                "",
                "",
                note,
                "what is not in the card is not learnt from and not tested",
                "if they are frames, extend the card's [frames]; 'mmdefect card' proposes one",
            )
    yield from _copies_left_out(dataset)


def _is_most(dataset: Dataset, category: str, sensor: str, refused: int) -> bool:
    """Tell whether most frames of a sensor are refused for one reason."""
    if category not in dataset.categories or sensor not in dataset.sensors(category):
        return False
    there = sum(sensor in capture.frames for capture in dataset.captures(category))
    return there > 0 and refused > _MOST * there


def _counted(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"


def _copies_left_out(dataset: Dataset) -> Iterator[Finding]:
    """Tell which refused files are byte for byte frames of captures that are used.

    Only files of one size are compared.
    """
    left_out = {dataset.root / r.file for r in dataset.refused if r.file}
    sizes = {path.stat().st_size for path in left_out if path.is_file()}
    digests = Digests(dataset.root)
    for category in dataset.categories:
        for capture in dataset.captures(category):
            for path in capture.frames.values():
                if path in left_out or not path.is_file() or path.stat().st_size not in sizes:
                    continue
                for other in sorted(left_out):
                    if digests.of(other) == digests.of(path) is not None:
                        yield Finding(
                            GOOD_TO_KNOW,
                            "copies",
                            category,
                            "",
                            f"{other.relative_to(dataset.root).as_posix()}, which is left out, is "
                            f"the same file as {path.relative_to(dataset.root).as_posix()}",
                            "one part under two names",
                            "remove one of them",
                            1,
                            (capture.id,),
                        )
