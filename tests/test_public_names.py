"""One door: what users import."""

import ast
import inspect
import pydoc
import sys
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import linexport

PUBLIC = {name: getattr(linexport, name) for name in linexport.__all__}
CLASSES = [value for value in PUBLIC.values() if inspect.isclass(value)]
FUNCTIONS = [value for value in PUBLIC.values() if inspect.isfunction(value)]


def names_for_type_checkers(module: str) -> dict[str, Any]:
    """What a module imports for annotations alone."""
    tree = ast.parse(Path(sys.modules[module].__file__).read_text())
    imports = [
        line
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for line in block.body
    ]
    names: dict[str, Any] = {}
    exec("\n".join(map(ast.unparse, imports)), names)
    return names


def hints_of(value: Any) -> dict[str, Any]:
    hints = get_type_hints(value, localns=names_for_type_checkers(value.__module__))
    return {name: hint for name, hint in hints.items() if not name.startswith("_")}


def ours_in(hint: Any) -> set[type]:
    """Classes of ours that a type is made of."""
    if inspect.isclass(hint) and hint.__module__.startswith("linexport."):
        return {hint}
    return {found for part in get_args(hint) for found in ours_in(part)}


def annotated(value: Any) -> list[Any]:
    """A function; or a class and all that it offers."""
    if inspect.isfunction(value):
        return [value]
    members = [
        member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        for name, member in vars(value).items()
        if not name.startswith("_")
    ]
    return [value, *filter(inspect.isfunction, members)]


def test_public_names_are_sorted_and_importable():
    assert linexport.__all__ == sorted(linexport.__all__)
    assert all(hasattr(linexport, name) for name in linexport.__all__)
    assert dir(linexport) == linexport.__all__


def test_a_name_that_does_not_exist_is_an_attribute_error():
    assert not hasattr(linexport, "no_such_name")


def test_importing_linexport_imports_nothing_heavy(fresh_python):
    code = "import sys, linexport; print({'numpy', 'torch', 'onnx', 'click'} & set(sys.modules))"
    assert fresh_python(code) == "set()"


def test_the_version_is_that_of_the_package():
    assert linexport.__version__ == version("linexport")


@pytest.mark.parametrize("value", [*CLASSES, *FUNCTIONS], ids=lambda value: value.__name__)
def test_what_a_public_name_speaks_of_is_public_too(value):
    for each in annotated(value):
        spoken = {found for hint in hints_of(each).values() for found in ours_in(hint)}
        missing = {found.__name__ for found in spoken} - PUBLIC.keys()
        assert not missing, f"{each.__qualname__} speaks of {missing}"


@pytest.mark.parametrize("value", [*CLASSES, *FUNCTIONS], ids=lambda value: value.__name__)
def test_every_public_name_says_what_it_is(value):
    for each in annotated(value):
        assert inspect.getdoc(each), f"{each.__qualname__} has no docstring"
        assert not each.__doc__.startswith(f"{each.__name__}("), "dataclasses write these"


@pytest.mark.parametrize("value", CLASSES, ids=lambda value: value.__name__)
def test_help_of_a_class_shows_its_fields(value):
    shown = pydoc.plain(pydoc.render_doc(value))
    names = [field.name for field in fields(value)] if is_dataclass(value) else ()
    for name in getattr(value, "__struct_fields__", names):
        assert name.startswith("_") or f"      {name}: " in shown


def test_help_shows_every_public_name_with_its_summary():
    text = pydoc.plain(pydoc.render_doc(linexport))
    for name, value in PUBLIC.items():
        assert name in text or name == "__version__"
        if value in (*CLASSES, *FUNCTIONS):
            assert inspect.getdoc(value).splitlines()[0] in text
