"""What is released, as it is built and installed for whoever has no clone."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from email.message import Message
from email.parser import BytesParser
from importlib import metadata
from pathlib import Path

import pytest
import release
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from readme_examples import BLOCK, README

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("built")


@pytest.fixture(scope="module")
def builds(scratch):
    return release.builds(scratch)


@pytest.fixture(scope="module")
def wheel(scratch, builds) -> Path:
    (found,) = (scratch / "first").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def about(wheel) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return BytesParser().parsebytes(archive.read(name))


def needed(texts: Iterable[str], extras: Iterable[str] = ()) -> set[str]:
    """Names of what these requirements bring, and what that brings."""
    found, waiting = set(), [(texts, extras)]
    while waiting:
        texts, extras = waiting.pop()
        for requirement in map(Requirement, texts):
            marker = requirement.marker
            asked = not marker or any(marker.evaluate({"extra": each}) for each in ("", *extras))
            key = canonicalize_name(requirement.name), frozenset(requirement.extras)
            if asked and key not in found:
                found.add(key)
                waiting.append((metadata.requires(key[0]) or (), requirement.extras))
    return {name for name, _ in found}


@pytest.fixture(scope="module")
def install(wheel, about, tmp_path_factory):
    """Install the wheel beside links to what it says that it needs, and nothing else."""

    def installed(*extras: str) -> Path:
        environment = tmp_path_factory.mktemp("venv")
        python = environment / "bin" / "python"
        release.run(sys.executable, "-m", "venv", "--without-pip", environment)
        release.run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet",
                    "--no-deps", "--no-index", wheel)  # fmt: skip
        (packages,) = environment.glob("lib/python*/site-packages")
        for name in needed(about.get_all("Requires-Dist"), extras):
            owner = metadata.distribution(name)
            for top in {file.parts[0] for file in owner.files} - {"..", "__pycache__"}:
                if not (packages / top).exists():
                    (packages / top).symlink_to(owner.locate_file(top))
        return environment

    return installed


@pytest.fixture(scope="module")
def plain(install):
    return install()


def run(environment: Path, *command: str) -> str:
    clean = {"PATH": f"{environment}/bin:/usr/bin:/bin", "HOME": str(environment)}
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=environment, env=clean
    ).stdout


def test_it_holds_the_package_with_its_types_and_nothing_else(wheel, about):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "linexport").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == sources
    assert "linexport/py.typed" in names
    assert "Typing :: Typed" in about.get_all("Classifier")
    assert "Programming Language :: Python :: 3.11" in about.get_all("Classifier")
    labels = {each.partition(",")[0] for each in about.get_all("Project-URL")}
    assert labels == {"Changelog", "Documentation", "Issues", "Source"}
    assert {"report", "serve", "sklearn"} <= set(about.get_all("Provides-Extra"))


def test_the_sdist_builds_the_same_bytes_elsewhere(builds):
    first, second = builds
    assert [name.partition("-0.1.0")[2] for name in first] == ["-py3-none-any.whl", ".tar.gz"]
    assert first == second


def test_it_works_in_an_environment_of_its_own(plain):
    where = run(plain, "python", "-c", "import linexport; print(linexport.__file__)")
    assert Path(where.strip()).is_relative_to(plain)
    (plain / "t.csv").write_text("x,y\n1,2\n2,4.5\n3,6\n4,8.5\n")
    fit = ("--data", "t.csv", "--target", "y", "-o", "b")
    said = run(plain, "linexport", "train-and-export", *fit)
    assert "proven: " in said
    assert "Bundle: b" in said


def test_the_readmes_scikit_learn_example_runs_with_what_it_says_to_install(install):
    text = README.read_text()
    (extras,) = re.findall(r"pip install '\.\[([\w,]+)\]'", text)
    (example,) = (body for _, body in BLOCK.findall(text) if "from sklearn" in body)
    environment = install(*extras.split(","))
    assert "proven" in run(environment, "python", "-c", example)
    run(environment, "linexport", "report", "models/huber", "-o", "report.html")


def test_the_bill_of_materials_holds_to_its_schema_and_names_no_place(plain, about):
    text = release.bill_of_materials(plain / "bin" / "python")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    materials = json.loads(text)
    assert materials["metadata"]["component"]["name"] == "linexport"
    listed = {canonicalize_name(each["name"]) for each in materials["components"]}
    assert listed == needed(about.get_all("Requires-Dist"))
    assert not re.search(rf"file:|{plain}|{ROOT}", text)


def test_what_is_pinned_is_for_every_python_that_is_allowed():
    """What pip would find too new is "conflicting dependencies" to whoever has an older patch."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = project["requires-python"].removeprefix(">=") + ".0"
    pinned = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines()
              if not line.startswith("#")]  # fmt: skip
    installed = {canonicalize_name(each.name): each for each in metadata.distributions()}
    found = [
        installed[name] for each in pinned if (name := canonicalize_name(each.name)) in installed
    ]
    too_new = {each.name for each in found if not _is_for(each, oldest)}
    assert len(found) > 100
    assert not too_new


def _is_for(distribution: metadata.Distribution, python: str) -> bool:
    return python in SpecifierSet(distribution.metadata["Requires-Python"] or "")
