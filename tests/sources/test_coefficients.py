"""Names and coefficients, as JSON and as mappings."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import polars_ds as pds
import pytest
import torch
from agreement import assert_agrees
from polars_ds.linear_models import LR

import linexport
from linexport.errors import ArtifactError, ModelError


@pytest.fixture
def read(tmp_path):
    """Read JSON text from a file."""

    def read_text(text: str | bytes):
        path = tmp_path / "fit.json"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return linexport.read_model(path).model

    return read_text


FORMS = {
    "by name": '{"intercept": 4.2, "coefficients": {"x2": -3.4, "x1": 2}}',
    "in a list, as Spark has them":
        '{"intercept": 4.2, "coefficients": [-3.4, 2], "features": ["x2", "x1"]}',
    "flat, as R has them": '{"(Intercept)": 4.2, "x2": -3.4, "x1": 2}',
    "as R has them without auto_unbox": '{"(Intercept)": [4.2], "x2": [-3.4], "x1": [2]}',
    "statsmodels' params.to_json()": '{"const": 4.2, "x2": -3.4, "x1": 2}',
    "params of a formula": '{"Intercept": 4.2, "x2": -3.4, "x1": 2}',
    "params among others": '{"target": ["y"], "coefficients": {"const": 4.2, "x2": -3.4, "x1": 2}}',
    "broom's rows":
        '[{"term": "(Intercept)", "estimate": 4.2, "std.error": 0.1, "statistic": 2, "p.value": 0},'
        ' {"term": "x2", "estimate": -3.4}, {"term": "x1", "estimate": 2, "conf.low": 1}]',
    "with R's name": '{"coefficients": {"x2": -3.4, "(Intercept)": 4.2, "x1": 2.0}}',
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_model(read, form):
    model = read(FORMS[form])
    assert model.feature_names == ("x2", "x1")
    assert model.target_names == ("y",)
    assert (model.weight.tolist(), model.bias.tolist()) == ([[-3.4, 2.0]], [4.2])


def test_the_documented_examples_are_models(read):
    page = Path(__file__).parent.parent.parent / "docs" / "sources.md"
    examples = re.findall(r"```json\n(.*?)```", page.read_text(), re.DOTALL)
    assert [read(text).target_names for text in examples] == [("y",), ("y",), ("rent", "price")]
    assert {read(text).feature_names for text in examples} == {("x1", "x2")}


def test_a_target_has_a_name(read):
    assert read('{"target": "rent", "intercept": 0, "coefficients": {"a": 1}}').target_names == (
        "rent",
    )


def test_several_targets_state_the_same_features_in_any_order(read):
    model = read(
        '{"targets": {"rent": {"intercept": 1, "coefficients": {"a": 2, "b": 3}},'
        ' "price": {"(Intercept)": 4, "b": 5, "a": 6}}}'
    )
    assert model.target_names == ("rent", "price")
    assert model.feature_names == ("a", "b")
    assert model.weight.tolist() == [[2, 3], [6, 5]]
    assert model.bias.tolist() == [1, 4]


def test_numbers_are_read_as_python_and_r_write_them(tmp_path):
    random = np.random.default_rng(3)
    weights = random.normal(size=7) * 10.0 ** random.integers(-20, 20, 7)
    names = [f"f {k}" for k in range(7)]
    document = {"intercept": 1e-3, "coefficients": dict(zip(names, weights.tolist(), strict=True))}
    path = tmp_path / "fit.json"
    path.write_text(json.dumps(document))
    assert linexport.read_model(path).model.weight.tolist() == [weights.tolist()]
    assert linexport.read_model(document).model.weight.tolist() == [weights.tolist()]


def test_a_mapping_is_a_source_with_numpys_numbers_too(tmp_path):
    rows = np.random.default_rng(5).normal(size=(9, 2)).astype(np.float32).astype(np.float64)
    source = {"intercept": np.float32(0.1), "coefficients": {"a": np.float64(2), "b": np.int64(3)}}
    expected = rows @ [2.0, 3.0] + float(np.float32(0.1))
    exported = assert_agrees(source, expected, rows, tmp_path / "bundle")
    assert exported.record.settings == {"source": "named coefficients"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1, 2]", "a list, not an object: write"),
        ("3", "not an object"),
        ("{}", "There are no 'coefficients': write"),
        ('{"coefficients": {"a": 1}}', 'There is no intercept: write "intercept": 0'),
        ('{"intercept": 1}', "There are no 'coefficients'"),
        ('{"intercept": 1, "coefficients": {}}', "There are no coefficients"),
        (
            '{"intercept": 1, "coefficients": {"a": "2"}}',
            "'a' is text, '2': write the number",
        ),
        ('{"intercept": 1, "coefficients": {"a": true}}', "'a' is true or false: write a number"),
        (
            '{"intercept": 1, "coefficients": {"a": null}}',
            "'a' is NA, .* leave 'a' out",
        ),
        ('{"(Intercept)": 4.2, "x1": 2, "x2": "NA"}', "coefficient 'x2' is NA"),
        ('{"(Intercept)": [4.2], "x2": ["NA"]}', "coefficient 'x2' is NA"),
        (
            '[{"term": "(Intercept)", "estimate": 1}, {"term": "x2"}]',
            "coefficient 'x2' is NA",
        ),
        ('[{"term": "x2", "estimate": 1}]', "add the row"),
        ('[{"term": "x2", "estimate": 1, "group": "u"}]', "'group' is no part"),
        ('{"const": 1, "Intercept": 2, "a": 3}', "two intercepts: Intercept and const"),
        ('{"intercept": [1, 2], "coefficients": {"a": 1}}', "'intercept' is an array"),
        ('{"intercept": [1], "coefficients": [[1, 2]]}', "are a matrix: write it as"),
        ('{"intercept": 1, "coefficients": 3}', "coefficients are int '3'"),
        ('{"intercept": 1, "coefficients": {"a": NaN}}', "NaN is not finite"),
        ('{"intercept": Infinity, "coefficients": {"a": 1}}', "Infinity is not finite"),
        ('{"intercept": 1, "coefficients": {"a": 1e999}}', "'a' is inf; it must be finite"),
        ('{"intercept": 1, "coefficients": {"a": 1' + "0" * 400 + "}}", "out of range"),
        ('{"intercept": 1, "coefficients": {"a": 1, "a": 2}}', "The name 'a' occurs twice"),
        ('{"intercept": 1, "intercept": 2, "coefficients": {"a": 1}}', "'intercept' occurs twice"),
        ('{"intercept": 1, "coefficients": [1, 2], "features": ["a", "a"]}', "'a' occurs twice"),
        ('{"intercept": 1, "coefficients": [1, 2], "features": ["a"]}', "need as many names"),
        (
            '{"intercept": 1, "coefficients": {"a": 1}, "link": "log"}',
            "The link 'log' is not linear: .* apply the inverse of the link to what",
        ),
        (
            '{"intercept": 1, "coefficients": {"a": 1}, "link": "identity"}',
            "'link' is no part .* leave it",
        ),
        (
            '{"intercept": 1, "coefficients": {"a": 1}, "activation": "relu"}',
            "The activation 'relu' is not linear: .* apply the activation to what",
        ),
        (
            '{"intercept": 1, "coefficients": {"a": 1}, "mean": [1]}',
            r"'mean' stands beside .* are another model .* \"mean\": \[1\.0, 5\.0\], \"scale\":",
        ),
        (
            '{"intercept": 1, "coefficients": {"a": 1}, "scaler": {"std": [1]}}',
            "'scaler' stands beside .* so that the scale is 1 / std",
        ),
        ('{"intercept": 1, "coefficients": {"a": 1}, "x_std": [1]}', "'x_std' stands beside"),
        (
            '{"intercept": 1, "coefficients": {"a": 1}, "offset": 2}',
            "'offset' .* add it to the intercept",
        ),
        ('{"bias": 1, "coefficients": {"a": 1}}', "'bias' stands .*: call it \"intercept\""),
        (
            '{"bias": 1, "intercept": 1, "coefficients": {"a": 1}}',
            "'bias' stands beside 'intercept', which means the same: leave one",
        ),
        ('{"intercept": 1, "coefficients": {"": 1}}', "must be printable text"),
        ('{"targets": {}}', "There are no targets"),
        ('{"targets": {"a": 3}}', "What is given of target 'a' is int '3'"),
        (
            '{"targets": {"u": {"intercept": 1, "coefficients": {"a": 1}},'
            ' "v": {"intercept": 1, "coefficients": {"b": 1}}}}',
            "of target 'v' are of other features: 'a' is missing on one side",
        ),
    ],
)
def test_anything_else_is_refused_with_the_file_and_the_reason(read, text, said):
    with pytest.raises(ArtifactError, match=rf"fit\.json: .*{said}"):
        read(text)


def test_features_in_rs_form_may_be_called_as_arrays_are():
    source = {"(Intercept)": 1, "weight": np.float64(2), "body.weight": 3, "bias": 4, "mean": 5}
    model = linexport.read_model(source).model
    assert model.feature_names == ("weight", "body.weight", "bias", "mean")
    assert (model.weight.tolist(), model.bias.tolist()) == ([[2, 3, 4, 5]], [1])
    assert linexport.read_model({"weight": 2, "bias": 1}).source == "arrays"
    assert linexport.read_model({"const": 1.0, "weight": 2.0}).model.feature_names == ("weight",)
    with pytest.raises(ModelError, match="coefficient 'weight' is an array"):
        linexport.read_model({"(Intercept)": 1, "weight": [2, 3]})


def test_two_intercepts_are_one_too_many():
    """R's name beside ours is a feature of that name, which nobody means."""
    source = {"intercept": 1, "coefficients": {"(Intercept)": 2, "a": 3}}
    with pytest.raises(ModelError, match="two intercepts"):
        linexport.read_model(source)


def test_what_a_name_stands_for_is_a_feature_beside_an_intercept():
    model = linexport.read_model({"intercept": 1, "coefficients": {"const": 2, "a": 3}}).model
    assert (model.feature_names, model.bias.tolist()) == (("const", "a"), [1])


def test_a_list_of_coefficients_may_be_given_its_names():
    source = {"intercept": 1, "coefficients": [2, 3]}
    assert linexport.read_model(source, features=["a", "b"]).model.feature_names == ("a", "b")
    assert linexport.read_model(source).model.feature_names == ("x1", "x2")


def test_arrays_are_arrays_in_json_too(read):
    text = '{"weight": [[2.0, -3.4]], "bias": [4.2], "mean": [1, 2]}'
    model = read(text)
    assert model.same_numbers(linexport.read_model(json.loads(text)).model)
    assert (model.weight.tolist(), model.mean.tolist()) == ([[2.0, -3.4]], [1, 2])


def test_the_responses_of_broom_are_targets(read):
    rows = [
        {"response": response, "term": term, "estimate": place}
        for response in ("rent", "price")
        for place, term in enumerate(["(Intercept)", "x1", "x2"])
    ]
    model = linexport.read_model(rows).model
    assert model.same_numbers(read(json.dumps(rows)))
    assert model.target_names == ("rent", "price")
    assert model.weight.tolist() == [[1, 2], [1, 2]]


def test_a_series_is_a_mapping_and_so_is_one_within():
    params = pd.Series({"const": 4.2, "x2": -3.4, "x1": 2.0})
    model = linexport.read_model(params).model
    assert (model.feature_names, model.bias.tolist()) == (("x2", "x1"), [4.2])
    within = {"intercept": np.array([4.2]), "coefficients": params.drop("const")}
    assert linexport.read_model(within).model.same_numbers(model)
    with pytest.raises(ModelError, match="name of a coefficient must be text, got int '0'"):
        linexport.read_model({"intercept": 1, "coefficients": pd.Series([2.0])})


def test_tensors_of_other_names_are_not_coefficients():
    with pytest.raises(ModelError, match="Found b, w: a state_dict is taken for"):
        linexport.read_model({"w": torch.ones(3), "b": torch.ones(())})


def test_polars_ds_by_name_means_what_it_predicts(tmp_path):
    random = np.random.default_rng(3)
    rows = random.normal(size=(40, 2)).astype(np.float32).astype(np.float64)
    frame = pl.DataFrame(rows, schema=["area", "floor"])
    frame = frame.with_columns(rent=3 * pl.col("area") - pl.col("floor") + 4)
    report = frame.select(pds.lin_reg_report("area", "floor", target="rent", add_bias=True))
    rows_of = report.to_series().struct.unnest()
    found = linexport.read_model(dict(zip(rows_of["features"], rows_of["beta"], strict=True)))
    assert found.model.feature_names == ("area", "floor")
    fitted = LR(has_bias=True).fit_df(frame, ["area", "floor"], "rent")
    coefficients = dict(zip(fitted.feature_names_in_, fitted.coeffs(), strict=True))
    source = {"intercept": fitted.bias(), "coefficients": coefficients}
    exported = assert_agrees(source, fitted.predict(rows), rows, tmp_path / "bundle")
    assert exported.model.feature_names == ("area", "floor")
    np.testing.assert_allclose(found.model.weight, [[3, -1]], rtol=1e-12)


def test_the_series_of_a_fit_as_pyfixest_has_it():
    """Of its release 0.60: `feols("rent ~ area + floor", data).coef()`."""
    names = pd.Index(["Intercept", "area", "floor"], name="Coefficient")
    model = linexport.read_model(pd.Series([4.0, 3.0, -1.0], index=names, name="Estimate")).model
    assert (model.feature_names, model.bias.tolist()) == (("area", "floor"), [4.0])
    absorbed = pd.Series([3.0, -1.0], index=names[1:], name="Estimate")
    with pytest.raises(ModelError, match=r"No name beside .area. is the intercept .*fixed effects"):
        linexport.read_model(absorbed)
    written = {"intercept": 0.0, "coefficients": absorbed}  # as it says
    assert linexport.read_model(written).model.weight.tolist() == [[3.0, -1.0]]
