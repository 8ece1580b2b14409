"""Tables as people have them: each is read as it is, or refused with what to paste, which works."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from reading import DROPPING, read_dataset

import linexport
from linexport.cli._main import linexport as command_line
from linexport.errors import DataError
from linexport.tables import Dialect, look, open_table

CASES = Path(__file__).parent / "cases"
DESCRIBE = "; linexport describe {} says more."

READ = {
    "small.csv.gz": ("y", [[1.0, 2.0]]),
    "hive": ("y", [[1.0, 2023.0], [2.0, 2023.0], [3.0, 2023.0]]),
    "pandas_index.parquet": ("y", [[2.0, 1.0]]),
    "float32_celsius_fahrenheit.parquet": ("y", None),
    "no_intercept_r2.csv": ("y", [[10.642851013845998]]),
    "unix_nanoseconds.parquet": ("y", [[1.7e18]]),
    "weights_all_100.csv": ("y", [[1.0, 100.0]]),
    "weights_counts.csv": ("y", [[1.0, 1.0], [2.0, 0.0], [3.0, 4.0]]),
}
"""Read as they are: the target, and the first rows of the features."""

REFUSED = {
    "comments_top.csv": (
        "load",
        "The header has no , ; | or tab; lines that begin with '#' may be comments: leave them out "
        "with --comment '#'.",
        {"comment": "#"},
        [[1.0, 20.5], [2.0, 21.0]],
    ),
    "decimal_comma.csv": (
        "y",
        "'a' has decimal commas ('1,5'); 'b' has decimal commas ('2,25'); 'y' has decimal commas "
        "('10,5'): read 'a', 'b', 'y' with --decimal ','{describe}",
        {"decimal": ","},
        [[1.5, 2.25], [2.5, 3.0], [3.75, 1.5]],
    ),
    "decimal_comma_thousands.csv": (
        "y",
        "'a' has thousands separators ('1.299,99'); 'b' has decimal commas ('2,25'); 'y' has "
        "decimal commas ('10,5'): read 'a', 'b', 'y' with --decimal ',' --thousands '.'{describe}",
        {"decimal": ",", "thousands": "."},
        [[1299.99, 2.25], [2100.5, 3.0], [3000.75, 1.5]],
    ),
    "thousands.csv": (
        "price",
        "'price' may have decimal commas or thousands separators ('1,234'): read 'price' with "
        "--decimal ',' or --thousands ','{describe}",
        {"thousands": ","},
        [[2.0], [3.0]],
    ),
    "units_row.csv": (
        "load",
        ", column 'time', row 1: 's' is not a number; below it are numbers: if the first row says "
        "units, leave it out with --skip-rows-after-header 1, or a column of text with --exclude "
        "time.",
        {"skip_rows_after_header": 1},
        [[1.0, 20.5], [2.0, 21.0]],
    ),
    "spaces.txt": (
        "y",
        "The header has no , ; | or tab; spaces separate the columns: read it with --delimiter "
        "whitespace.",
        {"delimiter": "whitespace"},
        [[0.1, 2.3], [0.2, 3.1], [0.35, 1.9]],
    ),
    "headerless.csv": (
        "column_2",
        "There is no column 'column_2'; the columns must be named, in CSV by the first line, but "
        "are called '1', '2'; if that is a row, read it with --no-header: column_1, column_2, ...",
        {"header": False},
        [[1.0], [2.0]],
    ),
    "na_question.csv": (
        "y",
        ", column 'a', row 3: There is no value; fill it in, as with --missing a=median, or leave "
        "such rows out with --missing drop.",
        None,
        [[1.0, 2.0], [2.0, 1.0], [5.0, 3.0]],
    ),
    "trailing_rows.csv": (
        "C",
        ", row 1: The header names 3 columns, but this row has 4; the line ends in ','; take that "
        "off, as with sed 's/,$//' trailing_rows.csv.",
        None,
        None,
    ),
    "text_columns.csv": (
        "price",
        "'street name' is text with 4 levels; 'kind' is text with 2 levels: take categories "
        "with --categorical kind, and leave out what is no feature with --exclude "
        "'street name'{describe}",
        None,
        None,
    ),
    "empty_column.csv": (
        "y",
        "'z' is empty: leave out what is no feature with --exclude z{describe}",
        None,
        None,
    ),
    "rownames.csv": ("dist", "'rownames' is what R writes of row numbers", None, None),
    "unnamed0.csv": ("price", "'Unnamed: 0' is what pandas writes of row numbers", None, None),
}
"""The target; what is said; the dialect that is advised, and the first rows that it gives."""


@pytest.fixture
def cases(tmp_path, monkeypatch):
    shutil.copytree(CASES, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def test_no_case_is_forgotten():
    assert {path.name for path in CASES.iterdir()} == {*READ, *REFUSED}


@pytest.mark.parametrize("name", READ)
def test_what_is_plain_is_read_as_it_is(cases, name):
    target, rows = READ[name]
    found = read_dataset(open_table(name), targets=target).feature_values
    assert len(found) > 2
    assert rows is None or found[: len(rows)].tolist() == rows


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_is_refused_with_what_to_paste(cases, name):
    target, said, dialect, rows = REFUSED[name]
    said = said.replace("{describe}", DESCRIBE.format(name))
    with pytest.raises(DataError) as caught:
        read_dataset(open_table(name), targets=target)
    expected = f"{name}{'' if said.startswith(',') else ': '}{said}"
    assert str(caught.value) == expected or str(caught.value).startswith(f"{expected}, ")
    if rows is not None:
        table = open_table(name, dialect=Dialect(**dialect) if dialect else None)
        found = read_dataset(table, targets=target, config=DROPPING).feature_values
        assert found[: len(rows)].tolist() == rows


@pytest.mark.parametrize("name", [name for name, case in REFUSED.items() if case[2]])
def test_the_first_advice_can_be_pasted(cases, name):
    """Into train-and-export as it stands in the message; and predicting takes it too."""
    target, said, dialect, _ = REFUSED[name]
    option = r"--(?:no-header|[\w-]+ (?:'[^']*'|\w+))"
    advice = re.search(f"{option}(?: {option})*", said)[0]
    options = shlex.split(advice)
    fit = ["train-and-export", "--data", name, "--target", target, "-o", "model", "-q"]
    runner = CliRunner()
    assert runner.invoke(command_line, [*fit, *options]).exit_code == 0
    outcome = runner.invoke(command_line, ["predict", "model", name, *options])
    rows = look(open_table(name, dialect=Dialect(**dialect))).rows
    assert (outcome.exit_code, outcome.output.count("\n")) == (0, rows + 1)


def test_what_a_model_was_trained_with_does_not_bind_what_is_predicted(tmp_path, cases):
    rows = linexport.read_data("decimal_comma.csv", targets="y", dialect=Dialect(decimal=","))
    exported = linexport.train_and_export(rows, tmp_path / "model")
    Path("points.csv").write_text("a,b\n1.5,2.25\n")
    for name, dialect in (("points.csv", None), ("decimal_comma.csv", Dialect(decimal=","))):
        linexport.predict_table(exported, name, "out.csv", dialect=dialect)
        first = Path("out.csv").read_text().splitlines()[1]
        assert np.isclose(float(first), 10.5, atol=1)


def test_predicting_names_both_readings(tmp_path, cases):
    rows = linexport.read_data("rownames.csv", targets="dist", exclude="rownames")
    exported = linexport.train_and_export(rows, tmp_path / "model")
    Path("t.csv").write_text('speed\n5\n"1,234"\n')
    with pytest.raises(DataError) as caught:
        linexport.predict_table(exported, "t.csv", "out.csv")
    assert str(caught.value) == (
        "t.csv, column 'speed', row 2: '1,234' is not a number; read it as 1.234 (--decimal ',') "
        "or as 1234 (--thousands ',')."
    )


@pytest.mark.parametrize("missing", ["3", "", "n/a"])
def test_a_column_with_a_value_that_is_no_number_is_kept_among_other_faults(tmp_path, missing):
    path = tmp_path / "t.csv"
    rows = [f"{'21x' if n in (7, 9) else n % 11},{'ab'[n % 2]},{n % 5},{n}" for n in range(30)]
    rows[3] = f"3,b,{missing},3"
    path.write_text("\n".join(["area,kind,age,price", *rows]))
    with pytest.raises(DataError, match=r"correct '21x' or take it for no value with") as told:
        linexport.read_data(path, targets="price")
    assert "--exclude" not in str(told.value)
    values = shlex.split(str(told.value).partition("--null-values ")[2])[0].removesuffix(",")
    assert values == "21x"
    assert "--missing median" in str(told.value)
    dataset = linexport.read_data(
        path,
        targets="price",
        dialect=linexport.Dialect(null_values=(values,)),
        categorical="kind",
        missing="median",
    )
    assert [column.name for column in dataset.features] == ["area", "kind[b]", "age"]


def test_units_below_the_header_are_said_among_other_faults(tmp_path):
    path = tmp_path / "t.csv"
    rows = [f"{n % 11},{'ab'[n % 2]},{n}" for n in range(30)]
    path.write_text("\n".join(["height,kind,price", "cm,,EUR", *rows]))
    with pytest.raises(DataError, match=r"units \('cm', 'EUR'\) leave it out with --skip-rows-af"):
        linexport.read_data(path, targets="price")


def test_units_above_decimal_commas_are_said_and_no_filling_of_what_lacks_nothing(tmp_path):
    path = tmp_path / "t.csv"
    rows = [f"{n % 11},5;{'ab'[n % 2]};{n}" for n in range(30)]
    path.write_text("\n".join(["height;kind;price", "cm;;EUR", *rows]))
    with pytest.raises(DataError) as told:
        linexport.read_data(path, targets="price")
    assert "units ('cm', 'EUR') leave it out with --skip-rows-after-header 1" in str(told.value)
    assert "--missing" not in str(told.value)
    assert "another target" not in str(told.value)


def test_a_typing_error_below_units_is_filled_in_where_it_is_taken_for_none(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("height,price\ncm,EUR\n1,3\nx,4\n3,5\n4,6\n")
    with pytest.raises(DataError) as told:
        linexport.read_data(path, targets="price")
    assert "--null-values cm,x, and fill 'height' in with --missing median" in str(told.value)


@pytest.mark.parametrize("columns", [2, 12])
def test_a_message_of_many_faults_is_short_whatever_the_dialect(tmp_path, columns):
    """What does not fit is told when the rest is mended; what is to be pasted is whole."""
    path = tmp_path / "t.csv"
    names = [f"a column of numbers {n}" for n in range(columns)]
    rows = [
        [f"lost {c}/{n}" if n in (c + 4, 20) else n % 7 for c in range(columns)] for n in range(30)
    ]
    rows[2] = [""] * columns
    lines = [";".join(map(str, row)) for row in [names, *rows]]
    path.write_bytes("\n".join(["# a title", *lines]).encode("utf-16-le"))
    dialect = linexport.Dialect(encoding="utf-16-le", delimiter=";", comment="#")
    with pytest.raises(DataError) as told:
        linexport.read_data(path, targets=names[-1], dialect=dialect)
    said = str(told.value).replace(str(path), "")
    assert len(said) <= 500
    assert said.endswith("says more.")
    assert ("--null-values" in said) == (columns == 2)


def test_a_message_is_short_where_all_that_it_says_is_as_long_as_it_may_be(tmp_path):
    """Names are many enough to be just worth pasting, and then too many."""
    path, lengths = tmp_path / "table.csv", []
    for length in range(6, 12):
        for count in (260 // length, 280 // length):
            names = [f"{n:0{length}}" for n in range(count)]
            cells = ["" if n % 2 else "word" for n in range(count)]
            rows = [["y", *names], ["1", *cells], ["2", *cells]]
            path.write_text("\n".join(map(",".join, rows)))
            with pytest.raises(DataError) as told:
                linexport.read_data(path, targets="y")
            lengths.append(len(str(told.value).replace(str(tmp_path), "")))
    assert 470 < max(lengths) <= 500


@pytest.mark.parametrize("columns", [12, 40])
def test_columns_to_leave_out_are_all_named_where_that_can_be_read(tmp_path, columns):
    path = tmp_path / "t.csv"
    names = [f"a column of text {n}" for n in range(columns)]
    rows = [[*(f"t{c}{n}" for c in range(columns)), n] for n in range(60)]
    path.write_text("\n".join(",".join(map(str, row)) for row in [[*names, "y"], *rows]))
    with pytest.raises(DataError) as told:
        linexport.read_data(path, targets="y")
    said = str(told.value).replace(str(path), "")
    assert len(said) <= 500
    assert "--exclude" in said
    assert (names[-1] in said) == (columns == 12)
