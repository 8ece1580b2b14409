"""How many modules of ours run in each command and in one request, and how long they all are.

    python benchmarks/modules.py [--names]

A module runs if a function of it is called; what its import alone executes, the bodies of classes
included, does not count. Fails if more run than TARGETS has, or if the package is longer than
MOST_LINES.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import linexport

TARGETS = {"main job": 65, "predict, plain CSV": 24, "verify": 30, "one HTTP request": 8}
MOST_LINES = 18_500
PACKAGE = Path(linexport.__file__).parent
BUNDLE = PACKAGE.parent / "models" / "textbook"
PROGRAM = [sys.executable, "-m", "linexport"]
ROW = {"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1.5, -2]}


@contextmanager
def watched() -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder for calls to be noted in, and the environment in which processes do so."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(Path(__file__).with_name("_calls.py"), folder / "sitecustomize.py")
        (folder / "mark").write_text("start")
        paths = [str(folder), str(PACKAGE.parent)]
        yield folder, {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "CALLS": str(folder)}


def ran(folder: Path, mark: str) -> set[str]:
    """Return the modules that ran since the mark was set, by their paths within the package."""
    lines = {line for file in folder.glob("*.calls") for line in file.read_text().splitlines()}
    return {path for when, _, path in (line.partition(" ") for line in lines) if when == mark}


def command(*arguments: str) -> set[str]:
    """Return the modules that run in a command."""
    with watched() as (folder, environment):
        (folder / "rows.csv").write_text("x1,x2\n" + "1.5,-2\n" * 10)
        subprocess.run(
            [*PROGRAM, *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return ran(folder, "start")


def request() -> set[str]:
    """Return the modules that run in one request like those before it."""
    with watched() as (folder, environment):
        server = subprocess.Popen(
            [*PROGRAM, "serve", str(BUNDLE), "--port", "0"], env=environment, stderr=subprocess.PIPE
        )
        assert server.stderr is not None
        try:
            lines = map(json.loads, server.stderr)
            (url,) = next(line["urls"] for line in lines if line["event"] == "serving")
            for mark in ("start", "request"):
                (folder / "mark").write_text(mark)
                ask(f"{url}/v2/models/{BUNDLE.name}/infer")
        finally:
            (folder / "mark").write_text("end")
            server.send_signal(signal.SIGTERM)
            server.communicate()
        return ran(folder, "request")


def ask(url: str) -> None:
    body = json.dumps({"inputs": [ROW]}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=60) as response:
        assert response.status == 200


def main() -> None:
    measured = {
        "main job": command("train-and-export", "--output", "bundle"),
        "predict, plain CSV": command("predict", str(BUNDLE), "rows.csv"),
        "verify": command("verify", str(BUNDLE)),
        "one HTTP request": request(),
    }
    missed = []
    for name, modules in measured.items():
        print(f"{name:<20} {len(modules):>6} modules, at most {TARGETS[name]}")
        if "--names" in sys.argv:
            print("  " + " ".join(sorted(modules)))
        missed += [name] if len(modules) > TARGETS[name] else []
    num_lines = sum(
        len(path.read_text().splitlines())
        for path in PACKAGE.rglob("*.py*")
        if path.suffix != ".pyc"
    )
    print(f"{'linexport/':<20} {num_lines:>6} lines, at most {MOST_LINES}")
    missed += ["lines"] if num_lines > MOST_LINES else []
    if missed:
        sys.exit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
