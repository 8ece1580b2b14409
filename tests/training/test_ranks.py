"""Real processes: what torchrun starts, and what one of them says when another fails."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from linexport import pipeline
from linexport.errors import ConfigError
from linexport.least_squares._solver import LeastSquaresConfig
from linexport.rows._ranks import open_ranks
from linexport.sgd._config import SGDConfig
from linexport.training._train import train

TIMEOUT = 120  # seconds until a job counts as hanging; no more than a few are needed


@dataclass(frozen=True)
class Ended:
    status: int
    output: str
    errors: str


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run_ranks(num_ranks, arguments, directory):
    """Start ranks as torchrun does, and return how each of them ended."""
    common = os.environ | {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(num_ranks),
        "LOCAL_WORLD_SIZE": str(num_ranks),
        "OMP_NUM_THREADS": "1",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, *arguments],
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(num_ranks)
    ]
    try:
        outputs = [process.communicate(timeout=TIMEOUT) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [
        Ended(process.returncode, *output)
        for process, output in zip(processes, outputs, strict=True)
    ]


def job(*options, data="part-*.parquet"):
    command = ["-m", "linexport", "train-and-export", "--data", data, "--target", "y"]
    return [*command, "--output", "bundle", *options]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Three files of unlike sizes; two of them are a single row group."""
    directory = tmp_path_factory.mktemp("parts")
    generator = np.random.default_rng(2)
    for number, num_rows in enumerate([60, 500, 7]):
        features = generator.normal(1000.0, 3.0, (num_rows, 2))
        target = features @ [2.0, -3.4] + 4.2 + generator.normal(size=num_rows)
        frame = pl.DataFrame({"a": features[:, 0], "b": features[:, 1], "y": target})
        frame.write_parquet(directory / f"part-{number}.parquet", row_group_size=100)
    return directory


def fitted_alone(parts, solver):
    rows = pipeline.read_data(str(parts / "part-*.parquet"), targets=["y"])
    return train(rows, solver=solver).record


def predictions_agree(ours, theirs, parts, limit):
    """Compare two fits' coefficients, as the manifest has them, on the rows trained on."""
    table = pl.concat([pl.read_parquet(path) for path in sorted(parts.glob("part-*"))])
    difference = np.full(table.height, ours["intercept"] - theirs.intercept)
    for name, slope in theirs.features.items():
        difference += (ours["features"][name] - slope) * table[name].to_numpy()
    return np.abs(difference).max() <= limit


def test_torchrun_fits_exports_and_proves_once(parts, tmp_path):
    """The command of the documentation, with torchrun itself."""
    ended = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
            *job("--solver", "lstsq", "--json", data=str(parts / "part-*.parquet")),
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert document["verdict"] == "proven"
    alone = fitted_alone(parts, LeastSquaresConfig())
    assert document["coefficients"]["y"]["intercept"] == alone.coefficients["y"].intercept
    assert document["coefficients"]["y"]["features"] == alone.coefficients["y"].features
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert manifest["record"]["rows"] == 567


@pytest.mark.parametrize("solver", ["lstsq", "sgd"])
def test_more_ranks_than_pieces_leave_one_empty_and_rank_0_alone_speaks(solver, parts, tmp_path):
    pl.read_parquet(parts / "part-0.parquet").write_parquet(tmp_path / "part-0.parquet")
    first, *others = run_ranks(3, job("--solver", solver, "--json"), tmp_path)
    assert [first.status, *(other.status for other in others)] == [0, 0, 0], first.errors
    assert all(other.output == other.errors == "" for other in others)
    document = json.loads(first.output)
    config = LeastSquaresConfig() if solver == "lstsq" else SGDConfig()
    alone = fitted_alone(tmp_path, config)
    limit = 1e-9  # SGD takes the same 18 steps, but for the order of sums
    if solver == "lstsq":
        budgets = [document["optimum"]["y"]["prediction"], alone.optimum["y"].prediction]
        # Evaluating the difference of coefficients around 1 at 1000 rounds by less than 1e-11.
        limit = sum(budgets) + 1e-11
    assert predictions_agree(
        document["coefficients"]["y"], alone.coefficients["y"], tmp_path, limit
    )


def test_frequencies_are_added_up_over_the_ranks(tmp_path):
    random = np.random.default_rng(3)
    frame = pl.DataFrame({"a": random.normal(size=90), "y": random.normal(size=90)})
    frame = frame.with_columns(w=pl.Series(random.integers(0, 5, 90)))
    frame.write_parquet(tmp_path / "part.parquet", row_group_size=30)
    options = ["--weights", "w", "--weights-kind", "frequency", "--json"]
    first, second = run_ranks(2, job(*options, data="part.parquet"), tmp_path)
    assert (first.status, second.status) == (0, 0), first.errors
    document = json.loads(first.output)
    repeated = frame.select(pl.all().repeat_by("w")).explode(pl.all()).drop("w")
    alone = train(repeated, "y").record
    assert document["rows"] == alone.rows == frame["w"].sum()
    found = document["statistics"]["targets"]["y"]["features"]["a"]
    expected = alone.statistics.targets["y"].features["a"]
    assert found["standard_error"] == pytest.approx(expected.standard_error, rel=1e-12)
    assert found["p_value"] == pytest.approx(expected.p_value, rel=1e-12)


def test_a_broken_row_group_ends_the_job_with_one_line_from_rank_0(parts, tmp_path):
    for path in parts.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    broken = pl.read_parquet(tmp_path / "part-2.parquet")
    broken[4, "b"] = float("nan")
    broken.write_parquet(tmp_path / "part-2.parquet")
    for solver in ("lstsq", "sgd"):  # which read at different times
        first, *others = run_ranks(3, job("--solver", solver), tmp_path)
        assert [first.status, *(other.status for other in others)] == [3, 3, 3]
        assert first.errors.splitlines() == [
            "error: rank 2: part-2.parquet, column 'b', row 5: There is no value; fill it in, "
            "as with --missing b=median, or "
            "leave such rows out with --missing drop."
        ]
        assert all(other.output == other.errors == "" for other in others)
        assert first.output == ""
        assert not (tmp_path / "bundle").exists()


def test_what_all_ranks_find_is_said_without_a_rank(tmp_path):
    first, second = run_ranks(2, job(data="no-such.parquet"), tmp_path)
    assert (first.status, second.status) == (3, 3)
    assert first.errors.startswith("error: no-such.parquet: It cannot be read")
    assert len(first.errors.splitlines()) == 1
    assert second.errors == ""


def test_a_bundle_in_the_way_is_seen_by_rank_0_and_known_to_all(parts, tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "thesis.txt").write_text("mine")
    options = job("--solver", "lstsq", data=str(parts / "part-*.parquet"))
    first, second = run_ranks(2, options, tmp_path)
    assert (first.status, second.status) == (3, 3)
    assert first.errors.startswith("error: rank 0: ")
    assert "this directory is neither empty nor a bundle" in first.errors
    assert (tmp_path / "bundle" / "thesis.txt").read_text() == "mine"


EXCHANGE_AND_DIE = """
import json
import os
import numpy as np
from linexport.errors import LinexportError
from linexport.rows import open_ranks
with open_ranks() as ranks:
    values = np.array([[0.1, -0.0], [np.inf, 2.0**-1074]]) * (ranks.rank + 1)
    gathered = ranks.gather(values)
    total = ranks.sum(np.array([1.0, 10.0**ranks.rank]))
    print(json.dumps([[v.hex() for v in gathered.ravel().tolist()], total.tolist()]), flush=True)
    if ranks.rank == 1:
        os._exit(9)
    try:
        ranks.gather(values)
    except LinexportError as error:
        print(error)
"""


def test_arrays_come_back_bit_for_bit_and_a_rank_that_dies_is_noticed(tmp_path):
    values = np.array([[0.1, -0.0], [np.inf, 2.0**-1074]])
    expected = [v.hex() for factor in (1, 2, 3) for v in (values * factor).ravel().tolist()]
    ranks = run_ranks(3, ["-c", EXCHANGE_AND_DIE], tmp_path)
    lines = [ended.output.splitlines() for ended in ranks]
    assert [json.loads(first) for first, *_ in lines] == [[expected, [3.0, 111.0]]] * 3
    lost = "Rank {} has lost contact with another rank, which has ended or is stuck."
    assert [rest for _, *rest in lines] == [[lost.format(0)], [], [lost.format(2)]]
    assert [ended.status for ended in ranks] == [0, 9, 0]


def test_half_of_what_torchrun_sets_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ConfigError, match="WORLD_SIZE is set, but RANK is not"), open_ranks():
        pass
