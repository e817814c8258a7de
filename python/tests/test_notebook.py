"""The notebook runs from its first cell to its last."""

import nbformat
from conftest import ROOT
from nbclient import NotebookClient


def test_the_notebook_runs():
    notebook = nbformat.read(ROOT / "python" / "examples" / "digits.ipynb", as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    shown = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]
    assert len(shown) == len([cell for cell in notebook.cells if cell.cell_type == "code"])
