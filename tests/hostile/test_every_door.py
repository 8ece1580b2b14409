"""Each case of the corpus at every door that reads it: its reason in one line, and status 3."""

import json
import re
from pathlib import Path

import pytest
from hostile import corpus

import linexport
from linexport.errors import LinexportError

LONGEST = 400
"""Characters of a message, without the path."""


@pytest.fixture(scope="module")
def model_files(tmp_path_factory, textbook):
    return list(corpus.model_files(tmp_path_factory.mktemp("files"), textbook))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory, textbook):
    return list(corpus.bundles(tmp_path_factory.mktemp("bundles"), textbook))


@pytest.fixture(scope="module")
def model_bundles(tmp_path_factory, textbook):
    return list(corpus.model_bundles(tmp_path_factory.mktemp("artifacts"), textbook))


@pytest.fixture(scope="module")
def graph_bundles(tmp_path_factory, textbook):
    return list(corpus.graph_bundles(tmp_path_factory.mktemp("graphs"), textbook))


@pytest.fixture(scope="module")
def forged_bundles(tmp_path_factory, textbook):
    return list(corpus.forged_bundles(tmp_path_factory.mktemp("forged"), textbook))


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return list(corpus.tables(tmp_path_factory.mktemp("tables")))


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    path.write_text("x1,x2,y\n1,2,3\n2,1,4\n3,5,1\n0,1,1\n")
    return path


@pytest.fixture
def assert_refused(run):
    def check(case, *arguments):
        outcome = run(*arguments)
        said = f"{arguments[0]} {case.path.name}: {outcome}"
        assert outcome.status == 3, said
        assert outcome.errors.startswith(f"error: {case.path}"), said
        assert outcome.errors.count("\n") == 1, said
        assert len(outcome.errors) - len(str(case.path)) < LONGEST, said
        assert re.search(case.reason, outcome.errors), said
        assert not re.search(r"Traceback|\x1b", outcome.errors), said

    return check


def test_files_that_are_no_model(model_files, assert_refused, tmp_path):
    for case in model_files:
        output = tmp_path / "bundle"
        assert_refused(case, "export", case.path, "--output", output)
        assert not output.exists()
        with pytest.raises(LinexportError, match=case.reason):
            linexport.read_model(case.path)


def test_onnx_files_at_the_doors_that_look_without_a_model(model_files, textbook, assert_refused):
    cases = [case for case in model_files if case.path.suffix == ".onnx"]
    assert len(cases) > 2
    for case in cases:
        assert_refused(case, "inspect", case.path)
        assert_refused(case, "verify", case.path, "--reference", textbook)


def test_bundles_at_every_door(bundles, rows, assert_refused, tmp_path):
    for case in bundles:
        outputs = {name: tmp_path / f"out{name}" for name in ("", ".csv", ".html")}
        assert_refused(case, "inspect", case.path)
        assert_refused(case, "verify", case.path)
        assert_refused(case, "report", case.path, "--output", outputs[".html"])
        assert_refused(case, "export", case.path, "--output", outputs[""])
        assert_refused(case, "predict", case.path, rows, "--output", outputs[".csv"])
        assert_refused(case, "serve", case.path, "--port", 0)
        assert not any(path.exists() for path in outputs.values())
        with pytest.raises(LinexportError, match=case.reason):
            linexport.load(case.path)


def test_bundles_that_are_whole_around_an_artifact_that_is_none(
    model_bundles, rows, assert_refused, tmp_path
):
    for case in model_bundles:
        shown = case._replace(reason=r"parity\.json is not")
        assert_refused(shown, "inspect", case.path)
        assert_refused(shown, "report", case.path, "--output", tmp_path / "page.html")
        if case.path.name.startswith("onnx"):
            assert_refused(case, "verify", case.path)
            assert_refused(case, "predict", case.path, rows, "--output", tmp_path / "y.csv")
            assert_refused(shown, "serve", case.path, "--port", 0)
    assert list(tmp_path.iterdir()) == []


def test_graphs_and_forged_proofs_at_every_door_that_opens_what_is_proven(
    graph_bundles, forged_bundles, rows, assert_refused, tmp_path
):
    for case in [*graph_bundles, *forged_bundles]:
        assert_refused(case, "verify", case.path)
        assert_refused(case, "predict", case.path, rows, "--output", tmp_path / "y.csv")
        assert_refused(case, "evaluate", case.path, rows)
        assert_refused(case, "serve", case.path, "--port", 0)
        with pytest.raises(LinexportError, match=case.reason):
            linexport.load(case.path)
    assert list(tmp_path.iterdir()) == []


def test_what_only_verify_asks_of_a_forged_bundle(textbook, assert_refused, tmp_path):
    for case in corpus.told_bundles(tmp_path, textbook):
        assert_refused(case, "verify", case.path)


def test_states_that_are_holes(assert_refused, tmp_path):
    for case in corpus.states(tmp_path):
        assert_refused(case, "fit", case.path, "--output", tmp_path / "bundle")


def test_tables_at_every_door(tables, textbook, assert_refused, tmp_path):
    bundle, table, state = (tmp_path / name for name in ("bundle", "y.csv", "a.state"))
    for case in tables:
        assert_refused(case, "describe", case.path)
        assert_refused(case, "predict", textbook, case.path, "--output", table)
        assert_refused(
            case, "train-and-export", "--data", case.path, "--target", "y", "--output", bundle
        )
        assert_refused(case, "state", case.path, "--target", "y", "--output", state)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell")
def test_none_of_them_takes_the_memory_that_it_asks_for(
    bundles, model_files, tables, graph_bundles, forged_bundles, rows, fresh_python
):
    """Together less than any of them asks for: 2 GiB of holes, or 1 GB and more once parsed."""
    paths = [str(case.path) for case in (*bundles, *model_files, *tables)]
    graphs = [str(case.path) for case in (*graph_bundles, *forged_bundles)]
    printed = fresh_python(f"""
import contextlib, io, re
from pathlib import Path
from linexport.cli import main
def call(*arguments):
    with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):
        with contextlib.redirect_stdout(io.StringIO()):
            main(arguments)
for path in {json.dumps(paths)}:
    call("inspect", path), call("describe", path), call("export", path, "-o", path + "-out")
for path in {json.dumps(graphs)}:
    call("verify", path), call("predict", path, {json.dumps(str(rows))}, "-o", path + ".csv")
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
""")
    assert int(printed) < 2**19  # KiB; the packages themselves take half of these
