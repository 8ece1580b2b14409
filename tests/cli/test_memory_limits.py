"""Commands where memory is limited (ulimit -v): done, or one line and status 3; never 1."""

import resource
import subprocess
import sys

import pytest

from linexport._files import naming, parsing
from linexport.cli._failing import failure_of
from linexport.errors import ArtifactError, DataError
from linexport.tables import open_table

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of addresses are Linux's")

_MEBIBYTE = 2**20


@pytest.fixture
def limited(tmp_path):
    def run(mebibytes, *arguments):
        return subprocess.run(
            [sys.executable, "-m", "linexport", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (mebibytes * _MEBIBYTE,) * 2),
        )

    return run


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x1,x2,y\n1,2,3\n2,1,4\n3,5,1\n0,1,1\n")
    return path


@pytest.mark.parametrize("mebibytes", [300, 600, 1000])
@pytest.mark.parametrize("command", ["predict", "verify", "train-and-export"])
def test_too_little_memory_is_told_before_anything_is_loaded(
    limited, rows, textbook, tmp_path, command, mebibytes
):
    data = ("--data", rows, "--target", "y") if command.startswith("train") else (textbook,)
    ended = limited(mebibytes, command, *data, *[rows] * (command == "predict"))
    assert ended.returncode == 3
    assert ended.stderr.startswith(f"error: Memory is limited to {mebibytes << 10} KiB (ulimit -v)")
    assert f"{command} needs" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [rows]


def test_what_is_asked_for_is_enough(limited, textbook, rows):
    for command, *arguments in (
        ("inspect", textbook),
        ("predict", textbook, rows),
        ("evaluate", textbook, rows),
        ("state", rows, "--target", "y", "-o", "a.state"),
        ("fit", "a.state", "-o", "bundle"),
        ("verify", "bundle"),
        ("report", "bundle", "-o", "page.html"),
    ):
        asked = limited(300, command, *arguments).stderr
        least = int(asked.split("set ulimit -v ")[1].split()[0])
        ended = limited(-(-least // 1024), command, *arguments)
        assert ended.returncode == 0, (command, ended.stderr)


def test_help_needs_no_room(limited):
    assert limited(300, "verify", "--help").returncode == 0


def test_a_file_that_there_is_no_memory_for_is_named(tmp_path):
    with (
        pytest.raises(ArtifactError, match=f"^{tmp_path}: there is not enough memory to read it"),
        naming(tmp_path),
        parsing(),
    ):
        raise MemoryError


def test_a_table_that_there_is_no_memory_for_is_named(rows, monkeypatch):
    table = open_table(str(rows))

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(type(table._parts[0]), "batches", fail)
    with pytest.raises(DataError, match=r"rows\.csv: .*there is not enough memory"):
        list(table.batches(["x1"]))


@pytest.mark.parametrize(
    "said",
    [
        "[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory",
        "libtorch_cpu.so: failed to map segment from shared object",
        "std::bad_alloc",
        "Cannot allocate memory",
    ],
)
def test_what_libraries_say_of_memory_is_no_fault_of_ours(said):
    failure = failure_of(RuntimeError(said), 0)
    assert (failure.status, failure.message) == (
        3, "There is not enough memory for this (ulimit -v).",
    )  # fmt: skip
