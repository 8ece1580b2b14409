"""Results of statsmodels: the intercept found, formulas and links told apart."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from agreement import assert_agrees
from statsmodels.multivariate.multivariate_ols import MultivariateLS
from statsmodels.regression.linear_model import RegressionResults

import linexport
from linexport.errors import ModelError

FITS = {
    "OLS": lambda y, x: sm.OLS(y, x).fit(),
    "WLS": lambda y, x: sm.WLS(y, x, weights=np.linspace(1, 2, len(y))).fit(),
    "GLS": lambda y, x: sm.GLS(y, x, sigma=np.linspace(1, 2, len(y))).fit(),
    "GLSAR": lambda y, x: sm.GLSAR(y, x, 1).iterative_fit(3),
    "RLM": lambda y, x: sm.RLM(y, x).fit(),
    "QuantReg": lambda y, x: sm.QuantReg(y, x).fit(),
    "GLM": lambda y, x: sm.GLM(y, x, family=sm.families.Gaussian()).fit(),
    "OLS, regularized": lambda y, x: sm.OLS(y, x).fit_regularized(alpha=0.01),
}


@pytest.fixture(scope="module")
def table(rows, target) -> pd.DataFrame:
    frame = pd.DataFrame(rows - [0, 5, 1000], columns=["a", "b", "c"]).astype(np.float32)
    frame = frame.astype(np.float64)
    frame["kind"] = ["u", "v", "w"] * 20
    return frame.assign(y=target)


@pytest.mark.parametrize("name", FITS)
def test_every_linear_result_predicts_the_same(table, tmp_path, name):
    features = table[["b", "a", "c"]]
    design = sm.add_constant(features)
    results = FITS[name](table["y"], design)
    exported = assert_agrees(
        results, results.predict(design), features.to_numpy(), tmp_path / "bundle"
    )
    assert exported.record.settings["source"] == f"statsmodels {name.split(',')[0]}"
    assert exported.model.feature_names == ("b", "a", "c")
    assert exported.model.target_names == ("y",)
    assert exported.record.coefficients["y"].intercept == np.asarray(results.params)[0]


@pytest.mark.parametrize(
    "owner",
    [lambda r: r, lambda r: r._results, lambda r: r.model],
    ids=["results", "inner", "model"],
)
def test_a_predict_that_was_replaced_is_refused(table, owner):
    results = sm.OLS(table["y"], sm.add_constant(table[["a", "b"]])).fit()
    owner(results).predict = lambda x: np.exp(x)
    with pytest.raises(ModelError, match=r"OLS(Results)?\.predict was replaced on this object"):
        linexport.read_model(results)


class Exponential(RegressionResults):
    def predict(self, exog):
        return np.exp(super().predict(exog))


def test_results_of_a_derived_class_are_refused(table):
    results = sm.OLS(table["y"], sm.add_constant(table[["a", "b"]])).fit()
    derived = Exponential(results.model, results.params)
    with pytest.raises(ModelError, match="Exponential is not a class of statsmodels itself"):
        linexport.read_model(derived)


@pytest.mark.parametrize("prepend", [True, False])
def test_arrays_have_no_names_and_the_constant_is_found_anywhere(table, tmp_path, prepend):
    features = table[["a", "b"]].to_numpy()
    design = sm.add_constant(features, prepend=prepend)
    results = sm.OLS(table["y"].to_numpy(), design).fit()
    exported = assert_agrees(results, results.predict(design), features, tmp_path / "bundle")
    assert exported.model.feature_names == ("x1", "x2")


NAMED = {"features": ["area", "floor"], "targets": ["rent"]}


@pytest.mark.parametrize("removed", [False, True])
def test_names_that_statsmodels_made_up_give_way_to_those_that_are_given(table, removed):
    design = sm.add_constant(table[["a", "b"]].to_numpy())
    results = sm.OLS(table["y"].to_numpy(), design).fit()
    if removed:
        assert results.model.exog_names  # which are kept, once they were asked for
        assert results.model.endog_names
        results.remove_data()
    model = linexport.read_model(results, **NAMED).model
    assert (model.feature_names, model.target_names) == (("area", "floor"), ("rent",))
    several = MultivariateLS(np.column_stack([table["y"]] * 2), design).fit()
    assert linexport.read_model(several, targets=["u", "v"]).model.target_names == ("u", "v")


def test_a_tables_own_names_stand_also_where_they_look_made_up(table):
    design = sm.add_constant(table[["a", "b"]].set_axis(["x1", "x2"], axis=1))
    for results in (
        sm.OLS(table["y"], design).fit(),
        smf.ols("y ~ x1 + x2", design.assign(y=table["y"])).fit(),
    ):
        with pytest.raises(ModelError, match="names its features 'x1', 'x2', not 'area', 'floor'"):
            linexport.read_model(results, features=NAMED["features"])
        with pytest.raises(ModelError, match="names its targets 'y', not 'rent'"):
            linexport.read_model(results, targets=NAMED["targets"])
    mixed = sm.OLS(table["y"].to_numpy(), design).fit()
    assert linexport.read_model(mixed, targets=["rent"]).model.target_names == ("rent",)


def test_without_a_constant_there_is_no_intercept(table, tmp_path):
    features = table[["a", "b"]]
    results = sm.OLS(table["y"], features).fit()
    exported = assert_agrees(
        results, results.predict(features), features.to_numpy(), tmp_path / "bundle"
    )
    assert exported.record.coefficients["y"].intercept == 0.0


def test_a_formula_of_plain_columns_is_taken(table, tmp_path):
    results = smf.ols("y ~ c + a", table).fit()
    exported = assert_agrees(
        results, results.predict(table), table[["c", "a"]].to_numpy(), tmp_path / "bundle"
    )
    assert exported.model.feature_names == ("c", "a")
    assert exported.record.coefficients["y"].intercept == results.params["Intercept"]


@pytest.mark.parametrize(
    ("formula", "made"),
    [
        ("y ~ a + I(b**2)", r"I\(b \*\* 2\)"),
        ("y ~ a + C(kind)", r"C\(kind\)\[T.v\]"),
        ("y ~ a + kind", r"kind\[T.v\]"),
        ("y ~ a * b", "a:b"),
        ("y ~ np.exp(a)", r"np.exp\(a\)"),
    ],
)
def test_a_formula_that_computes_columns_is_refused(table, formula, made):
    results = smf.ols(formula, table).fit()
    with pytest.raises(ModelError, match=f"The formula computes '{made}' from other columns"):
        linexport.read_model(results)


def test_the_design_of_such_a_formula_can_be_given_by_names(table, tmp_path):
    """The way out that the message names: the caller computes the columns."""
    results = smf.ols("y ~ a + I(b**2)", table).fit()
    params = results.params.to_dict()
    intercept = params.pop("Intercept")
    source = {"intercept": intercept, "coefficients": params, "target": "y"}
    design = np.column_stack([table["a"], table["b"] ** 2]).astype(np.float32).astype(np.float64)
    expected = intercept + design @ np.array(list(params.values()))
    exported = assert_agrees(source, expected, design, tmp_path / "bundle")
    assert exported.model.feature_names == ("a", "I(b ** 2)")


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_quoted_name_is_a_name(table, tmp_path, quote):
    renamed = table.rename(columns={"a": "floor area", "y": "net rent", "b": "it's"})
    formula = f"""Q({quote}net rent{quote}) ~ Q({quote}floor area{quote}) + Q("it's") + c"""
    results = smf.ols(formula, renamed).fit()
    rows = renamed[["floor area", "it's", "c"]].to_numpy()
    exported = assert_agrees(results, results.predict(renamed), rows, tmp_path / "bundle")
    assert exported.model.feature_names == ("floor area", "it's", "c")
    assert exported.model.target_names == ("net rent",)
    crossed = smf.ols("y ~ Q('a'):Q('b')", table).fit()
    with pytest.raises(ModelError, match="The formula computes"):
        linexport.read_model(crossed)


@pytest.mark.parametrize("kind", [sm.OLS, MultivariateLS])
def test_two_targets_are_two_columns_of_the_params(table, tmp_path, kind):
    design = sm.add_constant(table[["a", "b"]])
    targets = table[["y"]].assign(z=3 - table["c"])
    results = kind(targets, design).fit()
    expected = design.to_numpy() @ np.asarray(results.params)
    rows = table[["a", "b"]].to_numpy()
    exported = assert_agrees(results, expected, rows, tmp_path / "bundle")
    assert exported.model.target_names == ("y", "z")
    assert exported.model.feature_names == ("a", "b")


def test_names_that_were_asked_for_outlive_the_data(table):
    results = sm.OLS(table["y"], sm.add_constant(table[["a", "b"]])).fit()
    whole = linexport.read_model(results).model
    assert results.params["const"] == whole.bias[0]  # keeps the names
    rest = linexport.read_model(without_data(results)).model
    assert rest.same_numbers(whole)
    assert rest.feature_names == ("a", "b")


def poisson(table):
    counts = np.abs(table["y"]).round()
    return sm.GLM(counts, sm.add_constant(table[["a"]]), family=sm.families.Poisson()).fit()


def without_data(results):
    results.remove_data()
    return results


def test_without_the_design_the_name_tells(table):
    for formula, constant in (("y ~ a + b", True), ("y ~ a + b - 1", False)):
        results = smf.ols(formula, table).fit()
        whole = linexport.read_model(results).model
        rest = linexport.read_model(without_data(results)).model
        assert rest.same_numbers(whole)
        assert rest.feature_names == ("a", "b")
        assert (rest.bias[0] != 0) == constant


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (poisson, "GLM with the link Log does not predict linearly"),
        (
            lambda t: sm.GLM(t["y"], sm.add_constant(t[["a"]]), offset=t["b"]).fit(),
            "GLM with an offset",
        ),
        (
            lambda t: sm.Logit(t["y"] > t["y"].median(), sm.add_constant(t[["a"]])).fit(disp=0),
            "Logit is not one of the models",
        ),
        (
            lambda t: smf.mixedlm("y ~ a", t, groups=t["kind"]).fit(),
            "MixedLM is not one of the models",
        ),
        (lambda t: sm.OLS(t["y"], t[["a"]]), "OLS is not what fit returns"),
        (lambda t: sm.OLS(t["y"], np.ones((len(t), 1))).fit(), "a constant alone"),
        (
            lambda t: sm.OLS(t["y"], t[["a"]].assign(size=2.0)).fit(),
            "cannot be told whether 'size' is the intercept",
        ),
        (
            lambda t: without_data(smf.ols("y ~ one + a - 1", t.assign(one=1.0)).fit()),
            "no longer hold the design",
        ),
        (
            lambda t: without_data(sm.OLS(t["y"], t[["a", "b"]]).fit()),
            "no longer hold the names",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::statsmodels.tools.sm_exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_not_linear_or_cannot_be_told_is_refused(table, make, said):
    with pytest.raises(ModelError, match=said):
        linexport.read_model(make(table))
