"""Every notebook runs from top to bottom, one after the other in one folder, as people do."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client import KernelManager
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
TELLS = {
    "1-a-capture": ("deeper", "image/png"),
    "2-fuse-and-find": ("pages of the viewer: 6", "image/png"),
    "3-why-this-verdict": ("are shared out", "<iframe srcdoc"),
    "4-your-own-data": ("on its own grid", "findings"),
    "5-a-structured-light-rig": ("mm above the plate", "image/png"),
}
"""What has to be among what each shows."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where all of them run: the captures that one makes the next finds."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="module")
def kernel(folder: Path) -> Iterator[KernelManager]:
    """One kernel for all: what a notebook imports is imported once, its names are forgotten."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder))
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_is_kept_without_outputs(path: Path, kernel: KernelManager) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "clear the outputs"
    notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
    client = NotebookClient(notebook, km=kernel, timeout=900)
    try:
        client.execute()
    finally:
        client.kc.stop_channels()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not any(output.get("output_type") == "error" for output in shown)
    assert not any(output.get("name") == "stderr" for output in shown), shown
    for told in TELLS[path.stem]:
        assert any(told in str(output) for output in shown), f"nothing shows {told!r}"
    assert sum(len(str(output)) for output in shown) < 2_000_000, "outputs are to stay light"


def test_there_is_every_notebook() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(TELLS)
