"""A directory of parts: names, what is done, what is done again."""

import gzip
import json
import os
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from predicted import predict_into_parts

from linexport.errors import ConfigError, DataError
from linexport.tables import Dialect
from linexport.tables._opening import open_table

ARTIFACT = "a" * 64


@pytest.fixture(autouse=True)
def lake(tmp_path, monkeypatch) -> Path:
    """Three files, of 1, 2 and 3 rows; y of row a is 2 a + 0.5."""
    monkeypatch.chdir(tmp_path)
    Path("lake").mkdir()
    for number in range(1, 4):
        rows = "".join(f"{number * 10 + row},0,{row:03}\n" for row in range(number))
        Path(f"lake/p{number}.csv").write_text(f"a,b,id\n{rows}")
    return tmp_path


@pytest.fixture
def run(predictor):
    """Score the lake into out/, and tell the names of the parts that were written anew."""

    def score(source="lake", directory="out", artifact=ARTIFACT, dialect=None, **settings):
        table = open_table(source, dialect=dialect)
        predicted = predict_into_parts(
            table, predictor, Path(directory), artifact_sha256=artifact, **settings
        )
        return [part.path.name for part in predicted.parts if not part.done_before]

    return score


def files(directory: str) -> list[str]:
    return sorted(
        path.relative_to(directory).as_posix()
        for path in Path(directory).rglob("*")
        if path.is_file() and "_linexport" not in path.parts
    )


def test_every_file_has_a_part_of_its_name_and_rows(predictor, run):
    predicted = predict_into_parts(
        open_table("lake"), predictor, Path("out"), artifact_sha256=ARTIFACT, keep=["id"]
    )
    assert [part.path for part in predicted.parts] == [Path(f"out/p{n}.csv") for n in (1, 2, 3)]
    assert [part.rows_written for part in predicted.parts] == [1, 2, 3]
    assert (predicted.rows_read, predicted.rows_written, predicted.rows_without_prediction) == (
        6,
        6,
        0,
    )
    assert Path("out/p2.csv").read_text() == "id,y,z\n000,40.5,19.0\n001,42.5,20.0\n"
    assert open_table("out").names == ("id", "y", "z")  # the records are in nobody's way
    assert files("out") == ["p1.csv", "p2.csv", "p3.csv"]


def test_the_format_is_that_of_the_file_or_the_one_asked_for(run):
    pl.DataFrame({"a": [1], "b": [2]}).write_parquet("one.pq")
    Path("two.tab").write_text("a\tb\n1\t2\n")
    run("one.pq")
    run("two.tab")
    run("lake", suffix=".parquet")
    assert files("out") == ["one.parquet", "p1.parquet", "p2.parquet", "p3.parquet", "two.tsv"]
    assert Path("out/two.tsv").read_text() == "y\tz\n-5.5\t2.0\n"
    assert pl.read_parquet("out/p3.parquet")["y"].to_list() == [60.5, 62.5, 64.5]


def test_directories_below_the_fixed_part_of_a_pattern_are_kept(run):
    for year in (2024, 2025):
        Path(f"lake/year={year}").mkdir()
        Path(f"lake/year={year}/part.csv").write_text(f"a,b\n{year},0\n")
    run("lake/*/*.csv")
    assert files("out") == ["year=2024/part.csv", "year=2025/part.csv"]
    assert Path("out/year=2025/part.csv").read_text().startswith("y,z\n4050.5,")
    assert run("lake/**/part.csv", resume=True) == []


def test_parts_of_compressed_files_and_partitions_are_named_after_what_is_in_them(run):
    Path("hive/b=2").mkdir(parents=True)
    Path("hive/b=2/rows.csv.gz").write_bytes(gzip.compress(b"a,id\n1,x\n"))
    Path("hive/b=3").mkdir()
    Path("hive/b=3/rows.csv").write_bytes(b"a,id\n1,x\n")
    assert run("hive") == ["rows.csv", "rows.csv"]
    assert files("out") == ["b=2/rows.csv", "b=3/rows.csv"]
    assert run("hive", resume=True) == []


def test_nothing_is_done_twice_when_resumed(predictor, run):
    assert run() == ["p1.csv", "p2.csv", "p3.csv"]
    before = {name: Path("out", name).stat() for name in files("out")}
    asked = len(predictor.runtime.calls)
    predicted = predict_into_parts(
        open_table("lake"), predictor, Path("out"), artifact_sha256=ARTIFACT, resume=True
    )
    assert [part.done_before for part in predicted.parts] == [True] * 3
    assert predicted.rows_written == 6
    assert len(predictor.runtime.calls) == asked
    assert {name: Path("out", name).stat().st_ino for name in before} == {
        name: status.st_ino for name, status in before.items()
    }
    assert run() == ["p1.csv", "p2.csv", "p3.csv"]  # without --resume, all of it


def change_input():
    Path("lake/p2.csv").write_text("a,b,id\n20,0,000\n21,0,002\n")


def touch_input():
    status = Path("lake/p2.csv").stat()
    os.utime("lake/p2.csv", ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def change_part():
    Path("out/p2.csv").write_text(Path("out/p2.csv").read_text().replace("4", "5", 1))


def damage_record():
    path = Path("out/_linexport/p2.csv.json")
    path.write_text(path.read_text()[:-20])


def newer_record():
    path = Path("out/_linexport/p2.csv.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"more": 1}))


@pytest.mark.parametrize(
    "change",
    [
        change_input,
        touch_input,
        change_part,
        damage_record,
        newer_record,
        lambda: Path("out/p2.csv").unlink(),
        lambda: Path("out/_linexport/p2.csv.json").unlink(),
        lambda: Path("out/_linexport/p2.csv.json").write_bytes(
            Path("out/_linexport/p1.csv.json").read_bytes()
        ),
    ],
    ids=[
        "other rows", "touched", "part edited", "record cut off", "record of a newer linexport",
        "part removed", "no record", "another's record",
    ],
)  # fmt: skip
def test_what_is_not_as_recorded_is_done_again(run, change):
    run()
    whole = {name: Path("out", name).read_bytes() for name in files("out")}
    change()
    assert run(resume=True) == ["p2.csv"]
    assert {name: Path("out", name).read_bytes() for name in files("out")} == whole
    assert run(resume=True) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"artifact": "b" * 64},
        {"keep": ["id"]},
        {"missing": "nan"},
        {"dialect": Dialect(null_values=("-999",))},
    ],
    ids=["another model", "other columns", "other rows", "another dialect"],
)
def test_parts_of_another_request_are_done_again(run, settings):
    run()
    assert run(**settings, resume=True) == ["p1.csv", "p2.csv", "p3.csv"]
    assert run(**settings, resume=True) == []


def test_parts_whose_ranges_were_not_looked_at_are_done_again(predictor, run):
    run()
    with pytest.warns(UserWarning, match="states no training range"):
        looking = replace(predictor, check_range="warn")
    settings = {"artifact_sha256": ARTIFACT, "resume": True}
    predicted = predict_into_parts(open_table("lake"), looking, Path("out"), **settings)
    assert not any(part.done_before for part in predicted.parts)


def test_a_file_that_is_new_is_done_beside_those_that_are(run):
    run()
    Path("lake/p25.csv").write_text("a,b,id\n1,2,3\n")
    assert run(resume=True) == ["p25.csv"]


def test_a_failure_leaves_the_parts_before_it_and_none_of_its_own(run):
    good = Path("lake/p2.csv").read_text()
    Path("lake/p2.csv").write_text(good + "oops,0,9\n")
    with pytest.raises(DataError, match=r"^lake/p2.csv, column 'a', row 3: 'oops' is not a number"):
        run()
    assert files("out") == ["p1.csv"]
    Path("lake/p2.csv").write_text(good)
    assert run(resume=True) == ["p2.csv", "p3.csv"]


def test_a_part_without_its_record_is_done_again(run, monkeypatch):
    """As a kill leaves it between the two."""

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("linexport.predicting._parts.write_file", killed)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert files("out") == ["p1.csv"]
    assert run(resume=True) == ["p1.csv", "p2.csv", "p3.csv"]


def test_two_files_never_share_a_part(run):
    Path("other").mkdir()
    Path("other/p1.csv").write_text("a,b,id\n1,2,3\n")
    with pytest.raises(DataError, match=r"^other/p1.csv: Its part would be p1.csv, as that of lak"):
        run(["lake", "other/p1.csv"])
    Path("lake/p1.tsv").write_text("a\tb\tid\n1\t2\t3\n")
    with pytest.raises(DataError, match=r"Its part would be p1.csv"):
        run(suffix=".csv")
    assert not Path("out").exists()


def test_an_input_is_never_replaced(run):
    before = Path("lake/p1.csv").read_text()
    for source, directory in (("lake", "lake"), ("lake/p*.csv", "."), ("lake/p1.csv", "lake/..")):
        with pytest.raises(ConfigError, match="this input lies within the output's directory"):
            run(source, directory)
    Path("out").mkdir()
    Path("out/p3.csv").symlink_to(Path("lake/p1.csv").resolve())
    with pytest.raises(ConfigError, match=r"out/p3\.csv: the output would replace the input"):
        run()
    assert Path("lake/p1.csv").read_text() == before
    assert files("out") == ["p3.csv"]


@pytest.mark.parametrize(
    ("source", "directory", "error", "said"),
    [
        ({"a": [1], "b": [2]}, "out", ConfigError, "dict: parts are named after files"),
        ("lake", "none/out", DataError, "none/out: There is no directory none"),
        ("lake", "note", DataError, "note: It cannot be made: File exists"),
    ],
)
def test_what_cannot_have_parts_is_refused(run, source, directory, error, said):
    Path("note").write_text("a file")
    with pytest.raises(error, match=said):
        run(source, directory)
