"""`linexport describe`."""

import json
import re
import shlex

import pytest

import linexport
from linexport.errors import DataError

HOUSES = """\
listed,kind,price,area,garden,tax,z,rooms,country
2024-01-05,flat,"1,234",50.5,true,5%,,2,DE
2024-02-07,house,"2,345",70,false,6%,,?,DE
2024-03-08,flat,"3,999",NA,true,5.5%,,4,DE
2024-03-09,,"12,999",90,true,5.5%,,4,DE
"""
SEEN = """\
houses.csv: 4 rows, 9 columns
  column   kind                 missing  values
  listed   date                       0  such as '2024-01-05', '2024-02-07', '2024-03-08'
  kind     text                       1  2 levels: flat (2), house (1)
  price    number with a comma        0  such as '1,234', '2,345', '3,999'
  area     number                     1  50.5 to 90
  garden   boolean                    0  2 levels: true (3), false (1)
  tax      number with a sign         0  such as '5%', '6%', '5.5%'
  z        empty                      4  none
  rooms    number                     1  2 to 4
  country  text                       0  always DE
Numbers, if read with --thousands ',' --strip '%': 'price', 'tax'
"""


@pytest.fixture
def houses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "houses.csv").write_text(HOUSES)
    return "houses.csv"


def test_each_column_gets_a_line(run, houses):
    outcome = run("describe", houses)
    assert (outcome.status, outcome.output, outcome.errors) == (0, SEEN, "")


def test_numbers_that_are_not_written_in_one_way_are_shown_with_their_rows(run, tmp_path):
    """In the file that they are in; a value that is missing is no row less."""
    for name, rows in (("a", "1,5;1\n;2\n"), ("b", "3;4\n;8\n2.5;16\n")):
        (tmp_path / f"{name}.csv").write_text(f"x;y\n{rows}")
    (*_, line) = run("describe", tmp_path).output.splitlines()
    a, b = (tmp_path / name for name in ("a.csv", "b.csv"))
    assert line == (
        f"Numbers are not written in one way: '1,5' (row 1 of 'x' in {a}) and "
        f"'2.5' (row 3 of 'x' in {b})"
    )


def test_json_says_the_same(run, houses):
    document = json.loads(run("describe", houses, "--json").output)
    assert (document["source"], document["rows"]) == ("houses.csv", 4)
    assert [column["kind"] for column in document["columns"]][:3] == [
        "date", "text", "number with a comma",
    ]  # fmt: skip
    assert document["columns"][1]["levels"] == {"flat": 2, "house": 1}


def test_a_table_that_is_not_there_is_one_line(run):
    outcome = run("describe", "nowhere.csv")
    assert (outcome.status, outcome.errors.count("\n")) == (3, 1)


def test_what_says_more_reads_the_file_as_it_was_read(run, tmp_path):
    path = tmp_path / "a table.csv"
    path.write_text("# notes\nFläche|Art|y\n1,5|flat|2\n2,5|flat|4\n", "cp1252")
    as_it_is = ("--encoding", "cp1252", "--delimiter", "|", "--comment", "#", "--decimal", ",")
    said = run("train-and-export", "--data", path, "--target", "y", *as_it_is).errors
    assert "'Art' is text with 1 level" in said
    (command,) = re.findall(r"linexport (describe .*) says more", said)
    outcome = run(*shlex.split(command))
    assert outcome.status == 0, outcome.errors
    assert "Fläche" in outcome.output
    path.write_text("Fläche,Art,y\n1,flat,2\n2,flat,4\n", "cp1252")
    dialect = linexport.Dialect(encoding="cp1252")
    with pytest.raises(DataError, match=r"dialect=Dialect\(encoding='cp1252'\)\) says more"):
        linexport.read_data(path, targets="y", dialect=dialect)
