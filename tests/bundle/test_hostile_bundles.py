"""Bundles that are damaged or made to do harm: each is refused with its reason."""

import os

import numpy as np
import pytest
from relisting import edit, put
from safetensors.numpy import save

from linexport.bundle._reader import decode_weights, read_bundle
from linexport.errors import ArtifactError, BundleError
from linexport.fit import TargetStatistics


def put_weights(bundle, **arrays):
    put(bundle, "weights.safetensors", save({n: np.asarray(a) for n, a in arrays.items()}))


def relist(bundle, old, new):
    """List a file under another name."""
    edit(bundle, lambda manifest: manifest["files"].update({new: manifest["files"].pop(old)}))


def replace_manifest(bundle, data):
    (bundle / "manifest.json").write_bytes(data)


def replace_by_link(bundle, name):
    outside = bundle.parent / "outside"
    (bundle / name).rename(outside)
    (bundle / name).symlink_to(outside)


def replace_by_pipe(bundle, name):
    (bundle / name).unlink()
    os.mkfifo(bundle / name)


def replace_by_directory(bundle, name):
    (bundle / name).unlink()
    (bundle / name).mkdir()


def grow(bundle, name, size):
    with (bundle / name).open("r+b") as file:
        file.truncate(size)


def first_file(manifest):
    return manifest["files"]["model.onnx"]


F32 = np.float32
GOOD = {"weight": np.ones((1, 2), F32), "bias": np.ones(1, F32)}
WEIGHTS = "weights.safetensors"
STATISTICS = {
    "rows": 8,
    "rank": 2,
    "confidence": 0.95,
    "condition_number": None,
    "targets": {
        "cost": dict.fromkeys(TargetStatistics.__struct_fields__)
        | {
            "features": {},
            "degrees_of_freedom": 5.0,
            "residual_sum_of_squares": 1.0,
            "total_sum_of_squares": 2.0,
        }
    },
}

MANIFESTS = {
    "no manifest": (lambda b: (b / "manifest.json").unlink(), "manifest.json is missing"),
    "empty manifest": (lambda b: replace_manifest(b, b""), "not a bundle's manifest"),
    "manifest is a list": (lambda b: replace_manifest(b, b"[]"), "Expected `object`"),
    "manifest is not UTF-8": (lambda b: replace_manifest(b, b'\xff\xfe{"a"'), "malformed"),
    "manifest is cut off": (
        lambda b: grow(b, "manifest.json", 300),
        "not a bundle's manifest: Input data was truncated",
    ),
    "manifest nests deeply": (
        lambda b: replace_manifest(b, b'{"x":' + b"[" * 9_000 + b"]" * 9_000 + b"}"),
        "recursion",
    ),
    "manifest is huge": (
        lambda b: grow(b, "manifest.json", 2**28 + 1),
        "268435457 bytes, more than the",
    ),
    "manifest is a link": (lambda b: replace_by_link(b, "manifest.json"), "a symbolic link"),
    "manifest is a pipe": (lambda b: replace_by_pipe(b, "manifest.json"), "not a plain file"),
    "manifest is a directory": (
        lambda b: replace_by_directory(b, "manifest.json"),
        "manifest.json (is not a plain file|cannot be read)",
    ),
    "manifest holds NaN": (
        lambda b: edit(b, lambda m: m["error_budget"]["price"].update(total=float("nan"))),
        "malformed",
    ),
    "manifest holds infinity": (
        lambda b: edit(b, lambda m: m["error_budget"]["price"].update(total=float("inf"))),
        "malformed",
    ),
    "manifest holds a number beyond float64": (
        lambda b: replace_manifest(
            b, (b / "manifest.json").read_bytes().replace(b'"total": 1e-6', b'"total": 1e999')
        ),
        "out of range",
    ),
    "another program's manifest": (
        lambda b: replace_manifest(b, b'{"format": "other", "format_version": 1}'),
        "Invalid enum value 'other'",
    ),
    "newer format": (
        lambda b: edit(b, lambda m: m.update(format_version=2, features="changed")),
        "format version 2, newer than 1: upgrade linexport",
    ),
    "format version 0": (lambda b: edit(b, lambda m: m.update(format_version=0)), ">= 1"),
    "missing field": (lambda b: edit(b, lambda m: m.pop("dtype")), "missing required field"),
    "wrong type": (lambda b: edit(b, lambda m: m["record"].update(rows="8")), r"\$.record.rows"),
    "unknown dtype": (lambda b: edit(b, lambda m: m.update(dtype="float16")), "float16"),
    "unprintable name": (
        lambda b: edit(b, lambda m: m["features"][0].update(name="a\x1b[2J")),
        "must be printable",
    ),
    "two columns of a name": (
        lambda b: edit(
            b, lambda m: (m["features"][0].update(name="age"), m["record"].update(coefficients={}))
        ),
        "Two features are named 'age'",
    ),
    "empty range": (
        lambda b: edit(b, lambda m: m["features"][0].update(minimum=10.0)),
        "range of 'area' is empty",
    ),
    "budget of an unknown target": (
        lambda b: edit(b, lambda m: m["error_budget"].update(cost=m["error_budget"]["price"])),
        "'cost' is not one of the targets",
    ),
    "statistics of an unknown target": (
        lambda b: edit(b, lambda m: m["record"].update(statistics=STATISTICS)),
        "'cost' is not one of the targets",
    ),
    "a leverage of other features": (
        lambda b: edit(
            b,
            lambda m: m["record"].update(
                statistics=STATISTICS
                | {"targets": {}, "leverage": {"mean": [0.0], "at_mean": 1.0, "factor": [[1.0]]}}
            ),
        ),
        "leverage must have a mean and a row for each feature",
    ),
    "a coefficient of an unknown feature": (
        lambda b: edit(
            b,
            lambda m: m["record"].update(
                coefficients={"price": {"intercept": 1.0, "features": {"height": 2.0}}}
            ),
        ),
        "'height' is not one of the features",
    ),
}  # fmt: skip

FILES = {
    "path that leaves the bundle": (
        lambda b: relist(b, "model.onnx", "../model.onnx"),
        "'../model.onnx' is not a file",
    ),
    "absolute path": (lambda b: relist(b, "model.onnx", "/etc/passwd"), "'/etc/passwd' is not"),
    "path with a directory": (lambda b: relist(b, "model.pt", "a/model.pt"), "is not a file"),
    "path of a parent": (lambda b: relist(b, "model.pt", ".."), "'..' is not a file"),
    "empty name": (lambda b: relist(b, "model.pt", ""), "'' is not a file"),
    "name with a null": (lambda b: relist(b, "model.pt", "model.pt\0"), "is not a file"),
    "unknown name": (lambda b: relist(b, "model.pt", "setup.py"), "'setup.py' is not a file"),
    "manifest lists itself": (
        lambda b: relist(b, "model.pt", "manifest.json"),
        "'manifest.json' is not a file",
    ),
    "wrong format": (
        lambda b: edit(b, lambda m: first_file(m).update(format="torchscript")),
        "model.onnx must have the format onnx",
    ),
    "no weights listed": (
        lambda b: edit(b, lambda m: m["files"].pop(WEIGHTS)),
        "does not list weights.safetensors",
    ),
    "missing file": (lambda b: (b / "model.pt").unlink(), "model.pt is missing"),
    "changed file": (
        lambda b: (b / "model.pt").write_bytes(b"torchscript 9"),
        "model.pt is not the file that manifest.json lists",
    ),
    "shorter file": (lambda b: grow(b, "model.pt", 3), "model.pt is not the file"),
    "longer file": (lambda b: grow(b, "model.pt", 99), "99 bytes, more than the 13 allowed"),
    "file of gigabytes": (lambda b: grow(b, "model.pt", 2**40), "more than the 13 allowed"),
    "file listed with gigabytes": (
        lambda b: edit(b, lambda m: first_file(m).update(bytes=2**40)),
        "gives model.onnx 1099511627776 bytes",
    ),
    "negative size": (lambda b: edit(b, lambda m: first_file(m).update(bytes=-1)), ">= 0"),
    "size is no integer": (lambda b: edit(b, lambda m: first_file(m).update(bytes=6.5)), "int"),
    "digest in capitals": (
        lambda b: edit(b, lambda m: first_file(m).update(sha256="A" * 64)),
        "matching regex",
    ),
    "digest of another": (
        lambda b: edit(b, lambda m: first_file(m).update(sha256="a" * 64)),
        "SHA-256 differ",
    ),
    "file is a link": (lambda b: replace_by_link(b, "model.onnx"), "model.onnx is a symbolic link"),
    "file is a pipe": (lambda b: replace_by_pipe(b, "model.onnx"), "model.onnx is not a plain"),
    "file is a directory": (
        lambda b: replace_by_directory(b, "model.onnx"),
        "model.onnx (is not a plain file|cannot be read)",
    ),
}  # fmt: skip

NUMBERS = {
    "weights are empty": (lambda b: put(b, WEIGHTS, b""), "damaged"),
    "weights are noise": (lambda b: put(b, WEIGHTS, bytes(range(200))), "damaged"),
    "weights are cut off": (lambda b: put(b, WEIGHTS, save(GOOD)[:-1]), "damaged"),
    "weights have a tail": (lambda b: put(b, WEIGHTS, save(GOOD) + b"\0"), "damaged"),
    "weights are far too large": (
        lambda b: put(b, WEIGHTS, save(GOOD | {"more": np.zeros(9999, F32)})),
        "4160 are allowed",
    ),
    "header says terabytes": (
        lambda b: put(b, WEIGHTS, (2**43).to_bytes(8, "little") + b"{}"),
        "header passes 4096 bytes",
    ),
    "header says more than the file has": (
        lambda b: put(b, WEIGHTS, (4096).to_bytes(8, "little") + b"{}"),
        "damaged",
    ),
    "tensors overlap": (
        lambda b: put(
            b, WEIGHTS, save(GOOD).replace(b'"data_offsets":[4,12]', b'"data_offsets":[0,8] ')
        ),
        "damaged",
    ),
    "shape that overflows": (
        lambda b: put(b, WEIGHTS, save(GOOD).replace(b'"shape":[1,2]', b'"shape":[%d]' % 2**62)),
        "damaged",
    ),
    "no tensors": (
        lambda b: put(b, WEIGHTS, (2).to_bytes(8, "little") + b"{}"),
        "numbers are missing",
    ),
    "no bias": (lambda b: put_weights(b, weight=GOOD["weight"]), "weight and bias are needed"),
    "a scale": (
        lambda b: put_weights(b, **GOOD, mean=np.ones(2, F32), scale=np.ones(2, F32)),
        "bias, mean, scale, weight; weight and bias are needed, with mean or without",
    ),
    "a tensor more": (
        lambda b: put_weights(b, **GOOD, x=np.ones(1, F32)),
        "bias, weight, x; weight and bias",
    ),
    "no features": (
        lambda b: put_weights(b, weight=np.ones((1, 0), F32), bias=np.ones(1, F32)),
        r"\(targets, features\)",
    ),
    "half precision": (
        lambda b: put_weights(b, weight=np.ones((1, 2), np.float16), bias=np.ones(1, F32)),
        "as F16; it must be F32 or F64",
    ),
    "integers": (
        lambda b: put_weights(b, weight=np.ones((1, 2), int), bias=np.ones(1, F32)),
        "as I64",
    ),
    "two dtypes": (
        lambda b: put_weights(b, weight=np.ones((1, 2)), bias=np.ones(1, F32)),
        "bias must be float64",
    ),
    "NaN": (
        lambda b: put_weights(b, weight=np.array([[1, np.nan]], F32), bias=np.ones(1, F32)),
        r"weight has the value nan at \(0, 1\)",
    ),
    "infinity": (
        lambda b: put_weights(b, weight=GOOD["weight"], bias=np.array([-np.inf], F32)),
        r"bias has the value -inf at \(0,\)",
    ),
    "bias of another width": (
        lambda b: put_weights(b, weight=GOOD["weight"], bias=np.ones(2, F32)),
        "bias must be float32 of shape",
    ),
    "weight of another width": (
        lambda b: put_weights(b, weight=np.ones((1, 3), F32), bias=np.ones(1, F32)),
        "3 features need 3 names, got 2",
    ),
    "more targets than names": (
        lambda b: put_weights(b, weight=np.ones((2, 2), F32), bias=np.ones(2, F32)),
        "2 targets need 2 names, got 1",
    ),
    "dtype that the manifest does not say": (
        lambda b: put_weights(b, weight=np.ones((1, 2)), bias=np.ones(1)),
        "holds a float64 folded model, manifest.json a float32 folded one",
    ),
    "mean that the manifest does not say": (
        lambda b: put_weights(b, **GOOD, mean=np.ones(2, F32)),
        "holds a float32 centred model",
    ),
}  # fmt: skip

HOSTILE = MANIFESTS | FILES | NUMBERS


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_bundles_are_refused_with_the_reason(bundle, case):
    spoil, reason = HOSTILE[case]
    spoil(bundle)
    with pytest.raises(BundleError, match=reason) as caught:
        read_bundle(bundle)
    assert str(caught.value).startswith(f"{bundle}: ")
    assert len(str(caught.value).splitlines()) == 1


def test_paths_that_are_no_bundle_are_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path, reason in {
        "nothing": "there is no bundle here",
        "file": "a bundle is a directory",
        "file/b": "a bundle is a directory",
        "x" * 300: "cannot be opened: File name too long",
    }.items():
        with pytest.raises(BundleError, match=reason):
            read_bundle(tmp_path / path)


def test_entries_that_are_not_listed_are_not_looked_at(bundle):
    os.mkfifo(bundle / "pipe")
    (bundle / "model.pt2").symlink_to("/nowhere")
    assert "model.pt2" not in read_bundle(bundle).contents


def test_fields_that_a_newer_version_added_are_ignored(bundle):
    edit(bundle, lambda manifest: manifest.update(licence="CC0", extra={"a": [1, None]}))
    edit(bundle, lambda manifest: manifest["features"][0].update(description="of the house"))
    assert read_bundle(bundle).manifest.features[0].name == "area"


def test_a_link_to_a_bundle_may_be_read(bundle):
    link = bundle.with_name("current")
    link.symlink_to(bundle.name)
    assert read_bundle(link).read("parity.json") == b"{}"


def test_a_file_that_the_bundle_does_not_have_is_named(bundle):
    with pytest.raises(BundleError, match=r"has no model\.pt2; it has README\.md, model\.onnx"):
        read_bundle(bundle).read("model.pt2")


def test_what_was_read_cannot_be_changed(bundle):
    opened = read_bundle(bundle)
    with pytest.raises(TypeError):
        opened.contents["model.pt"] = b""
    with pytest.raises(ValueError, match="read-only"):
        opened.model.weight[0, 0] = 0


def test_weights_from_elsewhere_are_checked_alike():
    assert decode_weights(save(GOOD)).num_features == 2
    with pytest.raises(ArtifactError, match="damaged"):
        decode_weights(b"PK\x03\x04")
