"""SECURITY.md: every promise names a test, and every test that it names exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text()
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def functions(path: Path) -> set[str]:
    return {
        each.name
        for each in ast.walk(ast.parse(path.read_text()))
        if isinstance(each, ast.FunctionDef)
    }


def test_every_test_that_it_names_exists():
    named = TEST.findall(TEXT)
    assert len(named) > 20
    assert [f"{path}::{name}" for path, name in named if name not in functions(ROOT / path)] == []


def test_every_promise_names_a_test():
    (table,) = re.findall(r"^\| promise \|.*?(?=\n\n)", TEXT, re.DOTALL | re.MULTILINE)
    promises = table.splitlines()[2:]
    assert promises
    assert [line for line in promises if not TEST.search(line)] == []


def test_the_floors_are_those_of_the_package():
    floors = re.findall(r"^\| `([\w.]+)>=([\d.]+)` \|", TEXT, re.MULTILINE)
    assert len(floors) > 3
    project = (ROOT / "pyproject.toml").read_text()
    declared = re.findall(r'"([\w.]+)(?:\[[\w,]+\])?>=([\d.]+)', project)
    assert [floor for floor in floors if floor not in declared] == []
