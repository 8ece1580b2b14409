"""What is shown while a command works."""

import os

import pytest

from linexport.cli import _terminal
from linexport.columns import Column
from linexport.fit import EpochEnd
from linexport.tables._tables import ReadProgress


class _Clock:
    def __init__(self, times):
        self.times = iter(times)

    def __call__(self):
        return next(self.times)


@pytest.fixture
def lines_of(monkeypatch):
    """What is shown of progress that comes once a second, and begins at 0 s."""

    def show(*progress):
        monkeypatch.setattr(
            _terminal.time, "monotonic", _Clock(map(float, range(len(progress) + 1)))
        )
        lines = []
        with _terminal.ReadDisplay() as display:
            monkeypatch.setattr(display, "show", lines.append)
            for step in progress:
                display(step)
        return lines

    return show


def _rows(rows, bytes_read=0.0, num_bytes=0.0):
    return ReadProgress(rows=rows, bytes_read=bytes_read, num_bytes=num_bytes)


def test_a_new_pass_over_the_rows_starts_its_own_rate(lines_of):
    """The first batch of the second pass comes at the very time at which the pass begins."""
    lines = lines_of(_rows(100), _rows(200), _rows(100), _rows(200))
    assert lines == ["100 rows, 100 rows/s", "200 rows, 100 rows/s", "200 rows, 200 rows/s"]


def test_reading_a_file_shows_bytes_and_the_time_left(lines_of):
    assert lines_of(_rows(1000, 4e8, 1.6e9), _rows(4000, 1.6e9, 1.6e9)) == [
        "1,000 rows, 1,000 rows/s, 400 MB of 1.6 GB, 3 s left",
        "4,000 rows, 2,000 rows/s, 1.6 GB of 1.6 GB, 0 s left",
    ]


def test_where_the_end_is_not_known_no_time_is_guessed(lines_of):
    assert lines_of(_rows(10, 2500.0, None)) == ["10 rows, 10 rows/s, 2.5 kB"]


@pytest.mark.parametrize(
    ("loss", "unit", "line"),
    [
        (0.000208057, "", "epoch 1, loss 0.000208"),
        (44157.607178, "USD", "epoch 1, loss 44157.607178 USD squared"),
        (1.23456789e-13, "", "epoch 1, loss 1.23457e-13"),
        (4.2e15, "mm", "epoch 1, loss 4.2e+15 mm squared"),
    ],
)
def test_an_epochs_loss_keeps_its_digits_and_its_unit(capsys, loss, unit, line):
    end = EpochEnd(epoch=1, epochs=3, loss=loss, rows_per_second=1.0, seconds_left=0.0)
    targets = [Column(name="y", unit=unit)]
    with _terminal.EpochDisplay(as_text=True, verbose=False, targets=targets) as display:
        display(end)
    assert capsys.readouterr().out == f"{line}\n"


@pytest.mark.parametrize(("verbose", "shown"), [(False, [1, 100, 200, 300, 1005]), (True, None)])
def test_of_many_epochs_a_short_report_shows_a_few(capsys, verbose, shown):
    with _terminal.EpochDisplay(as_text=True, verbose=verbose, targets=()) as display:
        for epoch in (*range(1, 301), 1005):
            display(
                EpochEnd(epoch=epoch, epochs=1005, loss=1.0, rows_per_second=1.0, seconds_left=0.0)
            )
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"epoch {n}, loss 1.000000" for n in shown or (*range(1, 301), 1005)]


def test_on_a_terminal_it_is_said_who_is_waited_for(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    os.mkfifo(pipe := tmp_path / "rows")
    (tmp_path / "rows.csv").touch()
    said = {
        str(pipe): f"waiting for a program to write rows to {pipe}",
        "-": "waiting for rows on standard input",
        str(tmp_path / "rows.csv"): "",
        "none": "",
        "x" * 5000: "",
    }
    for table, expected in said.items():
        with _terminal.ReadDisplay([table]):
            assert capsys.readouterr().err.strip() == expected
        capsys.readouterr()
