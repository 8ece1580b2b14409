"""linexport verify: bundles, single artifacts of ours, references, and what cannot be checked."""

import json
import re

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from relisting import put
from safetensors.numpy import load_file, save_file

from linexport.formats.onnx import graph as onnx_graph
from linexport.model import LinearModel

ARTIFACTS = ["model.onnx", "model.pt"]
RUNTIMES = {
    "onnxruntime, 1 thread",
    "onnxruntime, 1 thread, not optimized",
    "onnxruntime",
    "onnxruntime, not optimized",
    "onnxruntime, by rows, 1 thread",
    "onnxruntime, by rows",
    "onnxruntime, by columns, 1 thread",
    "onnxruntime, by columns",
    "onnx reference",
}
NUMBER = r"(-?\d[\d.]*(?:e[+-]?\d+)?)"
DISAGREEMENT = re.compile(
    rf"'(?P<runtime>.+)' disagrees with the reference model at row (?P<row>\d+) of the probe "
    rf"'(?P<probe>.+)', target '(?P<target>.+)': got {NUMBER}, expected {NUMBER}, apart by {NUMBER}"
    rf", where rounding explains {NUMBER}\..*?( Wrong answers also from (?P<others>.+)\.)?"
)


def runtimes_of(failure):
    """The names that a sentence of disagreement gives."""
    return {failure["runtime"], *re.findall(r"'(.+?)'", failure["others"] or "")}


def changed(path, name, change):
    """Rewrite one initializer of an ONNX file."""
    proto = onnx.load(path)
    for tensor in proto.graph.initializer:
        if tensor.name == name:
            array = numpy_helper.to_array(tensor).copy()
            change(array)
            tensor.CopyFrom(numpy_helper.from_array(array, name))
    onnx.save(proto, path)


def test_a_bundle_is_proven_at_any_time(run, textbook):
    outcome = run("verify", textbook)
    assert (outcome.status, outcome.errors) == (0, "")
    lines = outcome.output.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == [
        "runtime", "pytorch", "torchscript", "onnxruntime", "onnx",
    ]  # fmt: skip
    assert lines[-1].startswith("proven: 4 runtimes, run in ")
    assert run("verify", "--quiet", textbook).output.splitlines() == lines[-1:]
    long = run("verify", "--verbose", textbook).output.splitlines()
    assert long[0].startswith("Parity with the exact reference (float32; folded: the features'")
    assert (
        "  The check itself: 17 of 17 planted faults caught; 3 do not apply to this model." in long
    )
    assert long[-1] == lines[-1]


def test_json_is_the_certificate_with_what_failed(run, textbook):
    outcome = run("verify", "--json", textbook)
    document = json.loads(outcome.output)
    certificate = json.loads((textbook / "parity.json").read_text())
    assert document.keys() == certificate.keys() | {"failures"}
    assert (document["verdict"], document["failures"]) == ("proven", [])
    assert document["artifacts"] == certificate["artifacts"]
    names = {runtime["name"] for runtime in document["runtimes"]}
    assert names == RUNTIMES | {"pytorch", "torchscript"}
    assert all(runtime["structure"] == "matches" for runtime in document["runtimes"])
    assert all(0 < runtime["worst_fraction"] <= 1 for runtime in document["runtimes"])
    assert all(canary["caught_by"] or canary["skipped"] for canary in document["canaries"])


def test_the_seed_draws_other_rows_and_the_size_other_batches(run, textbook):
    def document(*options):
        return json.loads(run("verify", "--json", textbook, *options).output)

    small, again, other = (document("--probe-rows", 65, "--probe-seed", seed) for seed in (3, 3, 4))
    assert small == again
    assert {r["worst_fraction"] for r in small["runtimes"]} != {
        r["worst_fraction"] for r in other["runtimes"]
    }
    assert all(max(runtime["batch_sizes"]) == 65 for runtime in small["runtimes"])


@pytest.mark.parametrize("name", [*ARTIFACTS, "weights.safetensors", "parity.json", "README.md"])
@pytest.mark.parametrize("where", [0, -1], ids=["first byte", "last byte"])
def test_a_byte_that_changed_anywhere_is_found(run, copied, name, where):
    data = bytearray((copied / name).read_bytes())
    data[where] ^= 1
    (copied / name).write_bytes(data)
    refused = run("verify", copied)
    assert refused.status == 3
    assert refused.only_error.startswith(f"error: {copied}: {name} is not the file that manifest")
    assert "SHA-256" in refused.only_error


def test_a_digest_that_changed_is_found(run, copied):
    manifest = copied / "manifest.json"
    digest = json.loads(manifest.read_text())["files"]["model.onnx"]["sha256"]
    manifest.write_text(manifest.read_text().replace(digest, digest[::-1]))
    refused = run("verify", copied)
    assert refused.status == 3
    assert "model.onnx is not the file" in refused.only_error


@pytest.mark.parametrize("reference", ["bundle", "safetensors"])
@pytest.mark.parametrize("name", ARTIFACTS)
def test_an_artifact_of_a_bundle_is_proven_by_itself(run, textbook, name, reference):
    numbers = textbook if reference == "bundle" else textbook / "weights.safetensors"
    outcome = run("verify", "--json", "--reference", numbers, textbook / name)
    document = json.loads(outcome.output)
    assert (outcome.status, document["verdict"]) == (0, "proven")
    assert list(document["artifacts"]) == [name]
    names = {runtime["name"] for runtime in document["runtimes"]}
    assert names == (RUNTIMES if name == "model.onnx" else {"torchscript"})


def test_one_weight_off_by_an_ulp_is_named_with_its_numbers(run, copied, textbook):
    def by_an_ulp(weight):
        weight[0, 1] = np.nextafter(weight[0, 1], np.float32(0))

    suspect = copied / "model.onnx"
    changed(suspect, "weight", by_an_ulp)
    outcome = run("verify", "--reference", textbook, suspect)
    assert (outcome.status, outcome.errors) == (1, "")
    *_, last = outcome.output.splitlines()
    assert re.match(r"disagrees: onnxruntime, onnx reference; largest error [\d.e+]+ times", last)
    failures = [DISAGREEMENT.fullmatch(line) for line in outcome.output.splitlines()]
    failures = [failure for failure in failures if failure]
    assert set().union(*map(runtimes_of, failures)) == RUNTIMES
    for failure in failures:
        got, expected, distance, bound = map(float, failure.groups()[4:8])
        assert failure["target"] == "y"
        # The values are printed to the last bit of a float32, their distance to two digits.
        assert abs(got - expected) == pytest.approx(distance, rel=0.05)
        assert distance > bound
    quiet = run("verify", "--quiet", "--reference", textbook, suspect)
    assert DISAGREEMENT.fullmatch(quiet.output.splitlines()[0])
    assert quiet.status == 1


def test_a_disagreement_in_json_holds_the_same_numbers(run, copied, textbook):
    changed(copied / "model.onnx", "bias", lambda bias: bias.fill(0))
    outcome = run("verify", "--json", "--reference", textbook, copied / "model.onnx")
    document = json.loads(outcome.output)
    assert (outcome.status, document["verdict"]) == (1, "disagrees")
    failures = [DISAGREEMENT.fullmatch(failure) for failure in document["failures"]]
    assert set().union(*map(runtimes_of, failures)) == RUNTIMES
    assert {runtime["name"] for runtime in document["runtimes"]} == RUNTIMES
    for runtime in document["runtimes"]:
        worst = runtime["worst"]
        assert (runtime["verdict"], runtime["structure"]) == ("disagrees", "differs")
        assert worst["distance"] == pytest.approx(abs(worst["got"] - worst["expected"]), rel=1e-6)
        assert runtime["worst_fraction"] == pytest.approx(worst["distance"] / worst["bound"])
        assert worst["distance"] > worst["bound"]


def test_a_number_that_no_prediction_shows_is_named(run, tmp_path):
    """The mean of a feature without weight: only the structure tells."""
    arrays = {
        "weight": np.array([[2, 0]], np.float32),
        "bias": np.array([1], np.float32),
        "mean": np.array([3, 5], np.float32),
    }
    save_file(arrays, tmp_path / "right.safetensors")
    arrays["mean"] = np.array([3, 6], np.float32)
    wrong = LinearModel.from_arrays(arrays)
    (tmp_path / "wrong.onnx").write_bytes(onnx_graph.write(wrong))
    outcome = run("verify", "--reference", tmp_path / "right.safetensors", tmp_path / "wrong.onnx")
    assert outcome.status == 1
    said = "'onnxruntime, 1 thread' holds mean[1] = 6.0, the reference 5.0. The same holds for "
    assert any(line.startswith(said) for line in outcome.output.splitlines())
    assert "of the bound" not in outcome.output.splitlines()[-1]


def test_only_the_runtimes_that_disagree_are_called_so(run, copied, tmp_path):
    """A bundle made wrong on purpose, with digests that fit."""
    proto = onnx.load(copied / "model.onnx")
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    put(copied, "model.onnx", proto.SerializeToString())
    outcome = run("verify", "--quiet", copied)
    assert outcome.status == 1
    assert outcome.output.splitlines()[-1] == (
        "disagrees: onnxruntime; proven: pytorch, torchscript; consistent: onnx reference"
    )


def other_reference(path, **shape):
    targets, features = shape.get("targets", 1), shape.get("features", 2)
    arrays = {"weight": np.ones((targets, features), np.float32), "bias": np.ones(targets, "f4")}
    save_file(arrays, path)
    return path


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"features": 3}, "the reference 3 features and 1 target"),
        ({"features": 1}, "the reference 1 feature and 1 target"),
        ({"targets": 2}, "the reference 2 features and 2 targets"),
    ],
    ids=["more features", "fewer features", "more targets"],
)
def test_a_reference_of_another_shape_is_no_reference(run, textbook, tmp_path, shape, said):
    reference = other_reference(tmp_path / "other.safetensors", **shape)
    model = textbook / "model.onnx"
    refused = run("verify", "--reference", reference, model)
    assert refused.status == 2
    assert refused.only_error.startswith(
        f"error: {model}: the model has 2 features and 1 target, {said}"
    )
    untrusted = run("verify", "--reference", reference, textbook / "model.pt")
    assert (untrusted.status, "--trust" in untrusted.only_error) == (3, True)


@pytest.mark.parametrize(
    ("path", "options", "said", "status"),
    [
        ("bundle", ["--reference", "bundle"], "a bundle has its own reference", 2),
        ("bundle/model.onnx", [], "pass --reference bundle, its bundle.", 2),
        ("bundle/weights.safetensors", [], "it lies in a bundle: name that, bundle.", 3),
        (
            "garbage.safetensors", ["--reference", "bundle"],
            "`linexport export garbage.safetensors --output bundle`, and name the bundle.", 3,
        ),
        ("legacy.pt", ["--reference", "bundle", "--trust"], "this is a state_dict, or what", 3),
        (
            "state.pt", ["--reference", "bundle"], "state.pt: this is a state_dict, or what else "
            "torch.save writes, and no program: export it, `linexport export state.pt --output "
            "bundle`, and name the bundle.", 3,
        ),
        ("bundle/model.txt", ["--reference", "bundle"], "(.pt, .onnx, .pt2)", 3),
        ("nothing", [], "there is no bundle here", 3),
        ("nothing.onnx", ["--reference", "bundle"], "nothing.onnx: No such file or directory", 3),
        ("empty", [], "there is no bundle here: manifest.json is missing.", 3),
        (".", [], "there is no bundle here; name one that is in it: 'bundle'", 3),
        ("bundle/model.onnx", ["--reference", "nothing"], "nothing: there is no bundle here", 3),
        ("bundle/model.onnx", ["--reference", "no.safetensors"], "no.safetensors: No such file", 3),
        ("bundle/model.onnx", ["--reference", "bundle/model.onnx"], "the artifact itself", 2),
        ("bundle/model.onnx", ["--reference", "bundle/manifest.json"], "There are no targets", 3),
        ("bundle/model.onnx", ["--reference", "garbage.safetensors"], "file is damaged", 3),
        ("garbage.onnx", ["--reference", "bundle"], "garbage.onnx: This is not an ONNX file", 3),
        ("garbage.pt", ["--reference", "bundle"], "pass --trust", 3),
        ("garbage.pt", ["--reference", "bundle", "--trust"], "PyTorch refuses the TorchScript", 3),
        ("pipe.onnx", ["--reference", "bundle"], "not a plain file", 3),
        ("huge.onnx", ["--reference", "bundle"], "more than the 2147483647 allowed", 3),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_gets_one_line(
    run, textbook, tmp_path, monkeypatch, path, options, said, status
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundle").symlink_to(textbook)
    (tmp_path / "empty").mkdir()
    for suffix in ("onnx", "pt", "safetensors"):
        (tmp_path / f"garbage.{suffix}").write_bytes(b"\xffgarbage\x1b[31m" * 9)
    state = torch.nn.Linear(2, 1).state_dict()
    torch.save({"state_dict": state, "epoch": 1}, tmp_path / "state.pt")
    torch.save(state, tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "pipe.onnx").symlink_to("/dev/zero")
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(2**31)
    refused = run("verify", *options, path)
    assert refused.status == status
    assert said in refused.only_error
    assert refused.only_error.isprintable()


@pytest.mark.parametrize(
    "options", [["--probe-rows", 0], ["--probe-seed", -1], ["--reference"], ["a", "b"]]
)
def test_misuse_is_status_2(run, textbook, options):
    assert run("verify", textbook, *options).status == 2


def test_a_torchscript_file_of_another_model_is_not_even_loaded(
    run, textbook, tmp_path, monkeypatch
):
    def load(*_, **__):
        raise AssertionError("it was loaded")

    monkeypatch.setattr(torch.jit, "load", load)
    numbers = load_file(textbook / "weights.safetensors")
    save_file(numbers | {"bias": numbers["bias"] + 1}, tmp_path / "other.safetensors")
    refused = run("verify", "--reference", tmp_path / "other.safetensors", textbook / "model.pt")
    assert refused.status == 3
    assert "so loading it might run other code" in refused.only_error


def test_a_torch_export_file_is_proven_where_it_is_reproduced(run, tmp_path):
    bundle = tmp_path / "bundle"
    assert run("train-and-export", "-q", "--format", "pt2", "-o", bundle).status == 0
    outcome = run("verify", bundle)
    assert outcome.status == 0
    assert outcome.output.splitlines()[-1].startswith("proven: 2 runtimes predict")
