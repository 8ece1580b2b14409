"""linexport inspect: what a path holds, without running it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from relisting import put

from linexport.formats.onnx import graph as onnx_graph
from linexport.model import LinearModel


@pytest.fixture(scope="session")
def described(tmp_path_factory, prices):
    """A bundle with names, units and a part held out."""
    from linexport import read_data, train_and_export

    dataset = read_data(
        prices, targets=["price"], exclude=["street"], units={"price": "EUR", "area": "m²"}
    )
    output = tmp_path_factory.mktemp("described") / "bundle"
    return train_and_export(dataset, output, test_fraction=0.25).path


def cells(line):
    return line.split()


def test_a_bundle_is_described_for_people(run, described):
    outcome = run("inspect", described)
    assert (outcome.status, outcome.errors) == (0, "")
    lines = outcome.output.splitlines()
    assert lines[0] == (
        "Bundle of a folded float32 linear model: features [batch, 3] -> prediction [batch, 1]"
    )
    manifest = json.loads((described / "manifest.json").read_text())
    area = manifest["features"][0]
    assert cells(lines[1]) == ["feature", "minimum", "maximum", "mean", "std"]
    assert cells(lines[2])[:3] == ["area", "m²", f"{area['minimum']:.6g}"]
    assert cells(lines[3])[:3] == ["rooms", "1", "6"]
    assert cells(lines[4])[:3] == ["garden", "0", "1"]
    assert cells(lines[6])[:2] == ["price", "EUR"]
    for name, record in manifest["files"].items():
        listed = next(line for line in lines if cells(line)[:1] == [name])
        assert cells(listed)[1:] == [record["format"], str(record["bytes"]), record["sha256"]]
    for name, version in manifest["versions"].items():
        assert f"{name} {version}" in outcome.output
    assert any(cells(line)[:3] == ["test", "price", "100"] for line in lines)
    assert lines[-1].startswith("Certificate: proven: 4 runtimes, run in ")


def test_a_bundle_is_described_for_programs(run, described):
    outcome = run("inspect", "--json", described)
    assert (outcome.status, outcome.errors) == (0, "")
    document = json.loads(outcome.output)
    assert list(document) == [
        "kind", "path", "verdict", "digests_checked", "manifest", "certificate",
    ]  # fmt: skip
    assert (document["kind"], document["path"]) == ("bundle", str(described))
    assert (document["verdict"], document["digests_checked"]) == ("proven", True)
    assert document["manifest"] == json.loads((described / "manifest.json").read_text())
    assert document["certificate"] == json.loads((described / "parity.json").read_text())


def test_an_onnx_file_is_described_for_people(run, described):
    outcome = run("inspect", described / "model.onnx")
    assert (outcome.status, outcome.errors) == (0, "")
    lines = outcome.output.splitlines()
    size = (described / "model.onnx").stat().st_size
    assert lines[:5] == [
        f"ONNX file of {size} bytes: a folded linear model",
        "  input features: float32 [batch, 3]",
        "  output prediction: float32 [batch, 1]",
        "  IR version 7, opset ai.onnx 13, by linexport",
        "  operators: Gemm",
    ]
    assert [cells(line)[0] for line in lines[5:11]] == [
        "feature", "area", "rooms", "garden", "target", "price",
    ]  # fmt: skip
    assert "  solver: lstsq" in lines
    assert any(line.startswith('  versions: {"linexport":') for line in lines)


def test_an_onnx_file_is_described_for_programs(run, described):
    document = json.loads(run("inspect", "--json", described / "model.onnx").output)
    manifest = json.loads((described / "manifest.json").read_text())
    assert (document["kind"], document["form"]) == ("onnx", "folded")
    assert document["path"] == str(described / "model.onnx")
    assert document["inputs"] == {"features": "float32 [batch, 3]"}
    assert document["outputs"] == {"prediction": "float32 [batch, 1]"}
    assert (document["ir_version"], document["opset_versions"]) == (7, {"": 13})
    assert document["features"] == manifest["features"]
    assert document["targets"] == manifest["targets"]
    assert json.loads(document["metadata"]["versions"]) == manifest["versions"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take text only as names")
def test_a_name_that_is_no_text_is_shown_escaped(run, textbook, tmp_path):
    bundle = tmp_path / os.fsdecode(b"caf\xe9")
    shutil.copytree(textbook, bundle)
    assert json.loads(run("inspect", "--json", bundle).output)["path"].endswith("/caf\\udce9")
    document = json.loads(run("inspect", "--json", bundle / "model.onnx").output)
    assert document["path"].endswith("/caf\\udce9/model.onnx")
    refused = run("inspect", bundle / "none.onnx")
    assert "/caf\\udce9/none.onnx: No such file" in refused.only_error


def test_many_columns_are_cut_short_for_people_only(run, tmp_path):
    model = LinearModel(weight=np.ones((1, 500), np.float64), bias=np.ones(1))
    (tmp_path / "wide.onnx").write_bytes(onnx_graph.write(model))
    outcome = run("inspect", tmp_path / "wide.onnx")
    assert "  input features: float64 [batch, 500]" in outcome.output.splitlines()
    assert "  ... and 450 more" in outcome.output.splitlines()
    document = json.loads(run("inspect", "--json", tmp_path / "wide.onnx").output)
    assert len(document["features"]) == 500


def test_a_graph_by_another_tool_is_described_without_names(run, tmp_path):
    node = helper.make_node(
        "LinearRegressor", ["X"], ["Y"], domain="ai.onnx.ml", coefficients=[1.0, 2.0]
    )
    graph = helper.make_graph(
        [node],
        "foreign",
        [helper.make_tensor_value_info("X", 1, [None, 2])],
        [helper.make_tensor_value_info("Y", 1, ["N", 1])],
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("ai.onnx.ml", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=7), tmp_path / "f.onnx")
    lines = run("inspect", tmp_path / "f.onnx").output.splitlines()
    assert lines[0].endswith(" bytes: not a graph that linexport writes")
    assert lines[1:] == [
        "  input X: float32 [?, 2]",
        "  output Y: float32 [N, 1]",
        "  IR version 7, opset ai.onnx 13, ai.onnx.ml 1, by unknown",
        "  operators: LinearRegressor",
    ]


def test_a_file_cannot_write_on_the_terminal(run, textbook, tmp_path):
    """Escape sequences and line breaks in what a foreign file says are shown, not obeyed."""
    proto = onnx.load(textbook / "model.onnx")
    proto.producer_name = "\x1b[2Jharmless\nproven: everything"
    onnx.save(proto, tmp_path / "hostile.onnx")
    outcome = run("inspect", tmp_path / "hostile.onnx")
    assert "by \\x1b[2Jharmless proven: everything" in outcome.output
    assert "\x1b" not in outcome.output
    proto.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.array([np.nan], np.float32), "\x1b[2J\nb")
    )
    onnx.save(proto, tmp_path / "hostile.onnx")
    refused = run("inspect", tmp_path / "hostile.onnx")
    assert "'\\x1b[2J b' holds NaN or infinity" in refused.only_error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_output_that_cannot_be_written_is_one_line(textbook):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "linexport", "inspect", textbook],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (
        3, "error: standard output: No space left on device.\n"
    )  # fmt: skip


def test_a_bundle_without_a_certificate_says_so(run, copied):
    manifest = json.loads((copied / "manifest.json").read_text())
    del manifest["files"]["parity.json"]
    (copied / "manifest.json").write_text(json.dumps(manifest))
    assert run("inspect", copied).output.splitlines()[-1] == "No certificate."
    document = json.loads(run("inspect", "--json", copied).output)
    assert (document["verdict"], document["certificate"]) == (None, None)


@pytest.mark.parametrize("change", ["another digest", "left out"])
def test_a_certificate_of_other_files_proves_nothing(run, copied, change):
    certificate = json.loads((copied / "parity.json").read_text())
    if change == "left out":
        del certificate["artifacts"]["model.onnx"]
    else:
        certificate["artifacts"]["model.onnx"] = "0" * 64
    put(copied, "parity.json", json.dumps(certificate).encode())
    refused = run("inspect", copied)
    assert refused.status == 3
    assert refused.only_error.startswith(
        f"error: {copied}: parity.json is not the proof of the model.onnx in this bundle"
    )


def test_a_certificate_that_is_none_is_refused(run, copied):
    put(copied, "parity.json", b"{}")
    refused = run("inspect", copied)
    assert refused.status == 3
    assert refused.only_error.startswith(f"error: {copied}: parity.json is not a certificate")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tampered", "tampered: model.onnx is not the file that manifest.json lists"),
        ("empty", "manifest.json is missing"),
        ("nothing", "there is no bundle here"),
        ("bundle/manifest", "there is no bundle here"),
        ("bundle/manifest.json", "neither a bundle's directory nor a file whose suffix"),
        ("bundle/model.pt", "only its bundle can be inspected"),
        ("garbage.onnx", "garbage.onnx: This is not an ONNX file"),
        ("empty.onnx", "empty.onnx: This is not an ONNX file"),
        ("nothing.onnx", "nothing.onnx: No such file"),
        ("loop", "cannot be opened"),
    ],
)
def test_anything_else_gets_one_line(run, textbook, tmp_path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundle").symlink_to(textbook)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "empty").mkdir()
    (tmp_path / "garbage.onnx").write_bytes(b"\x08\x07garbage")
    (tmp_path / "empty.onnx").touch()
    shutil.copytree(textbook, tmp_path / "tampered")
    (tmp_path / "tampered" / "model.onnx").write_bytes(b"")
    refused = run("inspect", name)
    assert refused.status == 3
    assert said in refused.only_error
