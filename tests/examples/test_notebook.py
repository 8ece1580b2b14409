"""The notebook runs from its first cell to its last, with its plots and tables."""

from pathlib import Path

import nbformat
import pytest
from nbconvert.preprocessors import ExecutePreprocessor

import linexport

NOTEBOOK = Path(__file__).parents[2] / "examples" / "first-hour.ipynb"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_cell_runs_and_draws(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    where = {"metadata": {"path": str(tmp_path)}}
    ExecutePreprocessor(timeout=300, kernel_name="python3").preprocess(notebook, where)
    outputs = [each for cell in notebook.cells for each in cell.get("outputs", ())]
    assert not [each for each in outputs if each.get("name") == "stderr"]
    shown = [each["data"] for each in outputs if "data" in each]
    assert sum("image/png" in data for data in shown) == 3
    assert sum("<table>" in data.get("text/html", "") for data in shown) >= 4
    assert linexport.inspect(tmp_path / "models" / "flats").certificate.verdict == "proven"
    assert (tmp_path / "models" / "flats.html").stat().st_size < 500_000
