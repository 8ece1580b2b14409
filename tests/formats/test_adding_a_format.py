"""A format is added by one file and its registration: everything else finds it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import linexport

HERE = Path(__file__).parent
MAIN = "import numbers_format, linexport.cli; linexport.cli.main()"


def run(*arguments) -> subprocess.CompletedProcess:
    """Run the command line in a process that has the format."""
    path = os.pathsep.join([str(Path(linexport.__file__).parents[1]), str(HERE)])
    return subprocess.run(
        [sys.executable, "-c", MAIN, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    directory = tmp_path_factory.mktemp("added")
    (directory / "fit.json").write_text('{"intercept": 4.2, "coefficients": {"a": 2, "b": -3.4}}')
    done = run(
        "export", directory / "fit.json", "-o", directory / "bundle", "--format", "numbers",
        "--probe-rows", 16, "--form", "folded", "--verbose",
    )  # fmt: skip
    assert done.returncode == 0
    assert "\n  numbers " in done.stdout
    return directory / "bundle"


def test_the_command_line_offers_it():
    assert "numbers" in run("export", "--help").stdout
    refused = run("export", "fit.json", "-o", "bundle", "--format", "tflite")
    assert refused.returncode == 2
    assert "numbers" in refused.stderr


def test_the_manifest_lists_it_and_the_card_shows_it(bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["files"]["model.numbers"]["format"] == "numbers"
    card = (bundle / "README.md").read_text()
    assert "json.load(open('model.numbers'))" in card
    assert "numbers" in card.partition("## Parity")[2]


def test_its_runtimes_are_asked_and_prove_it(bundle):
    report = json.loads(run("verify", "--json", bundle).stdout)
    verdicts = {runtime["name"]: runtime["verdict"] for runtime in report["runtimes"]}
    assert verdicts == {"pytorch": "proven", "numbers": "proven"}
    assert run("inspect", bundle).returncode == 0


def test_a_file_by_itself_is_held_against_a_reference(bundle, tmp_path):
    alone = run("verify", "--quiet", "--reference", bundle, bundle / "model.numbers")
    assert (alone.returncode, alone.stderr) == (0, "")
    wrong = (bundle / "model.numbers").read_text().replace("-3.4", "-3.5")
    (tmp_path / "wrong.numbers").write_text(wrong)
    told = run("verify", "--quiet", "--reference", bundle, tmp_path / "wrong.numbers")
    assert told.returncode == 1
    assert told.stdout.startswith("'numbers' disagrees with the reference model at row ")


def test_what_cannot_be_done_with_it_is_said(bundle, tmp_path):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    refused = run("predict", bundle, tmp_path / "rows.csv", "-o", tmp_path / "out.csv")
    assert refused.returncode == 3
    assert "the bundle has no model.onnx, which predicting needs" in refused.stderr
    unread = run("inspect", bundle / "model.numbers")
    assert (unread.returncode, "this format does not say" in unread.stderr) == (3, True)


def test_who_does_not_have_it_refuses_its_bundle(bundle):
    with pytest.raises(linexport.BundleError, match=r"'model\.numbers' is not a file"):
        linexport.read_bundle(bundle)
