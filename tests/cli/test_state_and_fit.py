"""Parts added up by themselves, and fitted together."""

import json
import os
import re
import shlex
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import linexport

COLUMNS = ("--target", "rent", "--weights", "times", "--categorical", "kind")


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Parts of one table, and the whole of it in another order."""
    random = np.random.default_rng(3)
    directory = tmp_path_factory.mktemp("lake")
    kind = random.choice(["flat", "house", "loft"], 4000)
    area = 50 + 10 * random.standard_normal(4000)
    rent = 10 * area + 80 * (kind == "house") + random.standard_normal(4000)
    table = pl.DataFrame({"area": area, "kind": kind, "times": random.random(4000), "rent": rent})
    for number, part in enumerate((table[:10], table[10:3000], table[3000:]), start=1):
        part.write_parquet(directory / f"part-{number}.parquet", row_group_size=300)
    table.reverse().write_parquet(directory / "whole.parquet", row_group_size=200)
    return directory


@pytest.fixture
def states(run, lake, tmp_path):
    """The state of each part."""
    paths = [tmp_path / f"part-{number}.state" for number in (1, 2, 3)]
    for number, path in enumerate(paths, start=1):
        table = lake / f"part-{number}.parquet"
        outcome = run("state", table, *COLUMNS, "--part", f"{number}/3", "-o", path)
        assert (outcome.status, outcome.errors) == (0, "")
    return paths


def fitted(run, bundle, *arguments):
    outcome = run("fit", *arguments, "-o", bundle, "--format", "onnx", "--json")
    assert outcome.status == 0, outcome.errors
    return json.loads(outcome.output)


def test_parts_give_the_bundle_of_the_whole(run, lake, states, tmp_path):
    whole = tmp_path / "whole.state"
    assert run("state", lake / "whole.parquet", *COLUMNS, "-o", whole).status == 0
    one = fitted(run, tmp_path / "one", *states, "--unit", "area=m²")
    other = fitted(run, tmp_path / "other", whole, "--unit", "area=m²")
    assert one.pop("bundle") != other.pop("bundle")
    assert one == other
    assert one["rows"] == 4000
    assert one["verdict"] == "proven"
    written = [(tmp_path / name / "model.onnx").read_bytes() for name in ("one", "other")]
    assert written[0] == written[1]
    columns = linexport.read_bundle(tmp_path / "one").manifest.encoding.columns
    assert columns[1].levels == ("flat", "house", "loft")


def test_the_fit_takes_the_settings_of_least_squares(run, states, tmp_path):
    fit = fitted(
        run, tmp_path / "bundle", *states, "--l2", 3, "--no-intercept", "--reference", "kind=loft",
        "--unknown", "reference",
    )  # fmt: skip
    assert fit["settings"] == {"l2": 3.0, "intercept": False, "rank_deficient": "error"}
    assert list(fit["coefficients"]["rent"]["features"]) == ["area", "kind[flat]", "kind[house]"]


def test_what_all_rows_decide_is_left_to_the_fit(run, tmp_path):
    """Means and categories that nobody named are those of one process with all rows."""
    whole = pl.DataFrame(
        {
            "age": [1.0, 4.0, None, 7.0, None, 2.0, 6.0, 6.0, 2.0, 8.0],
            "kind": ["a", "b", "a", "c", "c", "b", "a", "c", "b", "b"],
            "rent": [1.0, 3.0, 2.0, 9.0, 4.0, 7.0, 3.0, 5.0, 4.0, 1.0],
        }
    )
    choices = ("--target", "rent", "--categorical", "auto", "--missing", "mean")
    choices += ("--missing-indicator",)
    states = []
    for start, part in ((0, whole[:2]), (2, whole[2:3]), (3, whole[3:])):
        part.write_csv(tmp_path / f"{start}.csv")
        states.append(tmp_path / f"{start}.state")
        outcome = run("state", tmp_path / f"{start}.csv", *choices, "-o", states[-1])
        assert (outcome.status, outcome.errors) == (0, "")
    outcome = run("fit", *states, "-o", tmp_path / "bundle", "--format", "onnx")
    assert outcome.status == 0
    assert "Taken as categories: 'kind' (3 levels, against 'b')" in outcome.output + outcome.errors
    whole.write_csv(tmp_path / "whole.csv")
    command = ("train-and-export", "--data", tmp_path / "whole.csv", *choices, "--solver", "lstsq")
    assert run(*command, "-o", tmp_path / "known", "--format", "onnx").status == 0
    ours, known = (
        linexport.read_bundle(tmp_path / name).manifest.encoding for name in ("bundle", "known")
    )
    assert ours == known
    assert ours.features == ("age", "age[missing]", "kind[a]", "kind[c]")
    assert ours.columns[0].fill == 4.5


def test_a_state_that_is_not_there_is_named_once(run, tmp_path):
    refused = run("fit", tmp_path / "none.state", "-o", tmp_path / "b")
    assert refused.only_error == f"error: {tmp_path / 'none.state'}: No such file or directory."


def test_state_says_what_it_wrote(run, lake, tmp_path):
    path = tmp_path / "a.state"
    command = ("state", lake / "part-1.parquet", lake / "part-2.parquet", *COLUMNS, "-o", path)
    outcome = run(*command, "--part", "early")
    assert outcome.output == f"{path}: 3000 rows, part early\n"
    document = json.loads(run(*command, "--part", "early", "--json").output)
    state = linexport.State.from_bytes(path.read_bytes())
    assert document == {
        "path": str(path), "rows": 3000, "rows_dropped": 0, "parts": ["early"],
        "digest": state.digest,
    }  # fmt: skip


@pytest.mark.parametrize("num_ranks", [2, 3])
def test_torchrun_writes_the_same_bytes(run, lake, tmp_path, num_ranks):
    alone, together = tmp_path / "alone.state", tmp_path / "together.state"
    arguments = [str(lake / "whole.parquet"), *COLUMNS, "--part", "all", "-o"]
    assert run("state", *arguments, alone).status == 0
    ended = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone",
            f"--nproc-per-node={num_ranks}", "-m", "linexport", "state", *arguments, together,
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert together.read_bytes() == alone.read_bytes()


def test_a_part_given_twice_or_lost_is_one_line(run, states, tmp_path):
    twice = run("fit", states[0], states[1], states[0], "-o", tmp_path / "bundle")
    assert twice.status == 3
    assert f"{states[0]}: The part '1/3' is in both" in twice.only_error
    lost = run("fit", states[0], states[2], "-o", tmp_path / "bundle")
    assert lost.status == 3
    assert lost.only_error == "error: 1 of 3 parts are missing: 2/3. Merge their states too."
    assert not (tmp_path / "bundle").exists()


def taking_advice(run, arguments, before=()):
    """Paste what each refusal names, in every way that it does; return how each way ends."""
    outcome = run(*arguments, *before)
    if outcome.status == 0:
        return [outcome]
    assert len(before) < 8, outcome.only_error
    ways = outcome.only_error.split(", or ")
    pasted = [re.findall(r"--[\w-]+ [^\s,;:.]+(?:\.\d+)?", way) for way in ways]
    assert any(pasted), outcome.only_error
    return [
        end
        for options in filter(None, pasted)
        for end in taking_advice(run, arguments, (*before, *shlex.split(" ".join(options))))
    ]


@pytest.mark.parametrize(
    "given",
    ["", "--exclude kind", "--categorical auto", "--categorical kind --missing level",
     "--categorical kind --missing mean"],
)  # fmt: skip
def test_whatever_a_refusal_of_state_advises_is_taken(run, tmp_path, given):
    table = tmp_path / "flats.csv"
    rows = [f"{k},{k % 4 or ''},{'house' if k % 3 else 'flat'},{k * k}" for k in range(20)]
    table.write_text("\n".join(["area,floor,kind,rent", *rows, "21,1,flat,"]) + "\n")
    state = ("state", table, "--target", "rent", "-o", tmp_path / "x.state")
    ends = taking_advice(run, state, tuple(given.split()))
    assert any("20 rows" in end.output for end in ends)


@pytest.mark.parametrize(
    ("num_rows", "reference"), [(20, "kind=flat"), (20, "none"), (3, "none"), (3, "kind=flat")]
)
def test_whatever_a_refusal_of_fit_advises_is_taken(run, tmp_path, num_rows, reference):
    """Columns that others tell, or too few rows."""
    table, state = tmp_path / "flats.csv", tmp_path / "x.state"
    rows = [f"{k},{2 * k},{'house' if k % 3 else 'flat'},{k * k}" for k in range(num_rows)]
    table.write_text("\n".join(["area,double,kind,rent", *rows]) + "\n")
    run("state", table, "--target", "rent", "--categorical", "kind", "-o", state)
    fit = ("fit", state, "--format", "onnx", "--overwrite", "-o", tmp_path / "bundle")
    ends = taking_advice(run, fit, ("--reference", reference))
    assert len(ends) >= 2


def test_misuse_and_what_is_no_state_are_one_line(run, lake, tmp_path):
    table, path = lake / "part-1.parquet", tmp_path / "x.state"
    cases = {
        ("fit", table): (3, "this is no state"),
        ("fit", tmp_path / "nowhere.state"): (3, "No such file"),
        ("state", table, "-o", path): (2, "Name the column to predict with --target"),
        ("state", table, "--target", "rnt", "-o", path): (3, "did you mean 'rent'?"),
        ("state", table, *COLUMNS, "--missing", "median", "-o", path): (2, "(--missing mean)"),
        ("state", table, *COLUMNS, "--reference", "kind=flat", "-o", path): (
            2,
            "to the fit of all states",
        ),
        ("state", table, *COLUMNS, "--part", "4/3", "-o", path): (2, "no part '4/3'"),
    }
    for arguments, (status, message) in cases.items():
        outcome = run(*arguments)
        assert (outcome.status, message in outcome.only_error) == (status, True), outcome
        assert len(outcome.only_error) < 400
    assert not path.exists()


def test_no_other_kind_of_file_is_replaced(run, tmp_path):
    (table := tmp_path / "t.csv").write_text("x,y\n1,2\n2,5\n3,6\n")
    bundle, page, sums = tmp_path / "b", tmp_path / "p.html", tmp_path / "x.state"
    manifest = bundle / "manifest.json"
    commands = {
        page: ("report", bundle, "--data", table, "-o"),
        sums: ("state", table, "--target", "y", "-o"),
    }
    assert run("train-and-export", "--data", table, "--target", "y", "-o", bundle).status == 0
    for output, command in commands.items():
        assert run(*command, output).status == run(*command, output).status == 0
        for other in {table, manifest, page, sums} - {output}:
            if other.exists():
                before = other.read_bytes()
                refused = run(*command, other)
                assert (refused.status, "is not replaced" in refused.only_error) == (3, True)
                assert other.read_bytes() == before
    assert page.exists()
    assert sums.exists()


def test_a_cut_or_changed_state_is_refused(run, states, tmp_path):
    data = states[0].read_bytes()
    for wrong in (data[:-1], data[: len(data) // 2], data.replace(b"rent", b"tenr")):
        states[0].write_bytes(wrong)
        outcome = run("fit", *states, "-o", tmp_path / "bundle")
        assert outcome.status == 3
        assert "damaged" in outcome.only_error


@pytest.mark.filterwarnings("error::linexport.errors.NotWrittenWarning")
def test_what_is_too_coarse_is_not_written_and_said_in_the_report(run, tmp_path):
    """Near 1.7e18 float64 has every 256th integer."""
    rows = [f"{1_700_000_000_000_000_000 + 1_000 * n},{2 * n + n * n % 7}" for n in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["ns,y", *rows]))
    table, bundle = ["--target", "y"], ["-o", tmp_path / "b", "--overwrite"]
    run("state", tmp_path / "t.csv", *table, "-o", tmp_path / "t.state")
    trained = run("train-and-export", "--data", tmp_path / "t.csv", *table, *bundle)
    for done in (trained, run("fit", tmp_path / "t.state", *bundle)):
        assert done.status == 1
        assert done.output.splitlines()[-1] == "No bundle was written."
        assert "NotWrittenWarning" not in done.errors
    assert not (tmp_path / "b").exists()
