"""Every refusal is one line that names the file, the column, the first row, and what to do."""

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st
from reading import DROPPING, read_dataset

from linexport.errors import DataError
from linexport.rows._table_rows import training_rows
from linexport.tables._opening import open_table

COMMA = (
    "if {} is a number with a decimal comma, quote such numbers, or separate fields with ';', and "
    "read it with --decimal ','."
)
TEXT = "correct it, delete its row, or exclude a column of text with --exclude {}."
DROP = "or leave such rows out with --missing drop."

LATIN = (
    "Byte 0xE9 is not UTF-8; save the file as UTF-8, or say what it is, as with --encoding cp1252."
)
FILL = "fill it in, as with --missing x=median"

DESCRIBE = "linexport describe t.csv says more."

ROWS = {
    "a text column": (
        "x,color,y\n1,red,2\n2,blue,3\n3,red,5\n",
        "t.csv: 'color' is text with 2 levels: take categories with --categorical color; "
        f"{DESCRIBE}",
    ),
    "a category of which a level has two lines": (
        'x,said,y\n1,"one\ntwo",2\n2,a,3\n3,a,5\n5,a,8\n',
        "t.csv: 'said' is text with 2 levels: leave out what is no feature with --exclude said; "
        f"{DESCRIBE}",
    ),
    "dates in two orders": (
        "day,x,y\n2024-01-05,1,2\n2/1/2024,2,3\n2024-03-05,3,5\n",
        "t.csv: 'day' holds dates that are not year-month-day ('2/1/2024'): take dates as days "
        "with --date day=days-since:2024-01-05 --date-order dmy, or --date-order mdy; "
        f"{DESCRIBE}",
    ),
    "a date that cannot be": (
        "day,x,y\n31.1.2024,1,2\n31.2.2024,2,3\n1.3.2024,3,5\n",
        "t.csv: 'day' is a date in another form but for 1 of its values ('31.2.2024'): take dates "
        "as days with --date day=days-since:2024-01-31 --date-order dmy, and correct '31.2.2024' "
        "or take it for no value with --null-values 31.2.2024, and leave out rows without 'day' "
        f"with --missing day=drop; {DESCRIBE}",
    ),
    "no date, but a number, which may be true in other columns": (
        "day,x,y\n2024-01-05,0,2\n0,2,3\n2024-02-01,3,5\n",
        "t.csv: 'day' is a date but for 1 of its values ('0'): take dates as days with --date "
        f"day=days-since:2024-01-05, and correct '0'; {DESCRIBE}",
    ),
    "no date, but a level of another column": (
        "day,x,y\n2024-01-05,gone,2\ngone,gone,3\n2024-02-01,here,5\n",
        "t.csv: 'day' is a date but for 1 of its values ('gone'); 'x' is text with 2 levels: take "
        "dates as days with --date day=days-since:2024-01-05, and take categories with "
        f"--categorical x, and correct 'gone'; {DESCRIBE}",
    ),
    "dates with a word, and with gaps, that end in the year": (
        "day,due,x,y\n31.1.2024,,1,2\nunknown,5.2.2024,2,3\n1.2.2024,6.2.2024,3,5\n",
        "t.csv: 'day' is a date in another form but for 1 of its values ('unknown'); 'due' holds "
        "dates that are not year-month-day ('5.2.2024'): take dates as days with --date "
        "day=days-since:2024-01-31 --date due=days-since:2024-02-05 --date-order dmy, and correct "
        "'unknown' or take it for no value with --null-values unknown, and leave out rows without "
        f"'day', 'due' with --missing day=drop --missing due=drop; {DESCRIBE}",
    ),
    "decimal points and decimal commas in one column": (
        'x,y\n1,"1,5"\n2,7\n3,2.5\n4,x\n',
        "t.csv: 'y' is a number with a comma but for 1 of its values ('x'): write numbers in one "
        "way, not as '1,5' (row 1 of 'y') and '2.5' (row 3 of 'y'), and correct 'x' or take it for "
        "no value with --null-values x, and leave out rows without 'y' with --missing y=drop; "
        f"{DESCRIBE}",
    ),
    "decimal points in one column and decimal commas in another": (
        'x,y\n"1,5",2.5\n"2,5",3\n4,1.5\n',
        "t.csv: 'x' has decimal commas ('1,5'): write numbers in one way, not as '2.5' (row 1 of "
        f"'y') and '1,5' (row 1 of 'x'); {DESCRIBE}",
    ),
    "two minuses around a number": (
        "x,y\n$1,2\n$2,3\n-01-,5\n4 $,1\n",
        f"t.csv: 'x' has signs ('$1'): make plain numbers of 'x', as 1.5; {DESCRIBE}",
    ),
    "groups of thousands in two ways": (
        "x;y\n1.234,5;1\n2,345.5;2\n3;5\n",
        "t.csv: 'x' has thousands separators ('1.234,5'): write numbers in one way, not as "
        f"'1.234,5' (row 1 of 'x') and '2,345.5' (row 2 of 'x'); {DESCRIBE}",
    ),
    "dates in another order": (
        "day,x,y\n1/5/24,1,2\n2/1/24,2,3\n",
        "t.csv: 'day' holds dates that are not year-month-day ('1/5/24'): leave out what is no "
        f"feature with --exclude day; {DESCRIBE}",
    ),
    "dates without zeros before their digits": (
        "day,x,y\n2024-1-5,1,2\n2024-2-1,2,3\n",
        "t.csv: 'day' holds dates ('2024-1-5'): take dates as days with "
        f"--date day=days-since:2024-01-05; {DESCRIBE}",
    ),
    "text far down a column of numbers": (
        "x,y\n1,2\n2,3\nthree,5\n",
        f"t.csv, column 'x', row 3: 'three' is not a number; {TEXT.format('x')}",
    ),
    "text in the target": (
        "x,y\n1,2\n2,high\n3,5\n",
        "t.csv, column 'y', row 2: 'high' is not a number; correct it, delete its row, "
        "or choose a target of numbers.",
    ),
    "a long text": (
        f"x,y\n1,2\n{'long ' * 20},3\n",
        f"t.csv, column 'x', row 2: '{('long ' * 20)[:40]}...' is not a number; "
        + TEXT.format("x"),
    ),
    "a decimal comma": (
        "x;y\n1;2\n3,14;3\n4;5\n",
        f"t.csv: 'x' has decimal commas ('3,14'): read 'x' with --decimal ','; {DESCRIBE}",
    ),
    "everything that an everyday table has": (
        'day,kind,"my price",z,tax,rooms,y\n'
        '2024-01-05,flat,"1,234",,5%,2,1\n2024-02-01,flat,7,,6%,?,2\n',
        "t.csv: 'day' holds dates ('2024-01-05'); 'kind' is text with 1 level; 'my price' may have "
        "decimal commas or thousands separators ('1,234'); 'z' is empty; 'tax' has signs ('5%'): "
        "read 'my price', 'tax' with --decimal ',' --strip '%' or --thousands ',' --strip '%', and "
        "take dates as days with --date day=days-since:2024-01-05, and leave out what is no "
        "feature with --exclude kind,z, and fill 'rooms' in with --missing median; "
        f"{DESCRIBE}",
    ),
    "a boolean among numbers": (
        "x,y\n1,2\ntrue,3\n4,5\n",
        f"t.csv, column 'x', row 2: 'true' is not a number; {TEXT.format('x')}",
    ),
    "a number among booleans": (
        "x,y\nfalse,2\ntrue,3\n1,5\n",
        "t.csv, column 'x', row 3: '1' is neither true nor false, as values before it; "
        + TEXT.format("x"),
    ),
    "an empty cell": (
        "x,y\n1,2\n,3\n3,5\n",
        f"t.csv, column 'x', row 2: There is no value; {FILL}, {DROP}",
    ),
    "NA in the target": (
        "x,y\n1,2\n2,3\n3,NA\n",
        f"t.csv, column 'y', row 3: There is no value; fill it in, {DROP}",
    ),
    "NaN": (
        "x,y\n1,2\nNaN,3\n3,5\n",
        f"t.csv, column 'x', row 2: There is no value; {FILL}, {DROP}",
    ),
    "infinity": (
        "x,y\n1,2\n2,-inf\n3,5\n",
        f"t.csv, column 'y', row 2: -inf is given; correct it, {DROP}",
    ),
    "a number too large": (
        "x,y\n1,2\n1e999,3\n3,5\n",
        f"t.csv, column 'x', row 2: inf is given; correct it, {DROP}",
    ),
    "a header alone": ("x,y\n", "t.csv: There are no rows."),
    "an empty file": ("", "t.csv: The file is empty."),
    "only blank lines": ("\n\r\n\n", "t.csv: The file is empty."),
    "a blank line first": (
        "\nx,y\n1,2\n",
        "t.csv: The first line is empty; it must name the columns. Leave out what is "
        "above them with --skip-rows 1.",
    ),
    "no header": (
        "1,2\n3,4\n5,7\n",
        "t.csv: There is no column 'y'; the columns must be named, in CSV by the first line, but "
        "are called '1', '2'; if that is a row, read it with --no-header: column_1, column_2, ...",
    ),
    "a name twice": (
        "x,z,x,y\n1,2,3,4\n",
        "t.csv: Columns 1 and 3 are both named 'x'; rename one.",
    ),
    "two columns without a name": (
        ",,y\n1,2,3\n",
        "t.csv: Columns 1 and 2 have no name; name them.",
    ),
    "a column without a name": (
        "x,,y\n0,1,2\n1,2,3\n2,5,7\n3,8,8\n",
        "t.csv: A column has no name, as where lines end in a delimiter; name it, or choose others "
        "with --features.",
    ),
    "a name of two lines": (
        '"x\n1",y\n1,2\n',
        "t.csv: The column name 'x\\n1' is not printable text; rename it.",
    ),
    "a name of ten thousand": (
        '"x' + "\n" * 10_000 + '",y\n1,2\n',
        "t.csv: The column name 'x" + "\\n" * 49 + "... is not printable text; rename it.",
    ),
    "a short line": (
        "x,y\n1,2\n2\n3,5\n",
        "t.csv, row 2: The header names 2 columns, but this row has 1; complete or delete it.",
    ),
    "a short first line": (
        "x,y\n1\n2,3\n3,5\n",
        "t.csv, row 1: The header names 2 columns, but this row has 1; complete or delete it.",
    ),
    "a long line": (
        "x,y\n1,2\n2,3\n3,5,7\n",
        "t.csv, row 3: The header names 2 columns, but this row has 3; quote fields that contain "
        f"','; {COMMA.format('3,5')}",
    ),
    "a blank line within": (
        "x,y\n1,2\n\n3,5\n",
        "t.csv, row 2: The line is empty; delete it.",
    ),
    "a short line after quoted newlines": (
        'x,y,note\n1,2,"a\n\nb"\n2,3\n3,5,e\n',
        "t.csv, row 2: The header names 3 columns, but this row has 2; complete or delete it.",
    ),
    "a short line beside a quoted delimiter": (
        'x,note,y\n1,"a,b",2\n2,c\n3,d,5\n',
        "t.csv, row 2: The header names 3 columns, but this row has 2; complete or delete it.",
    ),
    "a short line with a quoted field": (
        'x,note,y\n1,"a, ""b""",2\n2,"b, c"\n3,"d",5\n',
        "t.csv, row 2: The header names 3 columns, but this row has 2; complete or delete it.",
    ),
    "a long line with a quoted field": (
        'x,note,y\n1,"a",2\n2,"b, c",3,4\n3,"d",5\n',
        "t.csv, row 2: The header names 3 columns, but this row has 4; quote fields that contain "
        f"','; {COMMA.format('3,4')}",
    ),
    "a short line with a quote too many": (
        'x,note,y\n1,"a",2\n2,"b"c""\n3,"d",5\n',
        "t.csv, row 2: The header names 3 columns, but this row has 2; check its quotes.",
    ),
    "a quote that is never closed": (
        'x,y,note\n1,2,a\n2,3,"c\n4,5,e\n',
        "t.csv, row 2: A quote is never closed; close it, or double it inside a quoted field.",
    ),
    "a quote within an unquoted field": (
        'x,y,note\n1,2,a\n2,3,5" pipe\n4,5,6" pipe\n',
        "t.csv, row 2: Its quotes do not match; quote the whole field and double the quotes inside "
        "it.",
    ),
    "a quote that splits a row": (
        'x,y,note\n1,2,a\n2,",3,c"\n4,5,b\n',
        "t.csv, row 2: The header names 3 columns, but this row has 2; check its quotes.",
    ),
    "text after a closing quote": (
        'x,y,note\n1,2,a\n2,3,"5"" "pipe\n4,5,b\n',
        "t.csv, row 2: Its quotes do not match; quote the whole field and double the quotes inside "
        "it.",
    ),
    "Latin-1 in a row": (
        b'x,y,note\n1,2,"a\nb"\n2,3,caf\xe9\n4,5,b\n',
        f"t.csv, row 2: {LATIN}",
    ),
    "Latin-1 in the header": (
        b"caf\xe9,y\n1,2\n",
        f"t.csv: {LATIN}",
    ),
    "UTF-16 without a mark": (
        "x,y\n1,2\n".encode("utf-16-le"),
        "t.csv: This is not a text file.",
    ),
    "lines that end in CR": (
        "x,y\r1,2\r",
        "t.csv: Lines end in CR alone; save the file with LF or CRLF.",
    ),
    "a compressed file": (
        b"\x1f\x8b\x08\x00",
        "t.csv: What gzip compressed cannot be read to its end: Compressed file ended before the "
        "end-of-stream marker was reached.",
    ),
    "a spreadsheet": (
        b"PK\x03\x04...",
        "t.csv: This is a zip archive or a spreadsheet; save it as CSV, or name a "
        "spreadsheet .xlsx.",
    ),
    "a header with two delimiters": (
        "x;z,y\n1;2,3\n",
        "t.csv: The header has each of ',', ';'; say what separates the columns with --delimiter.",
    ),
    "a header with none": (
        "x y\n1 2\n3 4\n",
        "t.csv: The header has no , ; | or tab; spaces separate the columns: read it with "
        "--delimiter whitespace.",
    ),
    "a header with a broken quote": (
        'x,"y"z\n1,2\n',
        "t.csv: The header is malformed: ',' expected after '\"'.",
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_rows_that_cannot_be_fitted_are_refused_in_one_line(write, case, block_bytes):
    content, message = ROWS[case]
    source = write(content)

    def read() -> None:
        table = open_table(source)
        read_dataset(table, targets="y", exclude=["note"] if "note" in table.names else [])

    with pytest.raises(DataError) as caught:
        read()
    assert str(caught.value) == message


CHOICES = {
    "an unknown target": (
        {"targets": "prise"},
        "t.csv: There is no column 'prise'; did you mean 'price'?",
    ),
    "a target in another case": (
        {"targets": "PRICE"},
        "t.csv: There is no column 'PRICE'; did you mean 'price'?",
    ),
    "an unknown feature": (
        {"targets": "price", "features": ["area", "rom"]},
        "t.csv: There is no column 'rom'; did you mean 'rooms'?",
    ),
    "an unknown column to exclude": (
        {"targets": "price", "exclude": ["zzz"]},
        "t.csv: There is no column 'zzz'; its columns are 'area', 'rooms', 'price'.",
    ),
    "a feature that is also a target": (
        {"targets": "price", "features": ["area", "price"]},
        "t.csv: 'price' is given as both target and feature.",
    ),
    "a feature that is excluded": (
        {"targets": "price", "features": ["area"], "exclude": ["area"]},
        "t.csv: 'area' is given as both feature and excluded.",
    ),
    "a feature given twice": (
        {"targets": "price", "features": ["area", "area"]},
        "t.csv: 'area' is given as feature twice.",
    ),
    "a target given twice": (
        {"targets": ["price", "price"]},
        "t.csv: 'price' is given as target twice.",
    ),
    "no target": ({"targets": []}, "t.csv: No target is given."),
    "no feature left": (
        {"targets": "price", "exclude": ["area", "rooms"]},
        "t.csv: No feature is left to predict from.",
    ),
}


@pytest.mark.parametrize("case", CHOICES)
def test_columns_that_cannot_be_chosen_are_refused_in_one_line(write, case):
    choice, message = CHOICES[case]
    source = write("area,rooms,price\n1,2,3\n2,2,5\n3,4,5\n4,4,8\n")
    with pytest.raises(DataError) as caught:
        training_rows(open_table(source), **choice)
    assert str(caught.value) == message


EXCLUDE = "leave out what is no feature with --exclude x; linexport describe t.parquet says"
PARQUET = {
    "text": (["1", "2", "3"], "column 'x', row 1: '1' is text; give the column as numbers."),
    "text after nulls": ([None, None, "a"], f"'x' is text with 1 level: {EXCLUDE}"),
    "dates": (
        pl.Series([1, 2, 3]).cast(pl.Date),
        "'x' holds dates ('1970-01-02'): take dates as days with --date x=days-since:1970-01-02;",
    ),
    "categories": (
        pl.Series(["u", "v", "u"], dtype=pl.Categorical),
        "'x' is text with 2 levels: take categories with --categorical x; linexport",
    ),
    "lists": ([[1], [2], [3]], f"'x' holds lists or objects: {EXCLUDE}"),
    "a null": ([1, None, 3], f"column 'x', row 2: There is no value; {FILL}, {DROP}"),
    "only nulls": ([None, None, None], f"'x' is empty: {EXCLUDE}"),
    "NaN": ([1.0, 2.0, float("nan")], f"column 'x', row 3: There is no value; {FILL}, {DROP}"),
    "infinity": ([1.0, float("inf"), 3.0], f"column 'x', row 2: inf is given; correct it, {DROP}"),
}


@pytest.mark.parametrize("case", PARQUET)
def test_parquet_columns_that_are_no_numbers_are_refused_alike(write, tmp_path, case):
    values, message = PARQUET[case]
    write("")
    pl.DataFrame({"x": values, "y": [1.0, 2.0, 4.0]}).write_parquet("t.parquet")
    with pytest.raises(DataError) as caught:
        read_dataset(open_table("t.parquet"), targets="y")
    assert str(caught.value).removeprefix("t.parquet").lstrip(",: ").startswith(message)
    assert "\n" not in str(caught.value)


def test_two_parquet_columns_of_one_name_are_refused(write):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    write("")
    table = pa.table([pa.array([1.0]), pa.array([2.0])], names=["x", "x"])
    parquet.write_table(table, "t.parquet")
    with pytest.raises(DataError, match=r"^t.parquet: Two columns have one name: .*'x'.*; rename"):
        open_table("t.parquet")


def test_a_footer_that_contradicts_itself_is_refused(write):
    write("")
    frame = pl.DataFrame({"x": range(3000), "y": range(3000)})
    frame.write_parquet("t.parquet", row_group_size=1000)
    content = Path("t.parquet").read_bytes()
    thousand = b"\xd0\x0f"  # zigzag and in seven bits a byte, as Thrift's compact protocol has it
    place = content.rindex(thousand)  # of the last row group
    Path("t.parquet").write_bytes(content[:place] + b"\xce\x0f" + content[place + 2 :])
    with pytest.raises(DataError, match=r"Its footer tells of 3000 rows in all, but of 2999"):
        list(open_table("t.parquet").batches(["x"]))


def test_a_panic_of_polars_is_an_error_like_others(write, monkeypatch):
    def panic(_):
        raise pl.exceptions.PanicException("index out of bounds")

    write("")
    pl.DataFrame({"x": [1.0], "y": [2.0]}).write_parquet("t.parquet")
    table = open_table("t.parquet")
    monkeypatch.setattr(pl.LazyFrame, "collect", panic)
    with pytest.raises(DataError, match=r"t\.parquet: It cannot be read: index out of bounds\."):
        list(table.batches(["x"]))


@given(st.data())
def test_a_damaged_parquet_file_is_an_error_or_has_all_its_rows(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "t.parquet"
    frame = pl.DataFrame({"x": np.arange(40.0), "y": np.arange(40.0)})
    frame.write_parquet(path, row_group_size=10)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with suppress(DataError):
        assert sum(batch.num_rows for batch in open_table(path).batches(["x"])) == 40


def test_parquet_is_not_read_from_a_pipe(write):
    write("")
    os.mkfifo("t.parquet")
    with pytest.raises(DataError, match="Parquet cannot be read from a pipe; save it to a file"):
        open_table("t.parquet")


def test_standard_input_that_is_closed_is_refused(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(DataError, match=r"^standard input: It is closed\."):
        open_table("-")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x,y\n,1\n2,NA\n", "t.csv: There are no rows after 2 were left out."),
        ("x,y\n1,2\nred,\n2,3\n", "t.csv, column 'x', row 2: 'red' is not a number"),
    ],
)
def test_what_is_left_after_dropping_is_checked_too(write, content, message):
    table = open_table(write(content))
    with pytest.raises(DataError) as caught:
        read_dataset(table, targets="y", config=DROPPING)
    assert str(caught.value).startswith(message)
