"""A file that another process writes while it is read."""

import os
from pathlib import Path

import pytest

from linexport.cli import main
from linexport.errors import DataError
from linexport.tables import _csv, _csv_frames, _json_lines, _records, open_table

ROWS = 20_000
TEXTBOOK = Path(__file__).parents[2] / "models" / "textbook"


def _cut(path):
    os.truncate(path, path.stat().st_size - 3)  # in the midst of the last number


def _grow(path):
    with path.open("ab") as file:
        file.write(b"1,2\n")


def _rewrite(path):
    """Write other numbers over the old ones; size and file are the same."""
    data, status = path.read_bytes().replace(b"7", b"8"), path.stat()
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


CHANGES = {"cut": _cut, "grown": _grow, "rewritten": _rewrite}


@pytest.fixture(params=CHANGES)
def changing(request, tmp_path, monkeypatch):
    """A file that changes after its first block was read, as another process may do at any time."""
    path = tmp_path / "rows.csv"
    path.write_text("x1,x2\n" + "".join(f"{n}.25,{n}.125\n" for n in range(ROWS)))
    monkeypatch.setattr(_records, "_BLOCK_BYTES", path.stat().st_size // 4)
    records, changes = _csv_frames.records, iter([CHANGES[request.param]])

    def changed_after_the_first(stream, *rest):
        found = records(stream, *rest)

        def blocks():
            for block in found.blocks:
                yield block
                for change in changes:
                    change(path)

        return found._replace(blocks=blocks())

    monkeypatch.setattr(_csv_frames, "records", changed_after_the_first)
    return path


def test_a_table_that_changes_is_refused(changing):
    table = open_table(changing)
    with pytest.raises(DataError, match=r"rows\.csv: It has changed.* while it was read"):
        list(table.batches(["x1", "x2"]))


@pytest.mark.parametrize("command", ["predict", "state", "train-and-export"])
def test_nothing_is_written_of_a_table_that_changes(changing, command, tmp_path, capsys):
    output = tmp_path / "output"
    arguments = {
        "predict": [TEXTBOOK, changing, "--output", output.with_suffix(".csv")],
        "state": [changing, "--target", "x2", "--output", output.with_suffix(".state")],
        "train-and-export": ["--data", changing, "--target", "x2", "--output", output],
    }
    with pytest.raises(SystemExit) as stop:
        main([command, *map(str, arguments[command])])
    assert stop.value.code == 3
    assert "It has changed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [changing]


def test_json_lines_that_change_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"x": 1}\n' * 100)
    table = open_table(path)
    monkeypatch.setattr(_json_lines, "record_blocks", _growing(path))
    with pytest.raises(DataError, match=r"changed from 900 to 904 bytes while it was read"):
        list(table.batches(["x"]))


def _growing(path):
    def blocks(*arguments, **options):
        yield from _records.record_blocks(*arguments, **options)
        _grow(path)

    return blocks


def test_a_small_file_that_changes_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"x\n1\n")
    fstat = os.fstat

    def grown_since(descriptor):
        status = fstat(descriptor)
        _grow(path)
        return status

    monkeypatch.setattr(_csv.os, "fstat", grown_since)
    with pytest.raises(DataError, match=r"changed from 4 to 8 bytes"):
        open_table(path)


def test_a_table_that_is_replaced_between_two_passes_is_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x\n" + "1\n" * ROWS * 4)
    table = open_table(path)
    list(table.batches(["x"]))
    other = tmp_path / "other"
    other.write_bytes(path.read_bytes())
    other.replace(path)
    with pytest.raises(DataError, match="It has changed while it was read"):
        list(table.batches(["x"]))


def test_a_last_line_without_a_newline_is_a_row_of_a_file_that_stays(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x\n" + "1\n" * ROWS * 4 + "25")
    *_, last = open_table(path).batches(["x"])
    assert last.numbers()[-1] == [25.0]
