"""Messages ask for arguments in Python and for options on the command line: both are real."""

import ast
import inspect
from pathlib import Path

import click
import pytest

import linexport
from linexport._asked import HOLDERS, asked, asked_of_command, asking_for_options
from linexport.cli._main import COMMANDS, linexport as group

PACKAGE = Path(linexport.__file__).parent


@pytest.mark.parametrize(
    ("values", "argument", "option"),
    [
        ({"targets": ...}, "targets=...", "--target"),
        ({"missing": "drop"}, "missing='drop'", "--missing drop"),
        ({"trust": True}, "trust=True", "--trust"),
        ({"exclude": ["Listed On", "a"]}, "exclude=['Listed On', 'a']", "--exclude 'Listed On,a'"),
        (
            {"exclude": ["a,b", "c"]},
            "exclude=['a,b', 'c']",
            "--exclude c --exclude a,b",
        ),
        ({"decimal": ","}, "dialect=Dialect(decimal=',')", "--decimal ','"),
        ({"thousands": "'"}, 'dialect=Dialect(thousands="\'")', '--thousands "\'"'),
        (
            {"skip_rows": 2, "delimiter": "whitespace"},
            "dialect=Dialect(skip_rows=2, delimiter='whitespace')",
            "--skip-rows 2 --delimiter whitespace",
        ),
        ({"header": False}, "dialect=Dialect(header=False)", "--no-header"),
        (
            {"solver": "lstsq", "l2": 1},
            "solver=LeastSquaresConfig(l2=1)",
            "--solver lstsq --l2 1",
        ),
        ({"solver": "lstsq"}, "solver='lstsq'", "--solver lstsq"),
        ({"formats": ["onnx"]}, "config=ExportConfig(formats=['onnx'])", "--format onnx"),
    ],
)
def test_what_is_asked_for(values, argument, option):
    assert asked(**values) == argument
    with asking_for_options():
        assert asked(**values) == option
    assert asked(**values) == argument


def test_a_command_is_a_function_in_python():
    assert asked_of_command("describe", "a b.csv") == "linexport.describe('a b.csv')"
    with asking_for_options():
        assert asked_of_command("describe", "a b.csv") == "linexport describe 'a b.csv'"
    of_two = "predict", "b", "t.csv"
    assert (
        asked_of_command(*of_two, output="-") == "linexport.predict_table('b', 't.csv', output='-')"
    )
    with asking_for_options():
        assert asked_of_command(*of_two, output="-") == "linexport predict b t.csv --output '-'"


def refusal(path: Path) -> str:
    with pytest.raises(linexport.DataError) as refused:
        linexport.read_data(path, targets="y")
    return str(refused.value)


def test_a_message_is_in_the_words_of_its_reader(tmp_path):
    path = tmp_path / "flats.csv"
    path.write_text("a;b;y\n1,5;red;2\n2,5;blue;3\n3,5;red;3\n4,5;blue;5\n")
    told = refusal(path)
    assert "dialect=Dialect(decimal=',')" in told
    assert "categorical=['b']" in told
    assert f"linexport.describe('{path}')" in told
    assert "--" not in told
    with asking_for_options():
        told = refusal(path)
    assert "--decimal ','" in told
    assert "--categorical b" in told
    assert f"linexport describe {path}" in told
    assert "=[" not in told


def asked_for() -> set[str]:
    """Return the arguments that messages of the package ask for."""
    calls = [
        node
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "asked"
    ]
    return {keyword.arg for call in calls for keyword in call.keywords if keyword.arg}


def parameters() -> set[str]:
    """Return the arguments of the public functions and classes."""
    public = [getattr(linexport, name) for name in linexport.__all__]
    return {
        name
        for each in public
        if callable(each) and not (isinstance(each, type) and issubclass(each, Exception))
        for name in inspect.signature(each).parameters
    }


def flags() -> set[str]:
    """Return the options of all commands."""
    context = click.Context(group)
    commands = [group.get_command(context, name) for name in COMMANDS]
    return {
        flag
        for command in commands
        for parameter in command.get_params(context)
        for flag in (*parameter.opts, *parameter.secondary_opts)
    }


def test_each_argument_and_option_is_there():
    names = asked_for()
    assert len(names) > 20
    assert names | {name for held in HOLDERS.values() for name in held} <= parameters()
    with asking_for_options():
        asked_flags = {asked(**{name: ...}) for name in names}
    assert asked_flags <= flags()


@pytest.mark.parametrize("holder", HOLDERS)
def test_each_settings_class_holds_what_it_is_said_to(holder):
    argument, _, name = holder.partition("=")
    assert set(HOLDERS[holder]) <= set(inspect.signature(getattr(linexport, name)).parameters)
    assert argument in parameters()


def test_no_message_names_an_option_by_itself():
    """But for what --help shows, which states options, and for commands to be run as they are."""
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "cli" and path.name != "_asked.py"
        for node in messages(ast.parse(path.read_text()))
        if " --" in f" {node.value}"
        and not node.value.startswith("--")
        and "`linexport " not in node.value
    ]
    assert not found


def messages(tree: ast.AST):
    """Yield the texts of a module that are no docstrings."""
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documented
        ):
            yield node
