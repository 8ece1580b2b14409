"""Text, dates and missing cells: from the table as it is to predictions, with scikit-learn and
statsmodels as witnesses."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import statsmodels.formula.api as smf
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import linexport
from linexport.encoding import CategoryColumn, NumberColumn
from linexport.errors import ConfigError, DataError, TrainingError

CLOSE = 1e-9
"""Relative: two float64 solvers on some hundred well-conditioned rows, to sqrt of that."""


@pytest.fixture(scope="module")
def passengers() -> pd.DataFrame:
    """A table of the kind of the Titanic's: ages are missing, and some ports."""
    random = np.random.default_rng(7)
    n = 300
    sex = random.choice(["male", "female"], n, p=[0.65, 0.35])
    embarked = random.choice(["S", "C", "Q"], n, p=[0.7, 0.2, 0.1]).astype(object)
    age = np.round(random.gamma(6, 5, n), 1)
    fare = np.round(random.lognormal(3, 1, n), 2)
    score = 20 + 3 * (sex == "female") + 1.5 * (embarked == "C") - 0.1 * age + 0.05 * fare
    score += random.normal(0, 1, n)
    age[random.random(n) < 0.2] = np.nan
    embarked[random.random(n) < 0.03] = None
    return pd.DataFrame(
        {
            "sex": sex,
            "age": age,
            "fare": fare,
            "embarked": embarked,
            "alone": random.random(n) < 0.5,
        }
    ).assign(score=score)


def trained(table: Any, **settings: Any) -> linexport.Fit:
    return linexport.train(linexport.read_data(table, targets="score", **settings))


def coefficients(fit: linexport.Fit) -> dict[str, float]:
    return fit.coefficients["score"].features


def loaded(fit: linexport.Fit, path: Path) -> linexport.Predictor:
    config = linexport.ExportConfig(dtype="float64", formats=("onnx",))
    return linexport.load(linexport.export(fit, path, config=config))


def test_predictions_are_those_of_scikit_learns_pipeline(
    passengers: pd.DataFrame, tmp_path: Path
) -> None:
    columns = ColumnTransformer(
        [
            ("sex", OneHotEncoder(drop=["male"]), ["sex"]),
            (
                "port",
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value="missing"),
                    OneHotEncoder(drop=["S"]),
                ),
                ["embarked"],
            ),
            ("age", SimpleImputer(strategy="median", add_indicator=True), ["age"]),
            ("fare", SimpleImputer(strategy="mean"), ["fare"]),
        ]
    )
    theirs = make_pipeline(columns, LinearRegression())
    frame = passengers.replace({None: np.nan})
    theirs.fit(frame, frame["score"])
    fit = trained(
        passengers,
        exclude="alone",
        categorical="auto",
        missing=["median", "level"],
        missing_indicator=True,
    )
    assert list(coefficients(fit)) == [
        *("sex[female]", "age", "age[missing]", "fare"),
        *("embarked[C]", "embarked[Q]", "embarked[missing]"),
    ]
    ours = loaded(fit, tmp_path / "b").predict(passengers)[:, 0]
    np.testing.assert_allclose(ours, theirs.predict(frame), rtol=CLOSE)


def test_statistics_are_those_of_treatment_coding(passengers: pd.DataFrame) -> None:
    fit = trained(
        passengers,
        features=["sex", "embarked", "age", "alone"],
        categorical="sex,embarked,alone",
        reference={"sex": "female", "embarked": "Q"},
        missing="drop",
    )
    theirs = smf.ols(
        "score ~ C(sex, Treatment('female')) + C(embarked, Treatment('Q')) + age + C(alone)",
        passengers,
        missing="drop",
    ).fit()
    assert fit.record.rows == theirs.nobs
    assert fit.record.statistics is not None
    ours = fit.record.statistics.targets["score"].features
    for name, term in (
        ("sex[male]", "C(sex, Treatment('female'))[T.male]"),
        ("embarked[C]", "C(embarked, Treatment('Q'))[T.C]"),
        ("embarked[S]", "C(embarked, Treatment('Q'))[T.S]"),
        ("age", "age"),
    ):
        np.testing.assert_allclose(ours[name].estimate, theirs.params[term], rtol=CLOSE)
        np.testing.assert_allclose(ours[name].standard_error, theirs.bse[term], rtol=CLOSE)
        np.testing.assert_allclose(ours[name].p_value, theirs.pvalues[term], rtol=1e-7)
    (alone,) = (name for name in ours if name.startswith("alone"))
    (term,) = (name for name in theirs.params.index if name.startswith("C(alone)"))
    sign = 1 if alone == "alone[true]" else -1
    np.testing.assert_allclose(sign * ours[alone].estimate, theirs.params[term], rtol=CLOSE)


def test_every_kind_of_table_and_of_reading_gives_one_fit(
    passengers: pd.DataFrame, tmp_path: Path
) -> None:
    settings: Any = {
        "categorical": "auto",
        "missing": ["mean", "reference"],
        "reference": "sex=female",
    }
    frame = pl.from_pandas(passengers)
    frame.write_csv(tmp_path / "t.csv")
    coded = frame.with_columns(pl.col("sex", "embarked").cast(pl.Categorical))
    coded.write_parquet(tmp_path / "coded.parquet", row_group_size=50)
    expected = trained(frame, **settings)
    assert expected.encoding is not None
    for table in (
        tmp_path / "t.csv",
        tmp_path / "coded.parquet",
        coded.to_arrow(),
        passengers.astype({"sex": "category"}),
    ):
        for stream in (False, True):
            fit = trained(table, stream=stream, **settings)
            assert fit.encoding == expected.encoding
            for name, value in coefficients(expected).items():
                np.testing.assert_allclose(coefficients(fit)[name], value, rtol=CLOSE)


def test_sgd_and_test_rows_are_encoded_too(passengers: pd.DataFrame, tmp_path: Path) -> None:
    rows = linexport.read_data(passengers, targets="score", categorical="auto", missing="drop")
    exported = linexport.train_and_export(
        rows, tmp_path / "b", solver=linexport.SGDConfig(epochs=2), test_fraction=0.2
    )
    assert exported.manifest is not None
    assert exported.manifest.encoding is not None
    assert exported.manifest.encoding.features == tuple(c.name for c in exported.manifest.features)


def test_a_ridge_determines_a_feature_of_each_level(passengers: pd.DataFrame) -> None:
    settings: Any = {"features": ["sex", "fare"], "categorical": "sex", "reference": "none"}
    with pytest.raises(TrainingError, match=r"none, or add .*\(l2=1\)"):
        trained(passengers, **settings)
    rows = linexport.read_data(passengers, targets="score", **settings)
    fit = linexport.train(rows, solver=linexport.LeastSquaresConfig(l2=2.0))
    encoder = OneHotEncoder(sparse_output=False)
    features = np.column_stack(
        [encoder.fit_transform(passengers[["sex"]]), passengers["fare"].to_numpy()]
    )
    theirs = Ridge(alpha=2.0).fit(features, passengers["score"])
    assert list(coefficients(fit)) == ["sex[female]", "sex[male]", "fare"]
    np.testing.assert_allclose(list(coefficients(fit).values()), theirs.coef_, rtol=CLOSE)


@pytest.fixture(scope="module")
def predictor(
    passengers: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> linexport.Predictor:
    fit = trained(
        passengers,
        exclude="alone",
        categorical="auto",
        missing={"age": "median", "embarked": "drop"},
        missing_indicator=True,
    )
    return loaded(fit, tmp_path_factory.mktemp("bundle") / "b")


def test_every_door_takes_the_tables_own_columns(
    passengers: pd.DataFrame, predictor: linexport.Predictor, tmp_path: Path
) -> None:
    table = passengers.dropna(subset="embarked").reset_index(drop=True)
    expected = predictor.predict(table)
    arrow = pa.Table.from_pandas(table)
    function = linexport.record_batch_predictor(predictor, keep="sex")
    np.testing.assert_array_equal(function(arrow)["score"].to_numpy(), expected[:, 0])
    assert function(arrow)["sex"].to_pylist() == table["sex"].tolist()
    named = [
        {"sex": row.sex, "age": None if np.isnan(row.age) else row.age, "fare": row.fare,
         "embarked": row.embarked}
        for row in table.itertuples()
    ]  # fmt: skip
    rows = predictor.from_rows(named, source="rows")
    np.testing.assert_array_equal(predictor.predict_array(rows), expected)
    np.testing.assert_allclose(predictor.predict(named[0])[0], expected[0], rtol=1e-15)
    parts = [predictor.predict(part) for part in (table[:100], table[100:])]
    np.testing.assert_allclose(np.concatenate(parts), expected, rtol=1e-15)


def test_a_fault_is_told_of_the_tables_column(
    passengers: pd.DataFrame, predictor: linexport.Predictor
) -> None:
    row = {"sex": "male", "age": 3.0, "fare": 1.0, "embarked": "S"}
    for change, said in (
        ({"sex": "mail"}, r"column 'sex', row 1: 'mail' is no level .*'male'"),
        ({"embarked": None}, "column 'embarked', row 1: There is no value"),
        ({"fare": "much"}, "column 'fare', row 1: 'much' is not a number"),
        ({"fare": np.inf}, "column 'fare', row 1: inf is given"),
    ):
        with pytest.raises(DataError, match=said):
            predictor.predict({**row, **change})
    assert np.isnan(predictor.predict({**row, "embarked": "NA"}, missing="nan")).all()
    with pytest.raises(DataError, match="There is no column 'embarked'"):
        predictor.predict(passengers.drop(columns="embarked"))
    with pytest.raises(DataError, match="'cabin' is no feature"):
        predictor.from_rows([{**row, "cabin": 1.0}])


def test_a_bundle_keeps_its_encoding_when_it_is_exported_again(
    predictor: linexport.Predictor, passengers: pd.DataFrame, tmp_path: Path
) -> None:
    fit = trained(passengers, exclude="alone", categorical="auto", missing="drop")
    first = linexport.export(fit, tmp_path / "a")
    second = linexport.export(tmp_path / "a", tmp_path / "b")
    assert first.manifest is not None
    assert second.manifest is not None
    assert second.manifest.encoding == first.manifest.encoding == fit.encoding


def test_an_unknown_level_is_the_reference_where_training_said_so(
    passengers: pd.DataFrame, tmp_path: Path
) -> None:
    fit = trained(passengers, features=["sex", "fare"], categorical="sex", unknown="reference")
    predictor = loaded(fit, tmp_path / "b")
    row = {"fare": 2.0}
    assert predictor.predict({**row, "sex": "?!"}) == predictor.predict({**row, "sex": "male"})


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"categorical": "sax"}, DataError, "no column 'sax'; did you mean 'sex'"),
        ({"categorical": "score"}, ConfigError, "'score' is no feature"),
        ({"reference": "sex=male"}, ConfigError, r"so add categorical=\['sex'\]"),
        (
            {"categorical": "sex", "reference": "sex=mal"},
            DataError,
            "'mal' is no level; its",
        ),
        (
            {"categorical": "sex", "missing": "sex=mean"},
            ConfigError,
            "'sex' is a category: miss",
        ),
        ({"missing": "age=level"}, ConfigError, "'age' is a number: missing may be mean"),
        ({"missing": "score=mean"}, ConfigError, "'score' is no feature: missing may be drop"),
        ({"missing": ["mean", "zero"]}, ConfigError, "both mean and zero"),
        ({"missing": ["age=mean", "age=zero"]}, ConfigError, "'age' is to be both mean and zero"),
        ({"missing": "agee=mean"}, DataError, "no column 'agee'; did you mean 'age'"),
        ({"date": "age=2020-01-01"}, ConfigError, "date must be NAME=days-since:DATE"),
        ({"date": "age=days-since:1.1.2020"}, ConfigError, "must be a date as 2020-01-31"),
        ({"categorical": "sex,constant"}, DataError, r"one level, 'c'.*exclude=\['constant'\]"),
        (
            {"categorical": "auto", "exclude": "constant,empty"},
            DataError,
            "'age' lacks 5. values; 'embarked' lacks .* values: fill numbers in with "
            "missing='median' and make what is missing a level with missing='level', or leave",
        ),
        ({"categorical": "empty,sex"}, DataError, "'empty': It is empty: leave it out with exc"),
        ({"features": "empty", "missing": "mean"}, DataError, "'empty'.*no finite mean"),
        ({"missing": "mean"}, DataError, "'sex' is text with 2 levels; 'embarked' is text with 3"),
    ],
)
def test_what_cannot_be_is_said(
    passengers: pd.DataFrame, settings: dict[str, Any], error: type[Exception], said: str
) -> None:
    table = passengers.drop(columns="alone").assign(constant="c", empty=np.nan)
    with pytest.raises(error, match=said):
        linexport.read_data(table, targets="score", **settings)


def test_a_column_may_be_named_twice(passengers: pd.DataFrame) -> None:
    once, twice = (
        trained(passengers, features=["sex"], categorical=names) for names in ("sex", "sex,sex")
    )
    assert coefficients(once) == coefficients(twice)


def test_columns_of_truth_values_and_numbers_may_be_categories() -> None:
    table = {
        "smoker": ["True", "False", "true", "FALSE", "True", "False"],
        "zone": ["3", "10", "10.0", "3", "2.0", "2"],
        "x": [1.0, None, 3.0, 4.0, 7.0, 6.0],
        "y": [1.0, 2.0, 2.0, 1.0, 3.0, 5.0],
    }
    rows = linexport.read_data(
        table, targets="y", categorical=["zone", "auto"], missing="zero", missing_indicator=True
    )
    assert rows.encoding is not None
    assert rows.encoding.columns == (
        CategoryColumn(name="smoker", levels=("false", "true"), reference="false"),
        CategoryColumn(name="zone", levels=("2", "3", "10"), reference="2"),
        NumberColumn(name="x", fill=0.0, indicator=True),
    )
    assert rows.notes == ("Taken as categories: 'smoker' (2 levels, against 'false').",)
    assert isinstance(rows, linexport.Dataset)
    expected = [[1, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 0]]
    np.testing.assert_array_equal(rows.feature_values[:, [0, 1, 2]], expected)


def test_ranges_are_told_of_the_tables_columns(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {
            "day": pl.Series([18_262 + day for day in (0, 3, 9, 4)]).cast(pl.Date),
            "kind": ["a", "b", "b", "a"],
            "score": [1.0, 2.0, 3.0, 2.5],
        }
    )
    fit = trained(table, date={"day": "days-since:2020-01-01"}, categorical="kind")
    assert [column.unit for column in fit.model.features] == ["days since 2020-01-01", ""]
    whole = linexport.export(fit, tmp_path / "a")
    path = linexport.export(whole, tmp_path / "b", ranges=table.head(2)).path
    predictor = linexport.load(path, check_range="error")
    predictor.predict({"day": "2020-01-04", "kind": "a"})
    with pytest.raises(DataError, match=r"column 'day', row 1: 8 is outside .* range, 0 to 3"):
        predictor.predict({"day": "2020-01-09", "kind": "b"})
    with pytest.warns(linexport.ExtrapolationWarning, match="'day'"):
        linexport.predict_table(path, table, tmp_path / "out.csv", check_range="warn")
