"""`linexport describe`."""

import json

import pytest

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
