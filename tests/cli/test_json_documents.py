"""What `--json` prints is what docs/schemas says, of results and of errors."""

import json

import click
import pytest
from json_schemas import FOLDER, schemas
from jsonschema import Draft202012Validator

from linexport.cli._main import COMMANDS, linexport


def closed(schema):
    """The schema with nothing allowed but what it names, so that a field that it lacks is told."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {"additionalProperties": False} if "properties" in schema else {}
    return {name: closed(value) for name, value in schema.items()} | strict


def check(name, text):
    schema = json.loads((FOLDER / f"{name}.json").read_text())
    document = json.loads(text)
    Draft202012Validator(closed(schema)).validate(document)
    return document


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "rows.csv"
    rows = [(f"{a},{a * a % 7}", 3 * a + a % 3) for a in range(1, 20)]
    path.write_text("a,b,y\n" + "".join(f"{x},{y}\n" for x, y in rows))
    return path


def test_the_schemas_are_those_of_todays_types():
    """`python tests/json_schemas.py` writes them."""
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == schemas()


def test_each_result_is_what_its_schema_says(run, tmp_path, table):
    bundle = tmp_path / "bundle"
    train = ("train-and-export", "--data", table, "--target", "y", "--json", "-o")
    fitted = check("train-and-export", run(*train, bundle, "--test-fraction", 0.3).output)
    assert fitted["statistics"]["targets"]["y"]["features"].keys() == {"a", "b"}
    check("inspect-bundle", run("inspect", "--json", bundle).output)
    check("inspect-onnx", run("inspect", "--json", bundle / "model.onnx").output)
    check("verify", run("verify", "--json", bundle).output)
    check("evaluate", run("evaluate", "--json", bundle, table).output)
    state = ("state", table, "--target", "y", "--json", "-o", tmp_path / "a.state")
    check("state", run(*state).output)
    fit = ("fit", tmp_path / "a.state", "--json", "-o", tmp_path / "fitted")
    check("train-and-export", run(*fit).output)
    check("describe", run("describe", "--json", table).output)
    check("train-and-export", run("export", "--json", bundle, "-o", tmp_path / "again").output)
    predict = ("predict", bundle, table, "--json", "-o")
    check("predict", run(*predict, tmp_path / "predicted.csv").output)
    parts = check("predict", run(*predict, f"{tmp_path / 'parts'}/").output)["parts"]
    assert [part["done_before"] for part in parts] == [False]


def test_the_losses_of_sgd_are_in_the_document(run, tmp_path):
    outcome = run("train-and-export", "--json", "--epochs", 5, "-o", tmp_path / "bundle")
    losses = check("train-and-export", outcome.output)["losses"]
    assert len(losses) == 5
    assert all(0 < loss < 1 for loss in losses)


def test_a_negative_verdict_is_a_result(run, tmp_path, table):
    far = tmp_path / "far.csv"
    far.write_text("a,y\n" + "".join(f"{2**26 + a},{a * a}\n" for a in range(20)))
    outcome = run(
        "train-and-export", "--data", far, "--target", "y", "--json", "--dtype", "float32",
        "--accumulate", "float32", "--form", "folded", "-o", tmp_path / "bundle",
    )  # fmt: skip
    document = check("train-and-export", outcome.output)
    assert (outcome.status, document["verdict"], document["bundle"]) == (1, "too coarse", None)


@pytest.mark.parametrize(
    ("arguments", "kind", "status"),
    [
        (["verify", "nothing"], "BundleError", 3),
        (["verify"], "UsageError", 2),
        (["verify", "nothing", "--probe-rows", "0"], "UsageError", 2),
        (["train-and-export", "--target", "y"], "ConfigError", 2),
        (["predict", "nothing", "no.csv", "-o", "out.csv"], "DataError", 3),
        (["verfy", "nothing"], "UsageError", 2),
    ],
)
def test_an_error_is_a_document_with_its_kind_and_status(run, arguments, kind, status):
    outcome = run(*arguments, "--json")
    error = check("error", outcome.output)["error"]
    assert (error["kind"], error["exit_status"], outcome.status) == (kind, status, status)
    assert error["message"] in outcome.errors


def test_an_error_in_a_table_says_where(run, tmp_path):
    path = tmp_path / "broken.csv"
    path.write_text("a,b,y\n1,2,3\n2,x,4\n4,1,6\n5,5,5\n")
    arguments = ("train-and-export", "--data", path, "--target", "y", "-o", tmp_path / "bundle")
    error = check("error", run(*arguments, "--json").output)["error"]
    assert error["kind"] == "DataError"
    assert (error["source"], error["column"], error["row"]) == (str(path), "b", 2)
    assert run(*arguments).output == ""


@pytest.mark.parametrize("error", [RuntimeError("no way"), KeyboardInterrupt(), MemoryError()])
def test_whatever_ends_a_command_is_a_document(run, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("click.Group.invoke", fail)
    outcome = run("inspect", "anything", "--json")
    assert check("error", outcome.output)["error"]["exit_status"] == outcome.status


def test_every_command_that_prints_a_document_has_a_schema():
    group = click.Context(linexport)
    commands = {name: linexport.get_command(group, name) for name in COMMANDS}
    printing = {
        name
        for name, command in commands.items()
        if any("--json" in each.opts for each in command.get_params(click.Context(command)))
    }
    held = {name.removesuffix(".json") for name in schemas()}
    assert held == (printing - {"export", "fit", "inspect"}) | {
        "inspect-bundle",
        "inspect-onnx",
        "error",
    }
