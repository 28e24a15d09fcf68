"""Shared by all tests: no network, one thread a test, miniatures made once."""

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
# Before a library reads it. Two workers of two threads each on two cores wait for one another: a
# file of tests then takes twice the processor's time. Tests of threads ask for them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["MMDEFECT_BACKBONE"] = "eager"  # no test depends on which way is quickest here

LONGEST = (
    "notebooks",
    "viewer_browser",
    "simulate",
    "bad_input",
    "simulate_bracket",
    "doctor",
    "contracts",
    "cli",
    "fusion",
    "model",
    "resume",
    "transformer",
    "explain",
    "doctor_real",
    "simulate_board",
    "simulate_panel",
)
"""Files of tests that take longest come first, so that no worker is left with one at the end."""

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; within a file, and among the others, the order stays."""
    rank = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of real captures and weights beside the checkout, where there is one."""
    if not SHARED.is_dir():
        pytest.skip("the folder of real captures (../shared) is not here")
    return SHARED


@pytest.fixture(scope="session")
def miniature(tmp_path_factory: pytest.TempPathFactory):
    """Give a function that writes a card's miniature once a run and tells where."""
    from mmdefect.cards import read_card
    from mmdefect.miniature import write_miniature

    made: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(f"miniature-{name}")
            write_miniature(read_card(name), made[name])
        return made[name]

    return of


@pytest.fixture(scope="module")
def three_threads():
    """Let three threads share our own loops, whatever the machine; torch has read its number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "3")
        yield
