"""The wheel, as it is built and installed for whoever has no clone."""

import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*command: object, **options) -> str:
    return subprocess.run(
        list(map(str, command)), check=True, capture_output=True, text=True, **options
    ).stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    built = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", built, ROOT)
    (found,) = built.glob("*.whl")
    return found


def test_it_holds_the_package_with_its_types_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (about,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(about))
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "linexport").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == sources
    assert "linexport/py.typed" in names
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    assert "Programming Language :: Python :: 3.11" in metadata.get_all("Classifier")
    labels = {each.partition(",")[0] for each in metadata.get_all("Project-URL")}
    assert labels == {"Changelog", "Documentation", "Issues", "Source"}
    assert {"report", "serve", "sklearn"} <= set(metadata.get_all("Provides-Extra"))


def test_it_works_in_an_environment_of_its_own(wheel, tmp_path):
    """Its dependencies are those of the tests; linexport itself is the wheel's."""
    environment = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
        "--no-index", wheel)  # fmt: skip
    theirs = [path for path in sys.path if path.endswith("site-packages")]
    (found,) = environment.glob("lib/python*/site-packages")
    (found / "dependencies.pth").write_text("\n".join(theirs))
    clean = {"PATH": f"{environment}/bin:/usr/bin:/bin", "HOME": str(tmp_path)}
    where = run(python, "-c", "import linexport; print(linexport.__file__)", cwd="/", env=clean)
    assert Path(where.strip()).is_relative_to(environment)
    (tmp_path / "t.csv").write_text("x,y\n1,2\n2,4.5\n3,6\n4,8.5\n")
    said = run(
        environment / "bin" / "linexport", "train-and-export", "--data", "t.csv",
        "--target", "y", "--format", "onnx", "-o", "b", cwd=tmp_path, env=clean,
    )  # fmt: skip
    assert "proven: " in said
    assert "Bundle: b" in said
