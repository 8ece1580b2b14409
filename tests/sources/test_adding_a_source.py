"""A kind of model is added by one file and its registration: everything else finds it."""

import json
from importlib import import_module
from pathlib import Path

import pytest

from linexport.errors import ConfigError
from linexport.sources import Source, made_by, register
from linexport.sources._registry import SOURCES

HERE = Path(__file__).parent


@pytest.fixture
def run(fresh_python, monkeypatch):
    """Run code in a process that has the kind."""
    monkeypatch.setenv("PYTHONPATH", str(HERE), prepend=":")
    return lambda code: fresh_python(f"import slope_source, linexport, linexport.cli\n{code}")


def test_objects_and_files_of_the_kind_are_exported(run, tmp_path):
    (tmp_path / "fit.slope").write_text("-3.5 0.25")
    said = run(
        f"exported = linexport.export(slope_source.Slope(2.0, 4.0), {str(tmp_path / 'a')!r})\n"
        "print(exported.certificate.verdict, exported.model.weight.tolist())\n"
        f"linexport.cli.main(['export', '-q', {str(tmp_path / 'fit.slope')!r},"
        f" '-o', {str(tmp_path / 'b')!r}])"
    )
    assert said.startswith("proven [[2.0]]\nproven: ")
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert manifest["record"]["settings"] == {"source": "Slope"}
    coefficients = {"intercept": 0.25, "features": {"x1": -3.5}}
    assert manifest["record"]["coefficients"] == {"y": coefficients}


def test_the_command_line_tells_of_its_files(run):
    said = run("linexport.cli.main(['export', '--help'])")
    assert ".slope with a slope and an intercept" in " ".join(said.split())


def test_a_suffix_is_of_one_kind():
    with pytest.raises(ConfigError, match=r"\.onnx are read by linexport"):
        register(Source("another", made_by("another"), (".txt", ".onnx")))


@pytest.mark.parametrize("known", SOURCES, ids=lambda known: known.module.rpartition("._")[2])
def test_every_module_reads_what_its_row_says(known):
    module = import_module(known.module)
    assert callable(module.read)
    assert bool(known.suffixes) == hasattr(module, "decode")
