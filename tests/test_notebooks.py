"""Every notebook runs from top to bottom, one after the other in one folder, as people do."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
TELLS = {
    "1-a-capture": ("deeper", "image/png"),
    "2-fuse-and-find": ("pages of the viewer: 8", "image/png"),
    "3-why-this-verdict": ("are shared out", "<iframe srcdoc"),
    "4-your-own-data": ("on its own grid", "findings"),
    "5-a-structured-light-rig": ("mm above the plate", "image/png"),
}
"""What has to be among what each shows."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where all of them run: the captures that one makes the next finds."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_is_kept_without_outputs(path: Path, folder: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "clear the outputs"
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=900, kernel_name="python3", resources=where).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not any(output.get("output_type") == "error" for output in shown)
    assert not any(output.get("name") == "stderr" for output in shown), shown
    for told in TELLS[path.stem]:
        assert any(told in str(output) for output in shown), f"nothing shows {told!r}"
    assert sum(len(str(output)) for output in shown) < 2_000_000, "outputs are to stay light"


def test_there_is_every_notebook() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(TELLS)
