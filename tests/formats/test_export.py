"""Choosing formats, metadata, and what every format promises."""

import hashlib
import json

import numpy as np
import pytest

from linexport.bundle._manifest import file_formats
from linexport.columns import Column
from linexport.errors import ConfigError
from linexport.fit import FitRecord, Metrics
from linexport.formats import (
    DEFAULT_FORMATS,
    FORMATS,
    artifact_metadata,
    configured,
    export,
    of_path,
    register,
    stated,
)
from linexport.formats.onnx import graph as onnx_graph
from linexport.model import LinearModel

TEXTBOOK = LinearModel(weight=np.array([[2, -3.4]], np.float32), bias=np.array([4.2], np.float32))


def test_torchscript_and_onnx_are_written_by_default():
    assert list(export(TEXTBOOK, metadata={})) == ["model.pt", "model.onnx"]
    assert set(DEFAULT_FORMATS) < set(FORMATS)


def test_a_format_that_is_named_twice_is_written_once():
    assert list(export(TEXTBOOK, ["onnx", "onnx"], metadata={})) == ["model.onnx"]


def test_an_unknown_format_is_refused_with_those_that_are_known():
    with pytest.raises(
        ConfigError, match="no format 'tflite': use torchscript, onnx, onnx-columns, pt2"
    ):
        export(TEXTBOOK, ["tflite"], metadata={})


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_format_is_found_by_its_name_and_by_its_files(format_name):
    (known,) = configured([format_name])
    assert known.name == format_name
    assert of_path(f"elsewhere/{known.file_name}") is FORMATS[format_name]
    assert file_formats()[known.file_name] == format_name


@pytest.mark.parametrize("format_name", ["torchscript", "onnx", "pt2"])
def test_a_file_of_another_name_is_found_by_its_suffix(format_name):
    known = FORMATS[format_name]
    assert of_path(f"elsewhere/other{known.file_name}") is known


def test_a_name_or_a_suffix_is_of_one_format():
    with pytest.raises(ConfigError, match=r"a format 'onnx' already, for model\.onnx"):
        register(FORMATS["onnx"])


def test_versions_of_onnx_are_passed_on():
    chosen = configured(["onnx"], opset_version=11, ir_version=6)
    files = export(TEXTBOOK, chosen, metadata={})
    proto = onnx_graph.parse(files["model.onnx"])
    assert (proto.opset_import[0].version, proto.ir_version) == (11, 6)


def test_writing_onnx_does_not_import_torch(fresh_python):
    code = (
        "import sys, numpy as np\n"
        "from linexport.formats import export\n"
        "from linexport.model import LinearModel\n"
        "model = LinearModel(weight=np.ones((1, 2)), bias=np.ones(1))\n"
        "export(model, ['onnx'], metadata={})\n"
        "print('torch' in sys.modules)"
    )
    assert fresh_python(code) == "False"


def test_artifacts_of_the_textbook_model_never_change():
    """Seen with torch 2.13.0; of 2.9.1 and 2.14.1, also for CUDA, when the class had another name.

    A bundle's model.pt is trusted because it can be written anew: other bytes for the same model
    would make every bundle that exists ask for --trust.
    """
    digests = {
        name: hashlib.sha256(data).hexdigest()
        for name, data in export(TEXTBOOK, metadata={"dtype": "float32"}).items()
    }
    assert digests == {
        "model.pt": "8501ffc27778e0d0e0324f9ccdb7157bb692c7eccf6f96f038811291860b6910",
        "model.onnx": "2872aa9161f1e6e44dc27d576fab8528d01506348e5c97d913da3a47bbb840d2",
    }


def test_metadata_tell_what_a_user_of_the_bare_file_needs():
    model = TEXTBOOK.with_columns(
        [
            Column(name="area", unit="m²", minimum=12.5, maximum=310.0, mean=90.0),
            Column(name="age"),
        ],
        [Column(name="price", unit="USD")],
    )
    metrics = {"test": {"price": Metrics(rows=2, rmse=0.5, mae=0.25, r2=None)}}
    record = FitRecord(solver="lstsq", rows=8, settings={"device": "cpu"}, metrics=metrics)
    metadata = artifact_metadata(model, record, {"torch": "2.13.0", "linexport": "0.1.0"})
    plain = ("dtype", "accumulate", "form", "rows", "solver")
    assert {key: metadata[key] for key in plain} == {
        "dtype": "float32",
        "accumulate": "float32",
        "form": "folded",
        "rows": "8",
        "solver": "lstsq",
    }
    assert json.loads(metadata["features"]) == [
        {"name": "area", "unit": "m²", "minimum": 12.5, "maximum": 310.0, "mean": 90.0},
        {"name": "age"},
    ]
    assert json.loads(metadata["targets"]) == [{"name": "price", "unit": "USD"}]
    assert json.loads(metadata["metrics"]) == {
        "test": {"price": {"rows": 2, "rmse": 0.5, "mae": 0.25, "r2": None}}
    }
    assert json.loads(metadata["versions"]) == {"torch": "2.13.0", "linexport": "0.1.0"}
    assert len(metadata) == 9


def test_metadata_bring_the_columns_back():
    model = TEXTBOOK.with_columns(
        [Column(name="a b", minimum=-1.5, maximum=0.1), Column(name="é", unit="°C")],
        [Column(name="y", standard_deviation=0.5)],
    )
    metadata = artifact_metadata(model, FitRecord(solver="sgd", rows=1), {})
    proto = onnx_graph.parse(export(model, ["onnx"], metadata=metadata)["model.onnx"])
    said = stated(onnx_graph.read_metadata(proto))
    assert (said.features, said.targets) == (model.features, model.targets)
    assert (said.dtype, said.form) == (model.dtype, model.form)
