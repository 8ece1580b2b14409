"""The certified values of NIST's reference data sets."""

import re
from pathlib import Path

import numpy as np
import pytest
from exact_least_squares import InMemory, solve_exactly

from linexport.least_squares._solver import optimum
from linexport.least_squares._statistics import fit_statistics

NIST = Path(__file__).parent / "nist"
POLYNOMIALS = {"Pontius": 2, "Wampler1": 5, "Wampler4": 5, "Filip": 10}
DIGITS = {  # (coefficients, standard errors)
    "Norris": (14, 13.5),
    "Pontius": (13.5, 13.5),
    "NoInt1": (14.5, 14.5),
    "Longley": (14.5, 13),
    "Wampler1": (15, 15),
    "Wampler4": (15, 14),
    "Filip": (7.6, 7.6),  # what rounding the powers to float64 leaves
}


def read(name):
    """Return features, target, certified coefficients with errors, and the text."""
    text = (NIST / f"{name}.dat").read_text()
    first, last = map(int, re.search(r"Data +\(lines +(\d+) to +(\d+)\)", text).groups())
    data = np.array([line.split() for line in text.splitlines()[first - 1 : last]], dtype=float)
    certified = re.findall(r"^ +B\d+ +(\S+) +(\S+) *$", text, re.MULTILINE)
    features = data[:, 1:]
    if name in POLYNOMIALS:
        features = features ** np.arange(1, POLYNOMIALS[name] + 1)
    return features, data[:, 0], np.array(certified, dtype=float), text


def fit(name):
    features, target, certified, text = read(name)
    best = optimum(InMemory(features, target), intercept=name != "NoInt1")
    return best, certified, text


def coefficients_and_errors(best):
    weight, errors = best.weight[0], best.weight_standard_errors[0]
    if not best.intercept:
        return weight, errors
    return np.append(best.bias, weight), np.append(best.bias_standard_errors, errors)


def fewest_digits(values, certified):
    """The log relative error of the worst value; absolute where 0 is certified; at most 15."""
    scale = np.where(certified == 0, 1, np.abs(certified))
    return -np.log10(max(np.max(np.abs(values - certified) / scale), 1e-15))


@pytest.mark.parametrize("name", DIGITS)
def test_coefficients_and_their_errors_have_the_certified_digits(name):
    best, certified, _ = fit(name)
    for values, column, digits in zip(
        coefficients_and_errors(best), certified.T, DIGITS[name], strict=True
    ):
        assert fewest_digits(values, column) >= digits


@pytest.mark.parametrize("name", DIGITS)
def test_the_analysis_of_variance_has_the_certified_digits(name):
    best, _, text = fit(name)
    statistics = fit_statistics(
        best, feature_names=[f"B{i}" for i in range(len(best.mean))], target_names=["y"]
    ).targets["y"]
    deviation, r2 = (
        float(re.search(rf"{label} +(\S+)", text)[1])
        for label in (r"Residual\s+Standard Deviation", "R-Squared")
    )
    f = re.search(r"^Regression +\d+ +\S+ +\S+ +(\S+)", text, re.MULTILINE)[1]
    digits = 7.5 if name == "Filip" else 13
    assert fewest_digits(statistics.residual_standard_deviation, deviation) >= digits
    assert fewest_digits(statistics.r2, r2) >= digits
    if f == "Infinity":
        assert statistics.f is None
    else:
        assert fewest_digits(statistics.f, float(f)) >= digits


@pytest.mark.parametrize("name", [name for name in DIGITS if name != "Filip"])
def test_coefficients_are_the_exact_optimum_of_the_float64_columns_rounded_once(name):
    features, target, _, _ = read(name)
    best, _, _ = fit(name)
    exact = solve_exactly(features, target, intercept=best.intercept)
    assert coefficients_and_errors(best)[0].tolist() == exact.rounded()
    assert best.residual_sum_of_squares[0] == float(exact.residual_sum_of_squares)


def test_filip_has_13_digits_of_the_exact_optimum_of_its_rounded_powers():
    features, target, certified, _ = read("Filip")
    best, _, _ = fit("Filip")
    exact = np.array(solve_exactly(features, target).rounded())
    assert fewest_digits(coefficients_and_errors(best)[0], exact) >= 13
    # No solver can do better: this is how far the exact optimum itself is from the certified one.
    assert 7.5 < fewest_digits(exact, certified[:, 0]) < 8


@pytest.mark.parametrize(("name", "noise"), [("Wampler3", 1), ("Wampler5", 10_000)])
def test_wampler_3_and_5_are_wampler_4_with_other_amounts_of_noise(name, noise):
    features, quiet, _, _ = read("Wampler1")
    _, noisy, certified, _ = read("Wampler4")
    best = optimum(InMemory(features, quiet + (noisy - quiet) / 100 * noise))
    coefficients, errors = coefficients_and_errors(best)
    assert fewest_digits(coefficients, np.ones(6)) >= 13
    assert fewest_digits(errors, certified[:, 1] / 100 * noise) >= 13.5


def test_wampler_2_has_powers_of_a_tenth_as_coefficients():
    features, _, _, _ = read("Wampler1")
    tenths = 0.1 ** np.arange(6)
    target = [round(sum(tenth * x**k for k, tenth in enumerate(tenths)), 5) for x in features[:, 0]]
    coefficients, errors = coefficients_and_errors(optimum(InMemory(features, target)))
    assert fewest_digits(coefficients, tenths) >= 12  # the target's decimals are rounded
    assert errors.max() < 1e-14


def test_noint2_is_56_over_77():
    best = optimum(InMemory([[4.0], [5.0], [6.0]], [3.0, 4.0, 4.0]), intercept=False)
    coefficients, errors = coefficients_and_errors(best)
    assert fewest_digits(coefficients, 0.727272727272727) >= 14
    assert fewest_digits(errors, 0.0420827318078432) >= 14
