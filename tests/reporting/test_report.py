"""report.html, in a real browser where one is installed."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import linexport

HOMES = """kind,area,floor,built,price
flat,54,2,1960-01-01,171
house,118,,1999-05-01,402
flat,39,1,1970-02-03,128
house,96,0,2001-01-01,345
studio,28,4,1985-06-01,103
flat,72,?,2010-10-10,226
house,140,0,2020-01-01,455
studio,31,2,1990-01-01,104
flat,83,1,1950-01-01,268
studio,25,5,2015-03-01,95
"""


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """A bundle with a category, a fill, a date and units; and its table."""
    directory = tmp_path_factory.mktemp("homes")
    table = directory / "homes.csv"
    table.write_text(HOMES)
    rows = linexport.read_data(
        table,
        targets="price",
        categorical="kind",
        missing={"floor": "median"},
        missing_indicator=True,
        date={"built": "days-since:2000-01-01"},
        units={"area": "m2", "price": "kEUR"},
    )
    linexport.train_and_export(rows, directory / "bundle")
    return directory / "bundle", table


@pytest.fixture(scope="module")
def flats(tmp_path_factory):
    """A bundle of SGD with rows kept out of training; and its table."""
    directory = tmp_path_factory.mktemp("flats")
    rng = np.random.default_rng(5)
    values = rng.normal(size=(3000, 2))
    target = values @ [2.0, -3.4] + 4.2 + rng.normal(scale=0.3, size=3000)
    table = directory / "flats.parquet"
    pl.DataFrame({"x1": values[:, 0], "<x2> & $y$": values[:, 1], "y": target}).write_parquet(table)
    rows = linexport.read_data(table, targets="y")
    linexport.train_and_export(
        rows, directory / "bundle", solver=linexport.SGDConfig(epochs=3), test_fraction=0.25, seed=7
    )
    return directory / "bundle", table


@pytest.fixture
def browser():
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


def shown(browser, page: Path, **options):
    """Open a page, and fail on whatever it says to the console or asks of the network."""
    tab = browser.new_page(**options)
    complaints = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: complaints.append(request.url))
    tab.goto(page.resolve().as_uri())
    assert complaints == [page.resolve().as_uri()]
    return tab


def test_the_page_has_every_figure_and_is_small(flats, tmp_path):
    bundle, table = flats
    page = linexport.report(bundle, tmp_path / "report.html", data=table)
    text = page.read_text()
    titles = re.findall(r"<figcaption><b>([^<]*)</b>", text)
    assert titles == [
        "Training",
        "Predicted against actual",
        "Residuals against predictions",
        "Normal quantiles of the residuals",
        "Leverage",
        "The proof",
        "The error budget",
    ]
    assert len(text) < 500_000
    assert "1000 of the rows, drawn at random" in text


@pytest.mark.parametrize(("intercept", "guess"), [(True, "the mean"), (False, "0")])
def test_the_error_is_held_against_a_guess_that_the_model_could_make(tmp_path, intercept, guess):
    truth = np.array([9.0, 10.0, 11.0, 12.5])
    config = linexport.LeastSquaresConfig(intercept=intercept)
    fit = linexport.train(np.array([[1.0], [2.0], [3.0], [4.0]]), truth, solver=config)
    linexport.export(fit, tmp_path / "bundle")
    off = np.sqrt(np.mean((truth - (truth.mean() if intercept else 0)) ** 2))
    page = linexport.report(tmp_path / "bundle", tmp_path / "report.html").read_text()
    assert f"Always guessing {guess} would be off by {off:.3g}." in page


def test_test_rows_are_told_apart_by_the_recorded_split(flats, tmp_path):
    bundle, table = flats
    manifest = linexport.read_bundle(bundle).manifest
    text = linexport.report(bundle, tmp_path / "report.html", data=table).read_text()
    for part in ("training", "test"):
        rmse = manifest.record.metrics[part]["y"].rmse
        (said,) = re.findall(rf"RMSE ([\d.]+) for y, {part}", text)
        assert float(said) == pytest.approx(rmse, rel=1e-4)  # of float32 predictions


def test_another_table_is_one_part(flats, tmp_path):
    bundle, table = flats
    fewer = pl.read_parquet(table).head(100)
    text = linexport.report(bundle, tmp_path / "report.html", data=fewer).read_text()
    assert ", data." in text
    assert "training;" not in text


def test_leverage_is_the_diagonal_of_the_hat_matrix(homes):
    from linexport.pipeline._report import _Kept

    features = np.random.default_rng(2).normal(1e6, 1, size=(50, 3))
    truth = features @ np.ones((3, 1))
    kept = _Kept(3, 50, linexport.read_bundle(homes[0]).manifest.record)
    for rows in np.split(np.arange(50), [7, 30]):
        kept.add(features[rows], truth[rows], truth[rows])
    design = np.column_stack([np.ones(50), features - features.mean(axis=0)])
    hat = design @ np.linalg.inv(design.T @ design) @ design.T
    np.testing.assert_allclose(kept.leverage(), np.diag(hat), rtol=1e-6)


def test_names_cannot_leave_their_place(flats, tmp_path, browser):
    bundle, table = flats
    tab = shown(browser, linexport.report(bundle, tmp_path / "report.html", data=table))
    assert tab.locator("label", has_text="<x2> & $y$").count() == 1


@pytest.mark.parametrize("width", [1100, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_is_readable(homes, tmp_path, browser, scheme, width):
    bundle, table = homes
    page = linexport.report(bundle, tmp_path / "report.html", data=table)
    tab = shown(browser, page, color_scheme=scheme, viewport={"width": width, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.locator("figure svg").count() == tab.locator("svg[aria-label]").count() == 7
    colours = tab.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    ink, paper = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours)
    assert (ink > paper) == (scheme == "dark")


def test_sliders_agree_with_onnxruntime(homes, tmp_path, browser):
    bundle, _ = homes
    tab = shown(browser, linexport.report(bundle, tmp_path / "report.html"))
    found = linexport.read_bundle(bundle)
    predictor = linexport.load(bundle)
    boxes = {name: tab.get_by_label(name, exact=True) for name in ("area [m2]", "floor", "kind")}
    days = tab.get_by_label("built [days since 2000-01-01]", exact=True)
    for kind, area, floor, built in [
        ("house", 100.25, 1.0, 365.0),
        ("studio", 3e4, None, -20000.0),
        ("flat", -7.125, 40.0, 0.5),
    ]:
        boxes["kind"].select_option(kind)
        boxes["area [m2]"].fill(str(area))
        boxes["floor"].fill("" if floor is None else str(floor))
        days.fill(str(built))
        got = float(tab.locator("output").get_attribute("data-value"))
        fill = found.manifest.encoding.columns[2].fill
        row = {
            "kind[house]": kind == "house",
            "kind[studio]": kind == "studio",
            "area": area,
            "floor": fill if floor is None else floor,
            "floor[missing]": floor is None,
            "built": built,
        }
        features = np.array([[float(row[name]) for name in predictor.feature_names]], np.float32)
        (expected,) = predictor.predict(features)[0]
        size = np.abs(found.model.weight) @ np.abs(features[0]) + np.abs(found.model.bias)
        # Both are within gamma(D + 1) of the exact value, the script's far within.
        bound = 1.01 * (len(row) + 2) * 2.0**-24 * size[0]
        assert abs(got - expected) <= bound


def test_a_value_outside_the_training_range_is_marked(homes, tmp_path, browser):
    bundle, _ = homes
    tab = shown(browser, linexport.report(bundle, tmp_path / "report.html"))
    box = tab.get_by_label("area [m2]", exact=True)
    assert tab.locator(".outside").count() == 0
    box.fill("1000")
    assert "outside the training range, 25 to 140" in tab.locator(".outside").inner_text()
    tab.get_by_role("button", name="Back to the beginning").click()
    assert tab.locator(".outside").count() == 0
    slider = tab.get_by_label("area, slider")
    slider.focus()
    slider.press("End")
    assert tab.locator(".outside").count() == 1


def test_the_numbers_on_the_page_are_the_models(homes, tmp_path):
    bundle, _ = homes
    text = linexport.report(bundle, tmp_path / "report.html").read_text()
    (found,) = re.findall(r'<script type="application/json" id="model">(.*?)</script>', text)
    model = linexport.read_bundle(bundle).model
    assert json.loads(found)["targets"][0]["weight"] == model.weight[0].tolist()


def test_what_is_no_bundle_is_refused(tmp_path):
    path = tmp_path / "model.json"
    path.write_text("{}")
    with pytest.raises(linexport.LinexportError):
        linexport.report(path, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_intervals_agree_with_those_of_python(homes, tmp_path, browser):
    bundle, _ = homes
    tab = shown(browser, linexport.report(bundle, tmp_path / "report.html"))
    predictor = linexport.load(bundle)
    output = tab.locator("output")
    for kind, area in (("house", 100.25), ("studio", 30.0)):
        tab.get_by_label("kind", exact=True).select_option(kind)
        tab.get_by_label("area [m2]", exact=True).fill(str(area))
        tab.get_by_label("floor", exact=True).fill("1")
        tab.get_by_label("built [days since 2000-01-01]", exact=True).fill("366")
        row = pl.DataFrame({"kind": kind, "area": area, "floor": 1.0, "built": "2001-01-01"})
        expected = predictor.predict_interval(row, level=0.95)
        for end in ("lower", "upper"):
            got = float(output.get_attribute(f"data-{end}"))
            # Ends are rounded to float32 there; the page computes in float64.
            assert got == pytest.approx(float(getattr(expected, end)[0, 0]), rel=1e-5, abs=1e-3)
        assert "95 % of such rows lie between" in output.inner_text()


def test_a_page_without_intervals_says_none(flats, tmp_path, browser):
    tab = shown(browser, linexport.report(flats[0], tmp_path / "report.html"))
    assert tab.locator("output").get_attribute("data-lower") is None


def test_training_writes_the_page_that_report_would(homes, tmp_path, capsys):
    from linexport.cli import main

    (tmp_path / "t.csv").write_text("x,y\n1,2\n2,4.5\n3,6\n4,8.5\n5,9\n")
    page, bundle = tmp_path / "page.html", tmp_path / "b"
    with pytest.raises(SystemExit) as status:
        main(
            ["train-and-export", "--data", str(tmp_path / "t.csv"), "--target", "y",
             "--format", "onnx", "-o", str(bundle), "--report", str(page)]
        )  # fmt: skip
    assert not status.value.code
    assert capsys.readouterr().out.endswith(f"Report: {page}\n")
    again = linexport.report(bundle, tmp_path / "again.html", data=tmp_path / "t.csv")
    assert page.read_text() == again.read_text()
    assert "Predicted against actual" in page.read_text()
