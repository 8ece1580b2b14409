"""What is shown while a command works."""

from linexport.cli import _progress


class _Clock:
    def __init__(self, times):
        self.times = iter(times)

    def __call__(self):
        return next(self.times)


def test_a_new_pass_over_the_rows_starts_its_own_rate(monkeypatch):
    """The first batch of the second pass comes at the very time at which the pass begins."""
    monkeypatch.setattr(_progress.time, "monotonic", _Clock([0.0, 1.0, 2.0, 3.0, 4.0]))
    lines = []
    with _progress.RowDisplay() as display:
        monkeypatch.setattr(display.line, "show", lines.append)
        for rows in (100, 200, 100, 200):
            display(rows)
    assert lines == ["100 rows, 100 rows/s", "200 rows, 100 rows/s", "200 rows, 200 rows/s"]
