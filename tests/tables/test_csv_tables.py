import csv
import io
import os
import threading

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from linexport.errors import ConfigError, DataError
from linexport.tables import Dialect
from linexport.tables._opening import open_table

finite = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8) | st.sampled_from(
    ["007", "NA", " x ", 'a"b', "a,b", "l\nm", "l\r\nm", "\r", "é", "#"]
)


def numbers(source, columns, **options) -> np.ndarray:
    batches = open_table(source, **options).batches(columns)
    return np.concatenate([batch.numbers() for batch in batches])


def kept_of(batch) -> list[tuple]:
    return pl.DataFrame(batch.kept_and([], np.empty((batch.num_rows, 0)))).rows()


def kept(source, columns) -> list[tuple]:
    return [row for batch in open_table(source).batches([], columns) for row in kept_of(batch)]


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("bom", ["", "\ufeff"], ids=["no BOM", "BOM"])
@pytest.mark.parametrize(
    "delimiter", [",", ";", "\t", "|"], ids=["comma", "semicolon", "tab", "bar"]
)
def test_the_usual_forms_of_csv_are_read_without_being_told(write, newline, bom, delimiter):
    lines = ["x,name,y", "1,a,2.5", '"-3","b",4e2', ""]
    source = write(bom + newline.join(lines).replace(",", delimiter))
    assert numbers(source, ["y", "x"]).tolist() == [[2.5, 1.0], [400.0, -3.0]]


def test_a_delimiter_can_be_given(write):
    source = write("x:y, with comma\n1:2\n")
    assert numbers(source, ["x", "y, with comma"], dialect=Dialect(delimiter=":")).tolist() == [
        [1.0, 2.0]
    ]
    assert numbers(write("x\ty\n1\t2\n"), ["y"], dialect=Dialect(delimiter=r"\t")).tolist() == [
        [2.0]
    ]


@pytest.mark.parametrize("delimiter", ["", "::", "\n", '"', "é"])
def test_a_delimiter_is_one_ascii_character(write, delimiter):
    with pytest.raises(ConfigError, match="The delimiter must be one ASCII character"):
        Dialect(delimiter=delimiter)


def test_a_quoted_delimiter_in_the_header_does_not_count(write):
    assert open_table(write('"a;b",c\n1,2\n')).names == ("a;b", "c")


def test_a_single_column_needs_no_delimiter(write):
    assert numbers(write("x\n1\n2\n"), ["x"]).tolist() == [[1.0], [2.0]]


def test_quoted_fields_may_hold_delimiters_newlines_and_quotes(write, block_bytes):
    source = write('x,note\n1,"a,b"\n2,"c\n\nd,"\n3,"say ""hi"""\n4,plain\n')
    assert kept(source, ["note"]) == [("a,b",), ("c\n\nd,",), ('say "hi"',), ("plain",)]
    assert numbers(source, ["x"]).ravel().tolist() == [1.0, 2.0, 3.0, 4.0]


def test_blank_lines_at_the_end_are_no_rows(write, block_bytes):
    assert numbers(write("x,y\n1,2\n3,4\n\n\r\n\n"), ["x"]).ravel().tolist() == [1.0, 3.0]
    assert numbers(write("x,y\n1,2\n3,4"), ["x"]).ravel().tolist() == [1.0, 3.0]


def test_a_header_alone_is_a_table_of_no_rows(write):
    (batch,) = open_table(write("x,name\n")).batches(["x"], ["name"])
    assert (batch.numbers().shape, kept_of(batch), batch.first_row) == ((0, 1), [], 1)


@pytest.mark.parametrize(
    "cell", ["", '""', " ", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", " NA "]
)
def test_these_cells_are_missing(write, cell):
    values = numbers(write(f"x,y\n1,2\n{cell},3\n4,5\n"), ["x"])
    assert np.isnan(values.ravel()).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1", 1.0),
        ("+1.5", 1.5),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("1E-3", 0.001),
        (" 7", 7.0),
        ("7 ", 7.0),
        ('"7"', 7.0),
        ("007", 7.0),
        ("9007199254740993", 9007199254740992.0),  # halfway, to even
        ("123456789012345678901234567890", 123456789012345678901234567890.0),
        ("0.1", 0.1),
        ("5e-324", 5e-324),
        ("1.7976931348623157e308", 1.7976931348623157e308),
        ("1e400", np.inf),
        ("-inf", -np.inf),
        ("Infinity", np.inf),
    ],
)
def test_these_cells_are_numbers(write, cell, value):
    for neighbour in ("2", "NA"):  # parsed by polars alone, or as text
        assert numbers(write(f"x,y\n{cell},1\n{neighbour},3\n"), ["x"])[0, 0] == value


@pytest.mark.parametrize("cells", [("true", "false"), ("True", "False"), ("TRUE", "FALSE")])
def test_booleans_are_one_and_zero(write, cells, block_bytes):
    yes, no = cells
    values = numbers(write(f"b,y\n,0\n{yes},1\n{no},2\nNA,3\n{no},4\n"), ["b"]).ravel()
    assert np.array_equal(values, [np.nan, 1.0, 0.0, np.nan, 0.0], equal_nan=True)


def test_kept_columns_stay_as_they_are_written(write, block_bytes):
    source = write('id,x\n007,1\n1.50,2\nNA,3\ntrue,4\n," 5"\n""," "\n 6 ,7\n')
    assert [row[0] for row in kept(source, ["id"])] == [
        *("007", "1.50", "NA", "true", None, "", " 6 ")
    ]


def test_a_column_can_be_kept_and_be_a_number(write):
    (batch,) = open_table(write("x,y\n01,2\n1.50,3\n")).batches(["x"], ["x"])
    assert batch.numbers().tolist() == [[1.0], [1.5]]
    assert kept_of(batch) == [("01",), ("1.50",)]


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(text, finite, text), min_size=1, max_size=30),
    delimiter=st.sampled_from(",;\t|"),
    newline=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    block=st.sampled_from([5, 31, 4 << 20]),
)
def test_what_pythons_csv_module_writes_is_read_back(
    tmp_path_factory, rows, delimiter, newline, quoting, block
):
    if quoting == csv.QUOTE_MINIMAL:  # it leaves a CR at the end of a line unquoted
        rows = [(first.replace("\r", ""), x, last.replace("\r", "")) for first, x, last in rows]
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=newline, quoting=quoting)
    writer.writerow(["first", "x", "last"])
    writer.writerows([(first, repr(x), last) for first, x, last in rows])
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(out.getvalue().encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("linexport.tables._records._BLOCK_BYTES", block)
        found = [(first or "", last or "") for first, last in kept(path, ["first", "last"])]
        assert found == [(first, last) for first, _, last in rows]
        values = numbers(path, ["x"]).ravel()
    assert values.tobytes() == np.array([x for _, x, _ in rows]).tobytes()


@pytest.mark.parametrize("row", [1, 2, 5, 40, 99])
def test_rows_are_numbered_across_blocks_and_quoted_newlines(write, block_bytes, row):
    lines = [f'{number},"a\n{number}"' for number in range(1, 101)]
    lines[row - 1] = 'oops,"b"'
    with pytest.raises(DataError, match="'oops' is not a number") as caught:
        numbers(write("\n".join(["x,note", *lines])), ["x"])
    assert (caught.value.source, caught.value.column, caught.value.row) == ("t.csv", "x", row)


def test_every_value_counts_for_the_type_not_a_sample_of_them(write):
    cells = ["1"] * 300_000 + ["x"]  # polars infers from 100 rows unless told otherwise
    with pytest.raises(DataError) as caught:
        numbers(write("\n".join(["a", *cells])), ["a"])
    assert caught.value.row == 300_001


def test_a_quote_that_is_never_closed_does_not_swallow_a_large_file(write, monkeypatch):
    monkeypatch.setattr("linexport.tables._records._BLOCK_BYTES", 64)
    monkeypatch.setattr("linexport.tables._records.LARGEST_RECORD", 1000)
    source = write("\n".join(["x,note", "1,a", '2,"b"', '3,"c', *["4,d"] * 10_000]))
    rows = open_table(source).batches(["x"], ["note"])
    with pytest.raises(DataError, match=r"^t.csv, row 3: A quote is never closed"):
        list(rows)


def test_standard_input_is_read_once(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(b"x,y\n1,2\n3,4\n"))
    monkeypatch.setattr("sys.stdin", stream)
    table = open_table("-")
    assert (table.source, table.names) == ("standard input", ("x", "y"))
    (batch,) = table.batches(["x"])
    assert batch.numbers().tolist() == [[1.0], [3.0]]
    with pytest.raises(DataError, match=r"^standard input: It can be read only once; save it"):
        next(table.batches(["x"]))


def test_a_named_pipe_is_read_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    feeder = threading.Thread(target=pipe.write_bytes, args=(b"x,y\n1,2\n",))
    feeder.start()
    table = open_table(pipe)
    feeder.join()
    (batch,) = table.batches(["y"])
    assert batch.numbers().tolist() == [[2.0]]
    with pytest.raises(DataError, match="only once"):
        next(table.batches(["x"]))


def test_a_file_can_be_read_again(write):
    table = open_table(write("x,y\n1,2\n"))
    assert [next(table.batches(["x"])).numbers().tolist() for _ in range(2)] == [[[1.0]]] * 2


def test_a_column_without_a_name_is_one_in_a_table_without_rows(write):
    from linexport.tables import Dialect, look

    table = open_table(write("x1;x2;\n"), dialect=Dialect(delimiter=";", comment="#"))
    assert [column.name for column in look(table).columns] == ["x1", "x2", ""]
