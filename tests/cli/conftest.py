"""Running a command in this process, and tables to run it on."""

import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from linexport.cli import main


@dataclass(frozen=True)
class Outcome:
    status: int
    output: str
    errors: str

    @property
    def only_error(self) -> str:
        """The one line that a refusal prints."""
        (line,) = self.errors.splitlines()
        assert self.output == ""
        return line


Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """Leave no command's handlers behind: `serve` ends its process on SIGTERM without a word."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_command(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as exit_request:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(int(exit_request.value.code or 0), captured.out, captured.err)

    return run_command


@pytest.fixture(scope="session")
def textbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that the default job writes."""
    path = tmp_path_factory.mktemp("textbook") / "bundle"
    with pytest.raises(SystemExit) as exit_request:
        main(["train-and-export", "--quiet", "--output", str(path)])
    assert exit_request.value.code == 0
    return path


@pytest.fixture
def copied(textbook: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return shutil.copytree(textbook, tmp_path / "bundle")


@pytest.fixture(scope="session")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table as people have them: numbers, whole numbers, booleans and a name."""
    random = np.random.default_rng(7)
    area = random.uniform(30, 200, 400)
    rooms = random.integers(1, 7, 400)
    garden = random.random(400) < 0.3
    price = 1000 + 3100 * area + 5000 * rooms + 20000 * garden + random.normal(0, 9000, 400)
    path = tmp_path_factory.mktemp("prices") / "prices.csv"
    pl.DataFrame(
        {
            "street": [f"Street, {number}" for number in range(400)],
            "area": area,
            "rooms": rooms,
            "garden": garden,
            "price": price,
        }
    ).write_csv(path)
    return path
