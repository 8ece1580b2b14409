"""How text is written: each setting alone and with others, and what is refused."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st

import linexport
from linexport.encoding import MISSING, CategoryColumn, DateColumn, Encoding
from linexport.errors import ConfigError, DataError
from linexport.tables import Dialect, look, open_table
from linexport.tables._numbers import as_numbers
from linexport.tables._readings import advice


def numbers(source, columns, **dialect) -> list:
    batches = open_table(source, dialect=Dialect(**dialect)).batches(columns)
    return np.concatenate([batch.numbers() for batch in batches]).tolist()


NUMBERS = {
    "a decimal comma": ({"decimal": ","}, {"1,5": 1.5, "-,5": -0.5, "2,": 2, "1,5e3": 1500}),
    "thousands": ({"thousands": ","}, {"1,234": 1234, "1,234.5": 1234.5, "12,34,567": 1234567}),
    "points for thousands": (
        {"decimal": ",", "thousands": "."}, {"1.299,99": 1299.99, "1.299": 1299, "-4": -4},
    ),
    "spaces for thousands": (
        {"thousands": " "}, {"1 234": 1234, "1\u00a0234": 1234, "1\u202f234\u202f567.5": 1234567.5},
    ),
    "quotes for thousands": ({"thousands": "'"}, {"1'234": 1234, "1\u2019234": 1234}),
    "underscores": ({"thousands": "_"}, {"1_234": 1234}),
    "signs": (
        {"strip": "$,%,USD"},
        {"$5": 5, "5%": 5, "5 %": 5, "-$5": -5, "$-5": -5, "5 USD": 5, "USD 5": 5, "6": 6},
    ),
    "signs and thousands": ({"strip": "€", "thousands": ","}, {"€ 1,234.50": 1234.5}),
    "brackets are a minus": (
        {"strip": "$,()", "thousands": ","},
        {"(2)": -2, "( 1,234.5 )": -1234.5, "($5)": -5, "$ (5)": -5, "-2": -2, "$6": 6},
    ),
    "a minus behind": ({"strip": "EUR,-"}, {"5-": -5, "5 -": -5, "5- EUR": -5, "-5": -5, "5": 5}),
    "a long minus": ({"strip": "\u2212"}, {"\u22125": -5, "\u20135": -5, "-5": -5, "5": 5}),
    "infinity": ({"decimal": ","}, {"inf": np.inf, "-Infinity": -np.inf}),
}  # fmt: skip
NO_NUMBERS = {
    "a point where commas are decimal": ({"decimal": ","}, ["1.5", "1.299,99", "1,2,3", ","]),
    "groups that are none": (
        {"thousands": ","}, ["1,2", "1,23", "1,2345", "0,123", ",123", "1,,234", "1234,567"],
    ),
    "two separators": ({"thousands": " "}, ["1  234", "1,234"]),
    "a minus twice": ({"strip": "(),-,\u2212"}, ["(-5)", "-5-", "(5-)", "\u22125-", "((5))", "(5"]),
    "signs that are not stripped": ({"strip": "$"}, ["5%", "$$5", "$", "5$5"]),
    "text": ({"strip": "$", "thousands": ","}, ["a", "1a", "-", "nan", "1e", "٣"]),
}  # fmt: skip


@pytest.mark.parametrize("case", NUMBERS)
def test_text_is_the_number_that_its_dialect_makes_of_it(case):
    dialect, values = NUMBERS[case]
    assert as_numbers(pl.Series([*values]), Dialect(**dialect)).to_list() == [*values.values()]


@pytest.mark.parametrize("case", NO_NUMBERS)
def test_text_that_its_dialect_does_not_write_is_no_number(case):
    dialect, values = NO_NUMBERS[case]
    assert as_numbers(pl.Series(values), Dialect(**dialect)).null_count() == len(values)


@given(
    value=st.floats(allow_nan=False, allow_infinity=False, width=32),
    places=st.integers(0, 9),
    decimal=st.sampled_from(".,"),
    thousands=st.sampled_from([None, ",", ".", " ", "'", "_"]),
)
def test_numbers_written_in_any_dialect_are_read_back(value, places, decimal, thousands):
    if thousands == decimal:
        thousands = None
    text = f"{value:,.{places}f}".replace(".", "D").replace(",", thousands or "")
    dialect = Dialect(decimal=decimal, thousands=thousands)
    read = as_numbers(pl.Series([text.replace("D", decimal)]), dialect)
    assert read.to_list() == [float(f"{value:.{places}f}")]


READINGS = {
    "1,234": "read it as 1.234 (--decimal ',') or as 1234 (--thousands ',')",
    "-1,234": "read it as -1.234 (--decimal ',') or as -1234 (--thousands ',')",
    "3,14": "read it as 3.14 (--decimal ',')",
    "0,123": "read it as 0.123 (--decimal ',')",
    "1,234,567": "read it as 1234567 (--thousands ',')",
    "1,234.5": "read it as 1234.5 (--thousands ',')",
    "1.234,5": "read it as 1234.5 (--decimal ',' --thousands '.')",
    "1 234": "read it as 1234 (--thousands ' ')",
    "1 234,5": "read it as 1234.5 (--decimal ',' --thousands ' ')",
    "1'234": 'read it as 1234 (--thousands "\'")',
    "$5": "read it as 5 (--strip '$')",
    "5%": "read it as 5 (--strip '%')",
    "£1,234.50": "read it as 1234.5 (--thousands ',' --strip '£')",
    "(2)": "read it as -2 (--strip '()')",
    "($1,234.50)": "read it as -1234.5 (--thousands ',' --strip '$,()')",
    "1.234,50-": "read it as -1234.5 (--decimal ',' --thousands '.' --strip '-')",
    "\u22122.5": "read it as -2.5 (--strip '\u2212')",
    "red": "",
    "5 rooms": "",
    "2024-01-05": "",
}


@pytest.mark.parametrize("value", READINGS)
def test_each_reading_of_a_value_is_named(value):
    assert advice(pl.Series([value]), Dialect()) == READINGS[value]


@pytest.mark.parametrize(
    ("before", "value", "said"),
    [
        (["5", None], "1,234", READINGS["1,234"]),
        (["1.5"], "1,234", "read it as 1234 (--thousands ',')"),
        (["1.5"], "2,5", "write it in the way of those before it"),
        (["1.5"], "red", ""),
    ],
)
def test_a_reading_is_one_of_the_values_before_it_too(before, value, said):
    assert advice(pl.Series([*before, value]), Dialect()) == said


def test_what_is_ambiguous_in_one_column_may_not_be_in_the_table(write):
    write("a;b;c\n1,234;5%;1\n2,345;6%;2\n")
    assert look(open_table("t.csv")).readings == (
        "--decimal ',' --strip '%'",
        "--thousands ',' --strip '%'",
    )
    write("a;b;c\n1,234;5%;1\n2,345;6,5%;2\n")
    found = look(open_table("t.csv"))
    assert found.readings == ("--decimal ',' --strip '%'",)
    assert found.columns[0].readings == ("--decimal ','", "--thousands ','")
    write("a;b;c\n1,234;5%;1\n2,345;6%;2.5\n")  # c has a decimal point
    assert look(open_table("t.csv")).readings == ("--thousands ',' --strip '%'",)


def test_a_unit_behind_all_of_a_column_is_a_sign(write):
    cells = [
        ["1,5 kg", "1 m2", "7/10", "500 g", "3 rooms", "4 kg"],
        ["2 kg", "3 m2", "10/10", "1 kg", "2 rooms", "red"],
        ["7 kg", "5 m2", "1/10", "2 kg", "3 rooms", "5 kg"],
    ]
    write("\n".join(["a;b;of ten;two units;two values;a word", *map(";".join, cells)]))
    found = look(open_table("t.csv"))
    assert [column.kind for column in found.columns] == ["text"] * 6
    assert [bool(column.readings) for column in found.columns] == [True] * 3 + [False] * 3
    assert found.readings == ("--decimal ',' --strip /10,kg,m2",)
    dialect = Dialect(decimal=",", strip="/10,kg,m2")
    read = look(open_table("t.csv", dialect=dialect)).columns[:3]
    assert [column.maximum for column in read] == [7, 5, 10]


def test_two_currencies_are_not_taken_for_one(write):
    write("a;b\n$5;5%\n\u20ac6;6%\n")
    money, share = look(open_table("t.csv")).columns
    assert (money.kind, money.readings) == ("number with a sign", ())
    assert share.readings == ("--strip '%'",)


def test_one_bracket_is_no_sign():
    with pytest.raises(ConfigError, match=r"strip takes brackets as one, '\(\)'"):
        Dialect(strip="(,)")


def test_a_look_heeds_the_dialect(write):
    write("a;b\n1.234,5;x\n-999;y\n")
    dialect = Dialect(decimal=",", thousands=".", null_values=("-999",))
    number, text = look(open_table("t.csv", dialect=dialect)).columns
    assert (number.kind, number.minimum, number.missing) == ("number", 1234.5, 1)
    assert (text.kind, text.readings) == ("text", ())


@pytest.mark.parametrize(
    "missing",
    [
        "",
        "NA",
        "N/A",
        "n/a",
        "NaN",
        "null",
        "NULL",
        "?",
        ".",
        "-",
        "<NA>",
        "\\N",
        "#N/A",
        "#DIV/0!",
    ],
)
def test_usual_spellings_of_no_value_are_missing(write, missing, block_bytes):
    source = write(f"x,y\n1,2\n{missing},3\n {missing} ,4\n")
    assert np.isnan(numbers(source, ["x"])).ravel().tolist() == [False, True, True]


def test_the_documentation_lists_the_usual_spellings():
    text = (Path(__file__).parents[2] / "docs" / "tables.md").read_text()
    assert all(f"`{missing}`" in text for missing in MISSING if missing)


@pytest.mark.parametrize("cell", ["-999", " gone ", "NA", ""])
def test_null_values_are_missing_in_categories_and_dates_too(write, cell):
    write(f"kind,day\nflat,2024-01-05\n{cell},{cell}\n")
    encoding = Encoding(
        columns=(
            CategoryColumn(name="kind", levels=("flat",), reference=None, missing="level"),
            DateColumn(name="day", origin="2024-01-01"),
        )
    )
    table = open_table("t.csv", dialect=Dialect(null_values=("-999", "gone")))
    (batch,) = table.batches(encoding, ["kind"])
    assert np.array_equal(batch.numbers(), [[1, 0, 4], [0, 1, np.nan]], equal_nan=True)
    kept = pl.DataFrame(batch.kept_and((), np.empty((2, 0))))
    assert kept.rows() == [("flat",), (cell or None,)]


DAYS = {
    None: {"2024-01-31": 30, "2024.2.1": 31, "2024/01/02 12:00": 1.5},
    "dmy": {"31/01/2024": 30, "1.2.2024": 31, "01-02-2024 06:00": 31.25, "2024-02-01": 31},
    "mdy": {"01/31/2024": 30, "2.1.2024": 31, "02-01-2024T06:00Z": 31.25, "2024-02-01": 31},
}


@pytest.mark.parametrize("order", DAYS)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_dates_are_read_in_the_order_that_is_said(write, order, kind):
    heads = {"csv": ("day\n", "{}\n"), "jsonl": ("", '{{"day": "{}"}}\n')}
    head, line = heads[kind]
    source = write(head + "".join(map(line.format, DAYS[order])), f"t.{kind}")
    encoding = Encoding(columns=(DateColumn(name="day", origin="2024-01-01"),))
    (batch,) = open_table(source, dialect=Dialect(date_order=order)).batches(encoding)
    assert batch.numbers()[:, 0].tolist() == [*DAYS[order].values()]


@pytest.mark.parametrize(
    ("order", "cell", "said"),
    [
        (None, "31/01/2024", "read it as 2024-01-31 (--date-order dmy)."),
        (None, "01/31/2024", "read it as 2024-01-31 (--date-order mdy)."),
        (
            None,
            "1.2.2024",
            "read it as 2024-02-01 (--date-order dmy) or as 2024-01-02 (--date-order mdy).",
        ),
        (None, "1.2.24", "write year-month-day, as 2024-01-01."),
        (None, "30/02/2024", "write year-month-day, as 2024-01-01."),
        ("mdy", "31/01/2024", "write year-month-day, as 2024-01-01."),
        ("dmy", "1/2.2024", "write year-month-day, as 2024-01-01."),
        ("dmy", "1/2/20245", "write year-month-day, as 2024-01-01."),
    ],
)
def test_a_date_in_another_order_is_refused_with_those_that_read_it(write, order, cell, said):
    table = open_table(write(f"day\n{cell}\n"), dialect=Dialect(date_order=order))
    encoding = Encoding(columns=(DateColumn(name="day", origin="2024-01-01"),))
    with pytest.raises(DataError) as told:
        next(table.batches(encoding))
    assert str(told.value) == (f"t.csv, column 'day', row 1: '{cell}' is not a date; {said}")


def test_null_values_that_are_given_are_added_to_the_usual(write, block_bytes):
    source = write("x,y\n-999,2\n5,-\n,3\nlost,gone\n")
    found = numbers(source, ["x", "y"], null_values=("-999", "gone,lost"))
    assert np.isnan(found).tolist() == [[True, False], [False, True], [True, False], [True, True]]
    with pytest.raises(DataError, match="column 'y', row 4: 'gone' is not a number"):
        numbers(source, ["y"], null_values=("-999",))


TOPS = {
    "lines above": ("Report\n\n", {"skip_rows": 2}, ""),
    "comments": ("# a, b\n\n#c;d\n", {"comment": "#"}, ""),
    "comments everywhere": ("// 5\" pipe\n", {"comment": "//"}, "// \"\n"),
    "units": ("", {"skip_rows_after_header": 1}, "m,s,\"\n\"\n"),
    "what Excel writes for itself": ("sep=,\n", {}, ""),
    "all of these": (
        "title\n# no\n", {"skip_rows": 1, "comment": "#", "skip_rows_after_header": 1}, "#\nm,s,\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("case", TOPS)
def test_what_is_no_row_is_left_out_and_not_counted(write, case, newline, mark, block_bytes):
    top, dialect, below = TOPS[case]
    text = f'{mark}{top}x,y,note\n{below}1,2,"#a\n# b"\n3,4,c\n5,six,d\n'
    source = write(text.replace("\n", newline))
    assert numbers(source, ["x"], **dialect) == [[1], [3], [5]]
    with pytest.raises(DataError, match=r"^t.csv, column 'y', row 3: 'six' is not a number"):
        numbers(source, ["y"], **dialect)
    kept = pl.concat(
        [
            batch.kept
            for batch in open_table(source, dialect=Dialect(**dialect)).batches(["x"], ["note"])
        ]
    )
    assert kept["note"][0] == f"#a{newline}# b"


def test_a_file_without_a_header_names_its_columns_by_their_places(write, block_bytes):
    source = write("1,2\n3,4\n")
    table = open_table(source, dialect=Dialect(header=False))
    assert table.names == ("column_1", "column_2")
    assert numbers(source, ["column_2"], header=False) == [[2], [4]]


@pytest.mark.parametrize(
    "text",
    [
        "x1  x2\t y\n 0.1 2   3\n\t4 5 6  \n",
        "x1 x2 y\r\n0.1\t2 3\r\n4 5 6\r\n",
        "x1 x2 y\n0.1 2 3\n4 5 6",
    ],
)
def test_any_spaces_separate_fields_if_asked(write, text, block_bytes):
    source = write(text)
    assert numbers(source, ["x1", "y"], delimiter="whitespace") == [[0.1, 3], [4, 6]]


def test_quoted_fields_may_hold_spaces_that_do_not_separate(write):
    source = write('name "the x"  y\n"a  b"   1 2\nc 3 4\n')
    assert numbers(source, ["the x", "y"], delimiter="whitespace") == [[1, 2], [3, 4]]
    with pytest.raises(DataError, match="row 1: 'a  b' is not a number"):
        numbers(source, ["name"], delimiter="whitespace")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252", "shift_jis", "utf-8-sig"])
def test_text_in_other_encodings_is_read_if_it_is_said_which(write, encoding, block_bytes):
    name = "価格" if encoding == "shift_jis" else "café"
    source = write(f"{name},y\n1,2\n3,4\n".encode(encoding))
    assert numbers(source, [name], encoding=encoding) == [[1], [3]]


def test_utf16_with_its_mark_needs_no_word(write):
    assert numbers(write("é,y\n1,2\n".encode("utf-16")), ["é"]) == [[1]]


def test_what_is_no_text_in_the_encoding_is_told_of_in_its_row(write, block_bytes):
    source = write(b"x,note\n1,a\n2,\x81\n")
    for encoding in ("utf-8", "cp1252"):
        with pytest.raises(
            DataError, match=rf"row 2: Byte 0x81 is not {encoding.upper()}; .*--enc"
        ):
            numbers(source, ["x"], encoding=encoding)
    with pytest.raises(DataError, match=r"t.csv: It is not text in utf-16: .*--encoding"):
        numbers(write("x,y\n1,2\n".encode("utf-16") + b"\x01"), ["x"], encoding="utf-16")


@pytest.mark.parametrize(
    "settings",
    [
        {"decimal": ";"}, {"thousands": "."}, {"thousands": ""}, {"decimal": ",", "thousands": ","},
        {"encoding": "no such"}, {"encoding": "base64"}, {"comment": ""}, {"comment": "a\n"},
        {"skip_rows": -1}, {"skip_rows": 1.5}, {"header": 1}, {"delimiter": "  "},
        {"null_values": "NA"}, {"strip": None},
    ],
    ids=repr,
)  # fmt: skip
def test_a_dialect_is_valid_from_birth(settings):
    with pytest.raises(ConfigError):
        Dialect(**settings)


def test_a_dialect_is_refused_where_there_is_no_text(tmp_path):
    pl.DataFrame({"x": [1.0]}).write_parquet(tmp_path / "t.parquet")
    for source in (tmp_path / "t.parquet", {"x": [1.0]}):
        with pytest.raises(
            ConfigError, match="decimal is for CSV, JSON lines and Excel; this table is not"
        ):
            open_table(source, dialect=Dialect(decimal=","))


LINES = {
    "a title": ("Report of 2024\nx,y\n1,2\n3,4\n", "he first line does not fit the rest: read it "
        "with --skip-rows 1"),
    "a title with commas": ("Report, of, all\n\nx,y\n1,2\n3,4\n", "he first 2 lines do not fit the "
        "rest: read it with --skip-rows 2"),
    "a title as spreadsheets write it": ("Visits in May,,\n,,\nx,kind,y\n1,a,3\n", "he first line "
        "names no columns, as a title does not: read it with --skip-rows 2"),
    "no names": (",,\n1,2,3\n4,5,6\n", "Columns 1 and 2 have no name; name them"),
    "a title above spaces": ("Of all rooms\n\nx y\n1 2\n3 4\n", "he first 2 lines do not fit the "
        "rest: read it with --skip-rows 2 --delimiter whitespace"),
    "a title above decimal commas": ("Report, north\na;y\n1,5;2,5\n3;4,5\n1,0;2,2\n2,0;1,0\n",
        "he first line does not fit the rest: read it with --skip-rows 1"),
    "comments with commas": ("# a, b, c\nx,y\n1,2\n3,4\n", "leave them out with --comment '#'"),
    "R's row names": ('"x","y"\n"a",1,2\n"b",3,4\n', "each row begins with its name, as R writes "
        "them; name that in the header"),
    "R's row names between spaces": ('"x" "y"\n"a b" 1 2\n"c d" 3 4\n', "spaces separate the "
        "columns: read it with --delimiter whitespace"),
    "R's row names that count": ("x,y\n1,5,2\n2,6,2\n", "rownames,/' t.csv; if 1,5 is a number "
        "with a decimal comma"),
    "names without quotes": ("x,y\nMazda RX4,5.5,2\nDatsun,6,2\n", "rownames,/' t.csv."),
    "decimal commas": ("x,y\n1,5,2\n3,5,4\n", "has 3; quote fields that contain ','; if 1,5 is a "
        "number with a decimal comma, quote such numbers, or separate fields with ';', and read it "
        "with --decimal ','."),
    "a decimal comma after text": ("kind,x\na,1,5\nb,4,5\n", "rownames,/' t.csv; if 1,5 is a "
        "number with"),
    "one row with a decimal comma": ("x,y\n1,5,2\n", "if 1,5 is a number with"),
    "names of many digits": (f"x,y\n{'1' * 5000},5,2\n{'1' * 4999}2,5,4\n", "quote fields that"),
    "JSON": ('[\n {"x":1}]\n', "This is JSON; write an object in each line"),
    "JSON lines": ('{"x":1}\n', "This is JSON; write an object in each line"),
    "delimiters at the ends": ("x|y\n1|2|\n3|4|\n", "the line ends in '|'; take that off, as with "
        "sed 's/|$//' t.csv"),
    "a row of units": ("x,y\nm,s\n1,2\n", "if the first row says units, leave it out with "
        "--skip-rows-after-header 1"),
    "a row that is longer": ("x,y\n1,2\n1,2,3\n", "quote fields that contain ','"),
    "a row that is shorter": ("x,y\n1,2\n1\n3,4\n", "complete or delete it"),
}  # fmt: skip


@pytest.mark.parametrize("case", LINES)
def test_lines_that_do_not_fit_name_the_likely_cause(write, case):
    text, said = LINES[case]
    with pytest.raises(DataError) as caught:
        list(open_table(write(text)).batches(["x"] if "units" in case else (), ["x"]))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text", ["x,y\na,1.5,2\nb,3,4\n", "x,y\n1,2,\n3,4,\n"], ids=["row names", "delimiters at ends"]
)
@pytest.mark.parametrize("way", ["a stream", "compressed", "UTF-16"])
def test_no_edit_is_told_of_a_file_that_it_cannot_change(monkeypatch, tmp_path, text, way):
    import gzip
    import sys

    path = tmp_path / "t.csv"
    path.write_bytes(gzip.compress(text.encode()) if way == "compressed" else text.encode("utf-16"))
    if way == "a stream":
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    with pytest.raises(DataError, match=r"as with sed '[^']*' before it is read\.$"):
        list(open_table("-" if way == "a stream" else path).batches(["x"]))


def test_a_dialect_reads_a_stream_too(monkeypatch):
    import sys

    stdin = io.TextIOWrapper(io.BytesIO("# é\nx;y\n1,5;2\n".encode("utf-16")))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert numbers("-", ["x"], decimal=",", comment="#", encoding="utf-16") == [[1.5]]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("1.5;2.25", "'x' has decimal points ('1.5'); 'y' has decimal points ('2.25'): read 'x', "),
        ("1.051;-0,73", "'x' may have decimal commas or thousands separators ('1.051'): read 'x' "),
    ],
)
def test_decimal_commas_that_are_said_of_points_are_told_with_what_reads_all(write, cells, said):
    source = write(f"x;y\n{cells}\n3;4\n7;5\n")
    with pytest.raises(DataError) as told:
        linexport.read_data(source, targets="y", dialect=Dialect(decimal=","))
    option = "--decimal '.'" if "2.25" in cells else "--thousands '.'"
    assert f"{said}" in str(told.value)
    assert f" with {option}; linexport describe" in str(told.value)
