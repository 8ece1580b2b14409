"""The documentation as a site: it builds without a warning, and its reference is complete."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import linexport
from linexport.cli._main import COMMANDS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "docs", str(target)],
        cwd=ROOT,
        env=os.environ | {"PATH": tools, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return target


def test_every_page_is_reached_from_the_first(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix("") for path in ROOT.glob("docs/**/*.md")}
    first = (site / "index.html").read_text()
    missing = [page for page in pages if f'href="{page}.html' not in first and page.name != "index"]
    assert not missing


def test_the_reference_has_every_public_name(site: Path) -> None:
    page = (site / "reference" / "python.html").read_text()
    names = [name for name in linexport.__all__ if not name.startswith("__")]
    assert [name for name in names if f'id="linexport.{name}"' not in page] == []


def test_the_reference_has_every_command_and_its_options(site: Path) -> None:
    page = (site / "reference" / "commands.html").read_text()
    assert [name for name in COMMANDS if f"Usage: linexport {name} [OPTIONS]" not in page] == []
    assert "--learning-rate" in page  # made from a solver's settings


def test_the_reference_has_the_schema_of_every_document(site: Path) -> None:
    page = (site / "reference" / "json.html").read_text()
    schemas = [path.stem for path in (ROOT / "docs" / "schemas").glob("*.json")]
    assert [name for name in schemas if f'id="{name}"' not in page] == []
