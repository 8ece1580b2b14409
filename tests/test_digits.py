"""What is printed of numbers is enough to use them."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, strategies as st

import linexport
from linexport._digits import TABLE_DIGITS, digits_between, formula, written_coefficients
from linexport.columns import Column
from linexport.errors import AssumedRangeWarning, ExtrapolationWarning
from linexport.fit import as_text

numbers = st.floats(-1e15, 1e15, allow_subnormal=False)
TIME = np.arange(60) * 60_000 + 1.7e12
"""Milliseconds since 1970, an hour of them."""


@pytest.fixture
def epoch():
    random = np.random.default_rng(0)
    x = random.normal(size=60)
    y = 3e-7 * (TIME - TIME[0]) + x + random.normal(0, 0.01, 60)
    return {"t": TIME, "x": x, "y": y}


def evaluated(equation: str, table) -> np.ndarray:
    """What a reader predicts with the equation."""
    intercept, *terms = re.findall(r"[+-]? ?\d[\d.]*(?:e[+-]\d+)?(?: [a-z]+)?", equation)
    total = np.full(60, float(intercept.replace(" ", "")))
    for term in terms:
        value, name = re.fullmatch(r"(.*\d) ([a-z])", term).groups()
        total += float(value.replace(" ", "")) * table[name]
    return total


def test_an_equation_of_far_off_features_predicts_what_the_fit_does(epoch):
    fit = linexport.train(epoch, target="y")
    truth, rmse = fit.coefficients["y"], fit.record.metrics["training"]["y"].rmse
    exact = truth.intercept + truth.features["t"] * TIME + truth.features["x"] * epoch["x"]
    equation = repr(fit).splitlines()[1].split(" = ")[1]
    assert np.abs(evaluated(equation, epoch) - exact).max() <= rmse / 100


def test_the_page_and_the_card_print_it_in_the_same_digits(epoch, tmp_path):
    pytest.importorskip("jinja2")
    out = tmp_path / "m"
    result = linexport.export(linexport.train(epoch, target="y"), out)
    written = as_text(result.record, "y", result.model.features)
    linexport.report(out, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    (equation,) = re.findall(r'<p class="equation">(.*?)</p>', page)
    plain = re.sub("<[^>]*>", "", equation)
    assert plain.split() == ["y", "=", *formula(written).replace(" +", " + ").split()]
    for text in (page, (out / "README.md").read_text(), str(result), str(result.summary())):
        assert written.intercept in text
        assert written.features["t"] in text


@given(numbers, st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=5), numbers)
def test_no_row_in_range_is_further_off_than_a_hundredth_of_the_rmse(intercept, terms, rmse):
    columns = [
        Column(name=f"x{place}", minimum=min(ends), maximum=max(ends))
        for place, (_, *ends) in enumerate(terms)
    ]
    features = {column.name: weight for column, (weight, _, _) in zip(columns, terms, strict=True)}
    written = written_coefficients(intercept, features, columns, abs(rmse))
    size = abs(intercept) + sum(abs(w) * max(abs(a), abs(b)) for w, a, b in terms)
    noise = (len(terms) + 2) * 2.0**-53 * size
    spread = sum(abs(w) * abs(a - b) for w, a, b in terms)
    limit = abs(rmse) / 100 if abs(rmse) / 100 > noise else spread / 10_000
    off = abs(float(written.intercept) - intercept) + sum(
        abs(float(written.features[c.name]) - features[c.name])
        * max(abs(c.minimum), abs(c.maximum))
        for c in columns
    )
    assert limit == 0 or off <= limit * (1 + 1e-12)


def test_features_near_zero_keep_six_digits():
    columns = [Column(name="x", minimum=-1.0, maximum=1.0)]
    assert (
        formula(written_coefficients(1 / 3, {"x": -2 / 3}, columns, 0.1)) == "0.333333 -0.666667 x"
    )
    # An exact relation, whose residual is float64's own; and one of which nothing is known.
    assert formula(written_coefficients(math.pi, {"x": 2.0}, columns, 1e-17)) == "3.14159 +2 x"
    assert formula(written_coefficients(math.pi, {"x": 2.0}, [Column(name="x")])) == "3.14159 +2 x"
    found = written_coefficients(math.pi, {"x": 2.0}, columns, fewest=TABLE_DIGITS)
    assert found.intercept == "3.14159265"


@given(numbers, numbers)
def test_the_ends_of_a_range_are_told_apart_to_a_percent_of_their_difference(low, high):
    digits = digits_between(low, high)
    found = float(f"{high:.{digits}g}") - float(f"{low:.{digits}g}")
    assert 6 <= digits <= 17
    # 17 digits are exact but for the rounding of the difference itself.
    assert abs(found - (high - low)) <= abs(high - low) / 100 or digits == 17


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (1.7e9, 1700003540.0, "1700000000 to 1700003540"),
        (999996.0, 1e6, "999996 to 1000000"),
        (0.0, 1 / 3, "0 to 0.333333"),
        (5.0, 5.0, "5 to 5"),
        (-1e308, 1.7e308, "-1e+308 to 1.7e+308"),
        (0.0, 5e-324, "0 to 4.94066e-324"),
    ],
)
def test_a_range_is_no_longer_than_it_must_be(low, high, shown):
    digits = digits_between(low, high)
    assert f"{low:.{digits}g} to {high:.{digits}g}" == shown


def test_a_range_is_told_in_full_wherever_it_is_told(epoch, tmp_path):
    assert "1700000000000 to 1700003540000" in str(linexport.describe(epoch))
    linexport.export(linexport.train(epoch, target="y"), tmp_path / "m")
    row = next(
        line for line in str(linexport.inspect(tmp_path / "m")).splitlines() if "  t " in line
    )
    assert row.split()[:4] == ["t", "1700000000000", "1700003540000", "1700001770000"]
    predictor = linexport.load(tmp_path / "m", check_range="warn")
    with pytest.warns(ExtrapolationWarning, match="1700003600000 is outside .*3540000;"):
        predictor.predict({"t": [1.7e12 + 3.6e6], "x": [0.0]})


def test_an_assumed_range_is_told_in_full(tmp_path):
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = 1e6 + np.random.default_rng(0).normal(size=(50, 1))
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(x, x[:, 0])
    with pytest.warns(AssumedRangeWarning, match=r"\(99999\d\.\d+ to 10000\d\d?\.\d+\)"):
        linexport.export(model, tmp_path / "m")
