"""Values print what the terminal prints, and are tables in a notebook; results predict and plot."""

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from sklearn.metrics import r2_score

import linexport
from linexport.cli import main

ONNX = linexport.ExportConfig(formats=("onnx",))
NAME = "<b>area</b>"


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(4)
    x = rng.normal([70, 10], size=(50, 2))
    y = x @ [3.0, -0.5] + 7 + rng.normal(scale=0.3, size=50)
    return pl.DataFrame({NAME: x[:, 0], "age": x[:, 1], "price": y})


@pytest.fixture(scope="module")
def fit(table):
    return linexport.train(table, "price", test=0.2)


@pytest.fixture(scope="module")
def exported(fit, tmp_path_factory):
    return linexport.export(fit, tmp_path_factory.mktemp("shown") / "bundle", config=ONNX)


@pytest.fixture
def printed(capsys):
    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit) as exit_request:
            main([str(each) for each in arguments])
        assert not exit_request.value.code
        return capsys.readouterr().out.rstrip("\n")

    return run


def test_a_result_prints_what_the_terminal_does(table, tmp_path, printed):
    table.write_csv(tmp_path / "t.csv")
    options = ["--data", tmp_path / "t.csv", "--target", "price", "--format", "onnx"]
    for verbose in ([], ["--verbose"]):
        said = printed("train-and-export", *options, "-o", tmp_path / "b", "--overwrite", *verbose)
        rows = linexport.read_data(tmp_path / "t.csv", targets="price", stream=True)
        exported = linexport.train_and_export(rows, tmp_path / "b", config=ONNX, overwrite=True)
        assert str(exported.summary() if verbose else exported) == said
    assert str(linexport.inspect(exported)) == printed("inspect", tmp_path / "b")
    assert str(linexport.verify(exported)) == printed("verify", tmp_path / "b")
    evaluation = linexport.evaluate(exported, tmp_path / "t.csv")
    assert str(evaluation) == printed("evaluate", tmp_path / "b", tmp_path / "t.csv")
    assert str(linexport.describe(tmp_path / "t.csv")) == printed("describe", tmp_path / "t.csv")
    onnx = tmp_path / "b" / "model.onnx"
    assert str(linexport.inspect(onnx)) == printed("inspect", onnx)


def test_what_has_no_command_prints_too(fit, exported):
    assert "Coefficients of 'price'" in str(fit)
    assert "age" in str(exported.model)
    assert "Predicts 'price' from" in str(linexport.load(exported))
    assert str(linexport.read_bundle(exported)) == str(linexport.inspect(exported))


def test_reprs_are_a_line(exported):
    values = [
        exported, exported.certificate, exported.model, linexport.load(exported),
        linexport.read_bundle(exported), linexport.inspect(exported),
    ]  # fmt: skip
    for value in values:
        assert "\n" not in repr(value)
        assert len(repr(value)) < 200 + len(str(exported.path))


def test_notebooks_get_tables_that_escape_names(fit, exported):
    values = [
        fit, exported, exported.model, exported.certificate, linexport.load(exported),
        linexport.inspect(exported), exported.summary(), fit.summary(),
    ]  # fmt: skip
    for value in values:
        html = value._repr_html_()
        assert "<table>" in html
        assert NAME not in html
        assert "http" not in html
    assert "&lt;b&gt;area&lt;/b&gt;" in fit._repr_html_()


def test_results_predict_and_score(table, fit, exported):
    features = table.drop("price").to_numpy()
    exact = features @ fit.model.weight.T + fit.model.bias
    if fit.model.mean is not None:
        exact = exact - fit.model.mean @ fit.model.weight.T
    np.testing.assert_allclose(fit.predict(table), exact, rtol=1e-12)
    assert fit.predict(features).dtype == np.float64
    bundled = linexport.load(exported).predict(table)
    assert exported.predict(table).tobytes() == bundled.tobytes()
    expected = r2_score(table["price"], exact)
    for score in (fit.score(table), fit.score(table, "price"), fit.score(features, table["price"])):
        assert score == pytest.approx(expected, rel=1e-10)
    with pytest.raises(linexport.DataError, match=r"target must have shape \(50, 1\)"):
        fit.score(features, table["price"][:7])
    with pytest.raises(linexport.DataError, match="does not vary"):
        fit.score(features, np.ones(50))
    with pytest.raises(linexport.DataError, match="no column"):
        fit.predict(table.drop("age"))


def test_losses_are_those_of_the_fit(table, tmp_path):
    fit = linexport.train(table, "price", solver=linexport.SGDConfig(epochs=3))
    assert linexport.export(fit, tmp_path / "b", config=ONNX).losses == fit.losses
    assert len(fit.losses) == 3


def test_results_are_drawn_in_the_style_in_use(table, fit, exported):
    mpl.use("agg")
    with mpl.rc_context({"axes.prop_cycle": mpl.cycler(color=["red", "lime", "blue", "gold"])}):
        drawn = exported.plot(table)
        titles = [axes.get_title() for axes in drawn]
        assert {"What each feature does", "Predicted against actual", "The proof"} <= set(titles)
        assert "The error budget" in titles
        axes = drawn[titles.index("Residuals against predictions")]
        assert [line.get_color() for line in axes.lines[:2]] == ["C0", "C1"]
        axes.get_legend().remove()
        whole = drawn[0].get_figure(root=True)
        whole.canvas.draw()
        left, top, right, bottom = axes.get_window_extent().extents.astype(int)
    pixels = np.asarray(whole.canvas.buffer_rgba())[::-1][top:bottom, left:right, :3]
    for colour in ([255, 0, 0], [0, 255, 0]):
        assert (pixels == colour).all(axis=-1).sum() > 50  # ten points, at least
    assert [axes.get_title() for axes in fit.plot()] == ["What each feature does"]
    mpl.pyplot.close("all")


def test_a_summary_has_the_warnings_and_the_encoding():
    random = np.random.default_rng(0)
    x = random.normal(size=12)
    table = pl.DataFrame({"x": x, "kind": ["a", "b", "c"] * 4, "counted": range(12)})
    table = table.with_columns(y=x + random.normal(size=12))
    fit = linexport.train(linexport.read_data(table, targets="y", categorical="kind"))
    assert len(fit.warnings) == 1
    summary = str(fit.summary())
    assert summary.endswith(f"\nwarning: {fit.warnings[0]}")
    assert "Encoding of the table's columns" in summary
