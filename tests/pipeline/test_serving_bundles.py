"""What is verified of a bundle before it is served."""

import hashlib
import json
import shutil
import subprocess
import sys

import msgspec
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from relisting import put

import linexport
from linexport import (
    ArtifactError,
    BundleError,
    ConfigError,
    ExportConfig,
    LinearModel,
    ParityError,
)
from linexport.formats.onnx import OrtEngine
from linexport.numerics._bounds import error_bounds, precision_of
from linexport.numerics._forms import affine_of
from linexport.parity._exact import DoubleReference
from linexport.pipeline import _serve


def source(path):
    return _serve._Source(path, linexport.ServeConfig())


def rewritten(bundle, to, **files):
    """Copy a bundle with other files and a manifest that lists them: digests alone do not tell."""
    copy = shutil.copytree(bundle, to)
    for name, data in files.items():
        put(copy, name.replace("_", "."), data)
    return copy


def certificate_for(bundle, artifact, **changes):
    report = json.loads((bundle / "parity.json").read_text())
    report["artifacts"]["model.onnx"] = hashlib.sha256(artifact).hexdigest()
    return json.dumps(report | changes).encode()


def test_a_proven_bundle_is_served_under_its_directory_s_name(bundle, tmp_path, model):
    link = tmp_path / "current"
    link.symlink_to(bundle)
    served = source(link).load()
    digest = hashlib.sha256((bundle / "model.onnx").read_bytes()).hexdigest()
    assert (served.name, served.version) == ("current", digest[:16])
    assert (served.predictor.features, served.predictor.targets) == (model.features, model.targets)
    rows = np.random.default_rng(3).normal(size=(100, 3)).astype(np.float32)
    expected = linexport.load(bundle, num_threads=1).predict(rows)
    assert served.predictor.predict(rows).tobytes() == expected.tobytes()


def test_a_changed_file_is_refused(bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "copy")
    data = (copy / "model.onnx").read_bytes()
    (copy / "model.onnx").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(BundleError, match=r"model.onnx is not the file"):
        source(copy).load()


def test_other_numbers_in_the_graph_are_refused(bundle, tmp_path):
    """Also with a manifest and a certificate that were forged to fit."""
    proto = onnx.load(bundle / "model.onnx")
    (bias,) = (tensor for tensor in proto.graph.initializer if tensor.name == "bias")
    changed = np.nextafter(numpy_helper.to_array(bias), np.float32(np.inf))
    bias.CopyFrom(numpy_helper.from_array(changed, "bias"))
    artifact = proto.SerializeToString()
    forged = certificate_for(bundle, artifact)
    copy = rewritten(bundle, tmp_path / "copy", model_onnx=artifact, parity_json=forged)
    with pytest.raises(ArtifactError, match="not, bit for bit, the model"):
        source(copy).load()


def test_a_certificate_of_another_file_is_refused(bundle, tmp_path):
    forged = certificate_for(bundle, b"another")
    copy = rewritten(bundle, tmp_path / "copy", parity_json=forged)
    with pytest.raises(ArtifactError, match=r"parity.json is not the proof of the model.onnx"):
        source(copy).load()


def test_a_negative_certificate_is_refused(bundle, tmp_path):
    artifact = (bundle / "model.onnx").read_bytes()
    report = json.loads((bundle / "parity.json").read_text())
    report["runtimes"][0] |= {"verdict": "disagrees", "failure": "It was wrong at row 3."}
    negative = certificate_for(bundle, artifact, verdict="disagrees", runtimes=report["runtimes"])
    copy = rewritten(bundle, tmp_path / "copy", parity_json=negative)
    with pytest.raises(ParityError, match="wrong at row 3"):
        source(copy).load()


def test_a_bundle_without_onnx_is_refused(model, tmp_path):
    linexport.export(model, tmp_path / "b", config=ExportConfig(formats=("torchscript",)))
    with pytest.raises(ArtifactError, match=r"no model.onnx"):
        source(tmp_path / "b").load()


def test_a_session_that_answers_wrongly_here_is_refused(bundle, monkeypatch):
    right = OrtEngine.predict
    monkeypatch.setattr(
        OrtEngine, "predict", lambda self, x: np.nextafter(right(self, x), np.float32(9e9))
    )
    with pytest.raises(ParityError, match="1 thread' disagrees"):
        source(bundle).load()


def test_a_row_does_not_depend_on_its_neighbours_beyond_the_bound(tmp_path):
    """Asked alone, among others and in another order, it is within the bound of the truth."""
    random = np.random.default_rng(8)
    model = LinearModel(
        weight=random.normal(size=(3, 37)).astype(np.float32),
        bias=random.normal(size=3).astype(np.float32),
    )
    config = ExportConfig(formats=("onnx",), probe_rows=16)
    served = source(linexport.export(model, tmp_path / "b", config=config).path).load().predictor
    rows = (10 * random.normal(size=(200, 37))).astype(np.float32)
    together, backwards = served.predict(rows), served.predict(rows[::-1].copy())[::-1]
    alone = np.concatenate([served.predict(row[None]) for row in rows])
    exact = DoubleReference(model).predict(rows)
    bounds = error_bounds(
        rows.astype(np.float64), affine_of(model), precision=precision_of(model.dtype)
    )
    for answers in (together, backwards, alone):
        distance = np.abs(answers - exact.high) + np.abs(exact.low) + exact.error
        assert (distance <= bounds.worst_case).all()


def test_the_fingerprint_changes_with_any_file(bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "copy")
    seen = {source(copy).fingerprint()}
    (copy / "model.onnx").write_bytes(b"other")
    seen.add(source(copy).fingerprint())
    shutil.rmtree(copy)
    shutil.copytree(bundle, copy)
    seen.add(source(copy).fingerprint())
    shutil.rmtree(copy)
    assert len(seen | {source(copy).fingerprint()}) == 4


def test_two_bundles_of_one_name_are_an_error(bundle, tmp_path):
    other = tmp_path / bundle.name
    with pytest.raises(ConfigError, match=f"would both be served as '{bundle.name}'"):
        linexport.serve([bundle, other])
    with pytest.raises(ConfigError, match="no bundle to serve"):
        linexport.serve([])


def test_what_is_missing_of_the_server_is_named(bundle, fresh_python):
    said = fresh_python(f"""
import sys
import linexport

sys.modules["uvloop"] = None
try:
    linexport.serve([{str(bundle)!r}])
except linexport.errors.UnavailableError as error:
    print(error)
""")
    assert said == "Serving needs uvloop: pip install 'linexport[serve]'."


def test_the_certificate_is_read_as_it_is_written(bundle):
    """The forged ones above are refused for what they say, not for how they are written."""
    assert msgspec.json.decode(certificate_for(bundle, b""))["verdict"] == "proven"


def test_what_intervals_need_is_loaded_with_the_bundle_and_for_no_other(tmp_path):
    """A request would hold up all others while scipy is loaded."""
    rng = np.random.default_rng(0)
    known = tmp_path / "known"
    config = ExportConfig(formats=("onnx",))
    fit = linexport.train(rng.normal(size=(20, 2)), rng.normal(size=20))
    linexport.export(fit, known, config=config)
    unknown = tmp_path / "unknown"
    linexport.export(LinearModel(weight=np.ones((1, 2)), bias=np.ones(1)), unknown, config=config)
    program = """
import sys
from pathlib import Path
import linexport
from linexport.pipeline._serve import _Source
for path in sys.argv[1:]:
    _Source(Path(path), linexport.ServeConfig()).load()
    print("scipy.special" in sys.modules)
"""
    command = [sys.executable, "-c", program, unknown, known]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
