"""Other people's runtimes, on the real thing; where one is not here, the reason says what to do."""

import re
import shlex
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from linexport.errors import ArtifactError

# What runtimes there are is said in one place. Its directory has modules named as folders here.
SPEC = spec_from_file_location("runtimes", Path(__file__).parents[2] / "benchmarks" / "runtimes.py")
sys.modules[SPEC.name] = runtimes = module_from_spec(SPEC)
SPEC.loader.exec_module(runtimes)

FLOAT32 = ("float32, folded", "float32, centred")


def needed(name):
    """The engine, or skip."""
    engine = runtimes.ENGINES[name]
    if missing := engine.missing():
        pytest.skip(f"{name} needs {missing}")
    return engine


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    return runtimes.write_bundles(tmp_path_factory.mktemp("bundles"), (*FLOAT32, "float64, folded"))


@pytest.mark.parametrize(
    "name", [name for name, engine in runtimes.ENGINES.items() if engine.keeps]
)
def test_a_runtime_that_keeps_float32_is_proven_folded_and_centred(bundles, name):
    engine = needed(name)
    for form in FLOAT32:
        certificate = runtimes.proof(engine, bundles[form])
        own, others = certificate.runtimes[-1], certificate.runtimes[:-1]
        assert (certificate.verdict, own.verdict) == ("proven", "proven"), certificate.failures
        assert own.provider == "its own process"
        assert own.version.split()[1][0].isdigit()
        assert own.batch_sizes[:2] == (0, 1)
        assert {other.rows for other in others} == {own.rows}


def test_openvino_is_proven_only_where_it_computes_in_float32(bundles):
    """It chooses by the processor, and says what it chose."""
    certificate = runtimes.proof(needed("OpenVINO"), bundles["float32, folded"])
    own = certificate.runtimes[-1]
    (precision,) = re.fullmatch(r"OpenVINO \S+ in (\w+)", own.version).groups()
    assert own.verdict == ("proven" if precision == "f32" else "disagrees")
    assert all(other.verdict == "proven" for other in certificate.runtimes[:-1])


def test_openvino_in_float32_is_found_to_narrow_float64(bundles):
    certificate = runtimes.proof(needed("OpenVINO, f32"), bundles["float64, folded"])
    assert certificate.runtimes[-1].verdict == "disagrees"
    assert "computes below float64" in certificate.failures[0]


def test_tract_says_why_it_does_not_run_float64(bundles):
    with pytest.raises(ArtifactError, match=r"exit status 1: .* tensor is F32, accessed as F64"):
        runtimes.proof(needed("tract"), bundles["float64, folded"])


def test_the_onnx_runtimes_in_javascript_keep_float64(bundles):
    assert (
        runtimes.proof(needed("onnxruntime-node"), bundles["float64, folded"]).verdict == "proven"
    )


@pytest.mark.parametrize("name", ["onnxruntime-node", "onnxruntime-web"])
def test_what_an_engine_in_javascript_refuses_is_told_in_its_words(bundles, tmp_path, name):
    engine = needed(name)
    (tmp_path / "model.onnx").write_bytes((bundles["float32, folded"] / "model.onnx").read_bytes())
    (tmp_path / "input.npy").write_bytes(b"no numbers")
    words = [word.format(model=tmp_path / "model.onnx", input=tmp_path / "input.npy",
                         output=tmp_path / "output.npy")
             for word in shlex.split(engine.command)]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Error: " in done.stderr


def test_the_page_shows_every_engine_in_every_form():
    written = runtimes.PAGE.read_text().partition(runtimes.BEGIN)[2].partition(runtimes.END)[0]
    _, header, _, *rows = [line for line in written.splitlines() if line]
    assert [cell.strip() for cell in header.split("|")][3:-1] == list(runtimes.FORMS)
    engines = [row.split("|")[1].strip() for row in rows]
    assert engines[-len(runtimes.ENGINES) :] == list(runtimes.ENGINES)
    assert {"pytorch", "torchscript", "onnxruntime", "onnx reference"} <= {*engines}


def test_every_example_of_a_runtime_is_run():
    files = {path.name for path in runtimes.EXAMPLES.iterdir() if path.suffix in (".py", ".mjs")}
    run = {
        name for name in files if any(name in each.command for each in runtimes.ENGINES.values())
    }
    assert files - run == {"npy.mjs"}
    assert all(f"runtimes/{name}" in runtimes.PAGE.read_text() for name in run)
