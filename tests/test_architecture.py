"""The tree is the architecture: what may import what, and what is public."""

import ast
import re
from pathlib import Path

import pytest

import linexport
from linexport.cli._main import COMMANDS
from linexport.sources._registry import SOURCES

PACKAGE = Path(linexport.__file__).parent
PICTURE = Path(__file__).parent.parent / "docs" / "architecture.md"


def drawn_layers() -> list[list[str]]:
    """The layers, from the top, as the first indented block of the page on architecture has them.

    The parts of a line are separated by bars; what follows two blanks is a remark.
    """
    lines = PICTURE.read_text().splitlines()
    indented = [line.startswith("    ") for line in lines]
    start = indented.index(True)
    block = lines[start : indented.index(False, start)]
    return [line.strip().split("  ")[0].split(" | ") for line in block]


RANK = {name: depth for depth, layer in enumerate(drawn_layers()) for name in layer}
LONGEST = 350
"""Lines; a module is read in one sitting."""

PATHS = sorted(PACKAGE.rglob("*.py"))
DOORS = sorted(PACKAGE.rglob("*.pyi"))
every_module = pytest.mark.parametrize(
    "path", PATHS, ids=lambda path: path.relative_to(PACKAGE).as_posix()
)


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(tree: ast.Module) -> set[str]:
    """The parts of linexport that a module imports, wherever in it; parsed, not executed."""
    parts = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            # `from linexport import x` imports the part x where there is one, else the package.
            within = [f"linexport.{alias.name}" for alias in node.names]
            names = within if node.module == "linexport" else [node.module]
        else:
            continue
        for name in names:
            package, *rest = name.split(".")
            if package == "linexport":
                parts.add(rest[0] if rest and rest[0] in RANK else "__init__")
    return parts


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def listed(door: Path) -> list[tuple[str, str]]:
    """A door's names, each with the module it comes from."""
    room = module_name(door)
    return [
        (f"{room}.{node.module}" if node.module else room, alias.name)
        for node in ast.walk(ast.parse(door.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]


def imported_modules(path: Path) -> set[str]:
    """The modules that a file imports, or imports something from."""
    if path.suffix == ".pyi":
        return {name for module, item in listed(path) for name in (module, f"{module}.{item}")}
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def public_names(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return ast.literal_eval(node.value)
    return None


def defined_names(tree: ast.Module) -> set[str]:
    """What a module's top level binds, type-checking blocks included."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def constants_then_classes_then_functions(name: str) -> tuple[int, str]:
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name


def is_private(path: Path) -> bool:
    return any(part.startswith("_") for part in path.relative_to(PACKAGE).with_suffix("").parts)


def test_every_part_has_its_layer():
    assert {part_of(path) for path in PATHS} - {"py"} <= RANK.keys()
    assert all((PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists() for name in RANK), (
        "a layer names a part that is not there"
    )


def test_the_page_says_what_each_part_owns():
    rows = [line for line in PICTURE.read_text().splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted([*named, "__init__"]) == sorted(RANK)


@every_module
def test_imports_point_downwards(path):
    here = part_of(path)
    for there in imported_parts(ast.parse(path.read_text())) - {here}:
        assert RANK[there] > RANK[here], f"{here} must not import {there}: see docs/architecture.md"


@every_module
def test_no_room_enters_another_but_by_its_door(path):
    here = part_of(path)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("linexport."):
            _, there, *inner = node.module.split(".")
            if there != here:
                names = [alias.name for alias in node.names]
                assert not any(name.startswith("_") for name in (*inner, *names))


@pytest.mark.parametrize("door", DOORS, ids=lambda path: module_name(path))
def test_a_door_lists_what_there_is(door):
    files = {module_name(path): path for path in (*PATHS, *DOORS)}  # a stub says more than its door
    for module, name in listed(door):
        if f"{module}.{name}" not in files:
            there = defined_names(ast.parse(files[module].read_text()))
            assert name in there, f"{module} has no {name}"


@pytest.mark.parametrize("door", DOORS, ids=lambda path: module_name(path))
def test_a_door_lists_only_what_others_come_for(door):
    if door.parent != PACKAGE:
        others = [path for path in PATHS if path.parent != door.parent]
        words = set(re.findall(r"\w+", "\n".join(map(Path.read_text, others))))
        public = {name for _, name in listed(PACKAGE / "__init__.pyi")}
        room = module_name(door)
        names = {name for module, name in listed(door) if module != room}
        tests = set().union(*map(imported_modules, Path(__file__).parent.rglob("*.py")))
        assert {name for name in names if f"{room}.{name}" not in tests} <= words | public


def test_every_module_is_used_and_those_of_a_room_are_private_or_in_its_door():
    called = {f"linexport.cli.{name.replace('-', '_')}" for name in COMMANDS}
    called |= {"linexport", "linexport.__main__", "linexport.sklearn"} | {
        source.module for source in SOURCES
    }
    imported = set().union(*map(imported_modules, (*PATHS, *DOORS)))
    in_doors = {f"{module}.{name}" for door in DOORS for module, name in listed(door)}
    for path in PATHS:
        name = module_name(path)
        assert name in imported | called, f"{name} is imported by nobody"
        if path.parent != PACKAGE and path.name != "__init__.py":
            assert path.stem.startswith("_") or name in in_doors | called, f"{name} is in no door"


def test_polars_is_imported_in_one_place():
    owner = PACKAGE / "_polars.py"
    assert [path for path in PATHS if "polars" in imported_modules(path)] == [owner]


@every_module
def test_a_public_module_says_what_it_exports(path):
    tree = ast.parse(path.read_text())
    names = public_names(tree)
    is_package_door = path.name == "__init__.py"
    if names is None:
        assert is_private(path) or is_package_door, "a module without _ has an __all__"
        return
    assert len(set(names)) == len(names)
    assert not any(name.startswith("_") for name in names if name != "__version__")
    assert names == sorted(names, key=constants_then_classes_then_functions)
    assert set(names) <= defined_names(tree) | {"__version__"}


@every_module
def test_a_module_is_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= LONGEST


@every_module
def test_a_module_begins_by_saying_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text()))
