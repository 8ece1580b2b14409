"""manifest.json, against exact bytes and against Python's own JSON."""

import inspect
import json
import math
from pathlib import Path

import hypothesis
import msgspec
import pytest
from hypothesis import given, strategies as st

from linexport.bundle._manifest import (
    ErrorBudget,
    FileRecord,
    Manifest,
    Origin,
    decode_manifest,
    encode_manifest,
    file_formats,
)
from linexport.columns import Column
from linexport.errors import BundleError
from linexport.fit import Coefficients, Fitness, FitRecord, Metrics, OptimumDistance, Weighting

EXAMPLE = Manifest(
    dtype="float32",
    accumulate="float64",
    form="folded",
    features=(
        Column(
            name="area", unit="m²", minimum=0.5, maximum=1e22, mean=0.1, standard_deviation=5e-324
        ),
        Column(name='"odd"\\'),
    ),
    targets=(Column(name="price"),),
    record=FitRecord(
        solver="sgd",
        rows=1000,
        settings={"epochs": 3, "learning_rate": 0.03, "shuffle": True, "device": "cpu", "x": None},
        coefficients={
            "price": Coefficients(intercept=4.2, features={"area": 2.0, '"odd"\\': -3.4})
        },
        metrics={"training": {"price": Metrics(rows=1000, rmse=0.01, mae=0.008, r2=None)}},
        optimum={
            "price": OptimumDistance(
                loss=1e-4, loss_at_optimum=9.9e-5, standard_errors=None, prediction=0.0
            )
        },
        losses=(2e-4, 1e-4),
    ),
    error_budget={"price": ErrorBudget(fit=None, export=1e-8, runtime=1e-7, total=1.1e-7)},
    origin=Origin(weight=((2.0, -3.4),), bias=(4.2,), weight_low=((0.0, 5e-324),)),
    fitness={"price": Fitness(rounding=1.1e-7, limit=1e-4, limit_of="residuals", good_enough=True)},
    assumed_ranges={'"odd"\\': (-4.0, 4.0)},
    versions={"linexport": "0.1.0"},
    files={"model.onnx": FileRecord(format="onnx", bytes=2, sha256="0f" * 32)},
)

ENCODED = """\
{
  "format": "linexport-bundle",
  "format_version": 1,
  "dtype": "float32",
  "accumulate": "float64",
  "form": "folded",
  "features": [
    {
      "name": "area",
      "unit": "m²",
      "minimum": 0.5,
      "maximum": 1e22,
      "mean": 0.1,
      "standard_deviation": 5e-324
    },
    {
      "name": "\\"odd\\"\\\\",
      "unit": "",
      "minimum": null,
      "maximum": null,
      "mean": null,
      "standard_deviation": null
    }
  ],
  "targets": [
    {
      "name": "price",
      "unit": "",
      "minimum": null,
      "maximum": null,
      "mean": null,
      "standard_deviation": null
    }
  ],
  "record": {
    "solver": "sgd",
    "rows": 1000,
    "weights": null,
    "rows_dropped": 0,
    "settings": {
      "epochs": 3,
      "learning_rate": 0.03,
      "shuffle": true,
      "device": "cpu",
      "x": null
    },
    "coefficients": {
      "price": {
        "intercept": 4.2,
        "features": {
          "area": 2.0,
          "\\"odd\\"\\\\": -3.4
        }
      }
    },
    "metrics": {
      "training": {
        "price": {
          "rows": 1000,
          "rmse": 0.01,
          "mae": 0.008,
          "r2": null
        }
      }
    },
    "optimum": {
      "price": {
        "loss": 0.0001,
        "loss_at_optimum": 0.000099,
        "standard_errors": null,
        "prediction": 0.0
      }
    },
    "losses": [
      0.0002,
      0.0001
    ],
    "statistics": null
  },
  "error_budget": {
    "price": {
      "fit": null,
      "export": 1e-8,
      "inputs": 0.0,
      "runtime": 1e-7,
      "total": 1.1e-7
    }
  },
  "origin": {
    "weight": [
      [
        2.0,
        -3.4
      ]
    ],
    "bias": [
      4.2
    ],
    "mean": null,
    "weight_low": [
      [
        0.0,
        5e-324
      ]
    ],
    "bias_low": null
  },
  "fitness": {
    "price": {
      "rounding": 1.1e-7,
      "limit": 0.0001,
      "limit_of": "residuals",
      "good_enough": true
    }
  },
  "assumed_ranges": {
    "\\"odd\\"\\\\": [
      -4.0,
      4.0
    ]
  },
  "versions": {
    "linexport": "0.1.0"
  },
  "files": {
    "model.onnx": {
      "format": "onnx",
      "bytes": 2,
      "sha256": "%s"
    }
  }
}
""" % ("0f" * 32)

printable = st.characters(exclude_categories=["C", "Z"]) | st.just(" ")
names = st.text(printable, min_size=1, max_size=8)
finite = st.floats(allow_nan=False, allow_infinity=False)
setting_values = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | finite | st.text()


@st.composite
def columns(draw):
    low, high = sorted((draw(finite), draw(finite)))
    known = draw(st.booleans())
    return Column(
        name=draw(names),
        unit=draw(st.just("") | names),
        minimum=low if known else None,
        maximum=high if known else None,
        mean=draw(st.none() | finite),
        standard_deviation=draw(st.none() | finite),
    )


def many_columns():
    return st.lists(columns(), min_size=1, max_size=4, unique_by=lambda c: c.name).map(tuple)


@st.composite
def manifests(draw):
    features, targets = draw(many_columns()), draw(many_columns())

    def by_target(values):
        return {target.name: draw(values) for target in targets}

    coefficients = st.builds(
        Coefficients,
        intercept=finite,
        features=st.fixed_dictionaries({f.name: finite for f in features}),
    )
    metrics = st.builds(
        Metrics, rows=st.integers(0, 2**62), rmse=finite, mae=finite, r2=st.none() | finite
    )
    optimum = st.builds(
        OptimumDistance,
        loss=finite,
        loss_at_optimum=finite,
        standard_errors=st.none() | finite,
        prediction=finite,
    )
    budget = st.builds(
        ErrorBudget, fit=st.none() | finite, export=finite, runtime=finite, total=finite
    )
    weightings = st.builds(
        Weighting, column=st.text(), kind=st.sampled_from(["precision", "frequency"])
    )
    sizes = st.integers(0, 2**62)
    digests = st.text("0123456789abcdef", min_size=64, max_size=64)
    return Manifest(
        dtype=draw(st.sampled_from(["float32", "float64"])),
        accumulate=draw(st.sampled_from([None, "float32", "float64"])),
        form=draw(st.sampled_from(["folded", "centred"])),
        features=features,
        targets=targets,
        record=FitRecord(
            solver=draw(st.text()),
            rows=draw(sizes),
            weights=draw(st.none() | weightings),
            rows_dropped=draw(sizes),
            settings=draw(st.dictionaries(names, setting_values, max_size=3)),
            coefficients=by_target(coefficients),
            metrics={part: by_target(metrics) for part in draw(st.sets(st.text(), max_size=2))},
            optimum=by_target(optimum),
            losses=tuple(draw(st.lists(finite, max_size=3))),
        ),
        error_budget=by_target(budget),
        versions=draw(st.dictionaries(st.text(), st.text(), max_size=3)),
        files={
            name: FileRecord(format=file_formats()[name], bytes=draw(sizes), sha256=draw(digests))
            for name in draw(st.sets(st.sampled_from(sorted(file_formats()))))
        },
    )


def test_the_example_is_written_byte_for_byte():
    assert encode_manifest(EXAMPLE).decode() == ENCODED


def test_the_example_is_read_back():
    assert decode_manifest(ENCODED.encode()) == EXAMPLE


@hypothesis.settings(max_examples=50, deadline=None)
@given(manifests())
def test_every_manifest_is_read_back_as_it_was_written(manifest):
    """Compared as text, which tells 1 from 1.0 and from True, and 0.0 from -0.0."""
    data = encode_manifest(manifest)
    assert repr(decode_manifest(data)) == repr(manifest)
    theirs = json.loads(data)["record"]["coefficients"]
    ours = manifest.record.coefficients
    assert theirs == {
        name: {"intercept": ours[name].intercept, "features": ours[name].features} for name in ours
    }


ENCODING: dict[str, object] = {
    "columns": [
        {"kind": "category", "name": "kind", "levels": ["a", "b"], "reference": "a"},
        {"kind": "number", "name": "age", "fill": 3.5},
    ]
}


def encoded(**change):
    """The example with an encoding whose first column is changed."""
    document = json.loads(ENCODED)
    first, second = ENCODING["columns"]
    document["features"] = [{"name": "kind[b]"}, {"name": "age"}]
    document["encoding"] = {"columns": [{**first, **change}, second]}
    document["record"] |= {"coefficients": {}, "statistics": None}
    document |= {"origin": None, "assumed_ranges": {}}
    return json.dumps(document).encode()


def test_an_encoding_is_read_back():
    manifest = decode_manifest(encoded())
    assert manifest.encoding.features == ("kind[b]", "age")
    assert decode_manifest(encode_manifest(manifest)) == manifest
    assert json.loads(encode_manifest(manifest))["encoding"]["columns"][0]["unknown"] == "error"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"levels": ["a", "c"]}, "the encoding makes other features"),
        ({"levels": ["a", "a"]}, "must be there, and each of them once"),
        ({"levels": []}, "must be there"),
        ({"levels": ["a", " b"]}, "must be printable text"),
        ({"reference": "z"}, "'z' is no level of 'kind'"),
        ({"unknown": "guess"}, "Invalid enum value 'guess'"),
        ({"kind": "hash"}, "Invalid value 'hash'"),
        ({"kind": "date", "origin": "1/2/2020"}, "must be a date"),
        ({"name": "age"}, "column 'age' twice"),
    ],
)
def test_an_encoding_that_cannot_be_is_refused(change, said):
    with pytest.raises(BundleError, match=said):
        decode_manifest(encoded(**change))


@hypothesis.settings(deadline=None)
@given(st.binary() | st.text().map(str.encode))
def test_anything_else_is_refused_and_never_half_read(data):
    with pytest.raises(BundleError, match=r"manifest\.json is not a bundle's manifest"):
        decode_manifest(data)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_does_not_have_are_named(number):
    metrics = {"training": {"price": Metrics(rows=1, rmse=number, mae=0.0, r2=None)}}
    fit = FitRecord(solver="sgd", rows=1, metrics=metrics)
    manifest = Manifest(
        dtype="float32",
        form="folded",
        features=EXAMPLE.features,
        targets=EXAMPLE.targets,
        record=fit,
        error_budget={},
        versions={},
        files={},
    )
    with pytest.raises(BundleError, match=r"record\.metrics\.training\.price\.rmse is not finite"):
        encode_manifest(manifest)


def test_a_column_that_is_not_finite_is_named():
    features = (*EXAMPLE.features, Column(name="z", mean=math.nan))
    manifest = Manifest(
        dtype="float64",
        form="folded",
        features=features,
        targets=EXAMPLE.targets,
        record=FitRecord(solver="sgd", rows=1),
        error_budget={},
        versions={},
        files={},
    )
    with pytest.raises(BundleError, match=r"manifest's features\[2\]\.mean is not finite"):
        encode_manifest(manifest)


def test_a_newer_format_is_refused_before_its_fields_are_looked_at():
    data = b'{"format": "linexport-bundle", "format_version": 2, "dtype": 7}'
    with pytest.raises(BundleError, match="format version 2, newer than 1: upgrade linexport"):
        decode_manifest(data)


@pytest.mark.parametrize(
    "change",
    [
        {"weight": ((2.0,),)},
        {"weight": ((2.0, -3.4), (2.0, -3.4))},
        {"bias": ()},
        {"mean": (1.0,)},
        {"weight_low": ((1.0,),)},
        {"bias_low": (1.0, 2.0)},
    ],
)
def test_an_origin_of_another_shape_is_refused(change):
    origin = msgspec.structs.replace(EXAMPLE.origin, **change)
    with pytest.raises(BundleError, match="origin must have a weight for each"):
        msgspec.structs.replace(EXAMPLE, origin=origin)


def test_fields_of_a_newer_addition_are_ignored():
    data = ENCODED.replace('"form": "folded",', '"form": "folded", "licence": ["CC0"],')
    assert decode_manifest(data.encode()) == EXAMPLE


@pytest.mark.parametrize(
    "described",
    [
        Manifest,
        Column,
        FitRecord,
        Coefficients,
        Metrics,
        OptimumDistance,
        ErrorBudget,
        FileRecord,
        Origin,
    ],
)
def test_the_normative_page_names_every_field(described):
    page = (Path(__file__).parents[1] / "docs" / "format.md").read_text("utf-8")
    for name in inspect.signature(described).parameters:
        assert f"`{name}`" in page or f".{name}" in page, name
    assert all(f"| `{name}` | `{kind}` |" in page for name, kind in file_formats().items())
