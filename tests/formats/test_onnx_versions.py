"""Which versions a foreign ONNX file may state, at every door that takes one."""

import numpy as np
import onnx
import onnxruntime
import pytest

import linexport
from linexport.errors import ArtifactError
from linexport.formats.onnx import Onnx
from linexport.model import LinearModel

MODEL = LinearModel(weight=np.array([[2, -3.5]], np.float32), bias=np.array([4.25], np.float32))
NEWEST = onnx.defs.onnx_opset_version()


def import_of(domain, version):
    return lambda proto: proto.opset_import.add(domain=domain, version=version)


def opset(version):
    return lambda proto: setattr(proto.opset_import[0], "version", version)


def standard_domain_by_name(proto):
    proto.opset_import[0].domain = "ai.onnx"


def node_of_the_domain_by_name(proto):
    proto.graph.node[0].domain = "ai.onnx"


def both_by_name(proto):
    standard_domain_by_name(proto)
    node_of_the_domain_by_name(proto)


REFUSED = {
    "a newer opset": (
        opset(9999),
        f"opset of ai.onnx 9999; onnx .* knows 1 to {NEWEST}: .*upgrade",
    ),
    "the next opset": (opset(NEWEST + 1), f"opset of ai.onnx {NEWEST + 1}; "),
    "opset 0": (opset(0), "opset of ai.onnx 0; "),
    "a negative opset": (opset(-1), "opset of ai.onnx -1; "),
    "no opset": (lambda proto: proto.ClearField("opset_import"), "not state the opset of ai.onnx"),
    "another domain's": (
        lambda proto: setattr(proto.opset_import[0], "domain", "com.example"),
        "not state the opset of ai.onnx, whose Gemm",
    ),
    "two opsets": (import_of("", 9), "opset of ai.onnx twice, as 13 and as 9"),
    "two by synonyms": (import_of("ai.onnx", 9), "opset of ai.onnx twice, as 13 and as 9"),
    "a newer opset of ai.onnx.ml": (import_of("ai.onnx.ml", 99), "opset of ai.onnx.ml 99; "),
    "a newer IR": (lambda proto: setattr(proto, "ir_version", 99), "IR version 99; "),
    "an IR without opsets": (lambda proto: setattr(proto, "ir_version", 2), "IR version 2; "),
    "no IR": (lambda proto: proto.ClearField("ir_version"), "IR version 0; "),
}
TAKEN = {
    "the standard domain by its name": standard_domain_by_name,
    "a node's domain by its name": node_of_the_domain_by_name,
    "both": both_by_name,
}
DOORS = {
    "read_model": lambda path, _: linexport.read_model(path),
    "load": lambda path, _: linexport.load(path),
    "inspect": lambda path, _: linexport.inspect(path),
    "verify": lambda path, _: linexport.verify(path, reference=MODEL, probe_rows=2),
    "export": lambda path, folder: linexport.export(path, folder / "bundle"),
}


def saved(change, folder):
    proto = onnx.ModelProto.FromString(Onnx().write(MODEL, {}))
    change(proto)
    path = folder / "foreign.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("case", REFUSED)
def test_versions_that_say_nothing_are_refused_at_every_door(case, door, tmp_path):
    change, reason = REFUSED[case]
    with pytest.raises(ArtifactError, match=reason):
        DOORS[door](saved(change, tmp_path), tmp_path)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("case", TAKEN)
def test_the_synonym_is_taken_at_every_door(case, tmp_path):
    path = saved(TAKEN[case], tmp_path)
    assert linexport.read_model(path).model.weight.tolist() == [[2, -3.5]]
    assert linexport.load(path).predict(np.ones((1, 2), np.float32)).tolist() == [[2.75]]
    certificate = linexport.verify(path, reference=MODEL, probe_rows=64)
    assert certificate.verdict == "proven"
    assert linexport.export(path, tmp_path / "bundle").certificate.verdict == "proven"


@pytest.mark.parametrize("version", [5, NEWEST], ids=["too old", "too new"])
def test_what_the_engine_does_not_know_ends_in_its_line(version, tmp_path):
    path = saved(opset(version), tmp_path)
    try:
        onnxruntime.InferenceSession(path)
    except Exception:
        certificate = linexport.verify(path, reference=MODEL)
        assert certificate.verdict == "not checked"
        said = r"onnxruntime \S+ refuses .*: [A-Z]|the ONNX file does not say how many"
        with pytest.raises(ArtifactError, match=f"Not checked: ({said})"):
            certificate.require()
