"""JSON lines, Arrow IPC, Excel, and directories that are columns."""

import gzip
import zipfile

import numpy as np
import polars as pl
import pytest
from hostile.binary_workbooks import xls, xlsb

from linexport.errors import ConfigError, DataError, UnavailableError
from linexport.tables import Dialect, look, open_table


def numbers(source, columns, dialect=None) -> np.ndarray:
    batches = open_table(source, dialect=dialect).batches(columns)
    return np.concatenate([batch.numbers() for batch in batches])


NULL = "__HIVE_DEFAULT_PARTITION__"
FRAME = pl.DataFrame(
    {
        "whole": [1, 2, 3],
        "part": [0.5, None, 2.5],
        "flag": [True, False, True],
        "text": ["a", "b", None],
    }
)
WRITERS = {
    "t.jsonl": pl.DataFrame.write_ndjson,
    "t.ndjson": pl.DataFrame.write_ndjson,
    "t.arrow": pl.DataFrame.write_ipc,
    "t.ipc": lambda frame, path: frame.write_ipc(path, compression="zstd"),
    "t.feather": lambda frame, path: frame.write_ipc(path, compression="lz4"),
    "arrow-without-a-name": pl.DataFrame.write_ipc,
}


@pytest.mark.parametrize("name", WRITERS)
def test_each_kind_of_file_holds_the_same_rows(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](FRAME, path)
    found = numbers(path, ["part", "flag", "whole"])
    assert np.array_equal(found, [[0.5, 1, 1], [np.nan, 0, 2], [2.5, 1, 3]], equal_nan=True)
    (batch,) = open_table(path).batches(["whole"], ["text"])
    assert batch.kept["text"].to_list() == ["a", "b", None]
    kinds = [column.kind for column in look(open_table(path)).columns]
    assert kinds == ["number", "number", "boolean", "text"]
    shares = [open_table(path).share(rank, 3) for rank in range(3)]
    values = [batch.numbers() for share in shares for batch in share.batches(["whole"])]
    assert np.concatenate(values).ravel().tolist() == [1, 2, 3]


def test_columns_that_are_no_numbers_are_refused_in_each_kind(tmp_path):
    for name, write in WRITERS.items():
        write(FRAME, tmp_path / name)
        with pytest.raises(DataError, match=r"column 'text', row 1: 'a' is not a number"):
            numbers(tmp_path / name, ["text"])


def test_text_in_json_lines_is_read_as_in_csv(write, block_bytes):
    write('{"x":"1,5","y":1}\n{"x":"?","y":2.5}\n\n{"y":-999}\n{"x":7,"y":null}\n', "t.jsonl")
    dialect = Dialect(decimal=",", null_values=("?", "-999"))
    found = numbers("t.jsonl", ["x", "y"], dialect)
    nan = np.nan
    assert np.array_equal(found, [[1.5, 1], [nan, 2.5], [nan, nan], [7, nan]], equal_nan=True)
    with pytest.raises(
        DataError, match=r"row 1: '1,5' is not a number; read it as 1.5 \(--decimal"
    ):
        numbers("t.jsonl", ["x"])
    with pytest.raises(ConfigError, match="skip_rows is for CSV"):
        open_table("t.jsonl", dialect=Dialect(skip_rows=1))


BAD_LINES = {
    '{"x":1}\n{"x":2\n': "row 2: The line is no JSON object: ",
    '{"x":1}\n[1]\n': "row 2: The line is no JSON object: ",
    '{"x":1}\n{"x":NaN}\n': "row 2: The line is no JSON object: ",
    "\n\n": ": The file is empty.",
    '{"x":{"z":1}}\n': "column 'x', row 1: ",
    '{"x":[1]}\n': "column 'x', row 1: ",
}


@pytest.mark.parametrize("text", BAD_LINES)
def test_lines_that_are_no_objects_are_told_of_in_their_row(write, text, block_bytes):
    source = write(text, "t.jsonl")
    with pytest.raises(DataError) as caught:
        numbers(source, ["x"])
    assert BAD_LINES[text] in str(caught.value)


def test_what_is_no_text_has_no_readings(write):
    write('{"x":[1],"y":1.5}\n', "t.jsonl")
    found = look(open_table("t.jsonl"))
    assert (found.readings, [column.readings for column in found.columns]) == ((), [(), ()])


def test_json_lines_may_be_compressed_and_hold_odd_quotes(write, block_bytes):
    lines = "".join(f'{{"x":{number},"t":"5\\" pipe"}}\n' for number in range(50))
    source = write(gzip.compress(lines.encode()), "t.jsonl.gz")
    assert numbers(source, ["x"]).ravel().tolist() == list(range(50))


SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def write_xlsx(path, **sheets) -> None:
    """Write a workbook of sheets by name, as much of it as makes one."""

    def cell(value) -> str:
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        return "<c/>" if value is None else f"<c><v>{value}</v></c>"

    listed, related, written = "", "", {}
    for place, (name, rows) in enumerate(sheets.items(), start=1):
        lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        listed += f'<sheet name="{name}" sheetId="{place}" r:id="r{place}"/>'
        related += (
            f'<Relationship Id="r{place}" Type="{OFFICE}/worksheet" '
            f'Target="worksheets/sheet{place}.xml"/>'
        )
        written[f"xl/worksheets/sheet{place}.xml"] = (
            f'<worksheet xmlns="{SHEET}"><sheetData>{lines}</sheetData></worksheet>'
        )
    with zipfile.ZipFile(path, "w") as file:
        for name, text in {
            "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"/>',
            "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="a" '
            f'Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{SHEET}" xmlns:r="{OFFICE}"><sheets>{listed}'
            "</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
            f"{related}</Relationships>",
            **written,
        }.items():
            file.writestr(name, text)


def test_the_first_sheet_of_a_workbook_is_a_table(tmp_path):
    pytest.importorskip("fastexcel")
    path = tmp_path / "t.xlsx"
    rooms = [["a", "b", "c"], [1, "$1,5", "u"], [2.5, "?", "v"], [None, 3, "w"]]
    write_xlsx(path, Rooms=rooms)
    dialect = Dialect(decimal=",", strip="$")
    found = numbers(path, ["a", "b"], dialect)
    assert np.array_equal(found, [[1, 1.5], [2.5, np.nan], [np.nan, 3]], equal_nan=True)
    with pytest.raises(DataError, match=r"row 1: '\$1,5' is not a number; read it as 1.5 \(--dec"):
        numbers(path, ["b"])
    (tmp_path / "t.xlsx").write_text("x,y\n")
    with pytest.raises(DataError, match="It cannot be read"):
        open_table(path)


@pytest.mark.parametrize(("name", "made"), [("t.xls", xls), ("t.xlsb", xlsb)])
def test_a_binary_workbook_is_a_table_too(tmp_path, name, made):
    pytest.importorskip("fastexcel")
    (tmp_path / name).write_bytes(made([(1, 0, 1.5), (1, 1, 2), (2, 0, -3), (2, 1, 0.25)]))
    assert numbers(tmp_path / name, ["x1", "y"]).tolist() == [[1.5, 2], [-3, 0.25]]


def test_another_sheet_is_named(tmp_path):
    pytest.importorskip("fastexcel")
    path = tmp_path / "t.xlsx"
    write_xlsx(path, Notes=[["a"], [1]], Rooms=[["a"], [2]])
    assert numbers(path, ["a"]).tolist() == [[1]]
    assert numbers(path, ["a"], Dialect(sheet="Rooms")).tolist() == [[2]]
    with pytest.raises(DataError, match=r"no sheet 'rooms': --sheet takes one of 'Notes', 'Rooms'"):
        open_table(path, dialect=Dialect(sheet="rooms"))
    (tmp_path / "t.csv").write_text("a\n1\n")
    for other in (tmp_path / "t.csv", {"a": [1]}):
        with pytest.raises(ConfigError, match="sheet is for Excel"):
            open_table(other, dialect=Dialect(sheet="Rooms"))


@pytest.mark.parametrize("above", [[["Report"]], [["Report"], [], ["in EUR"]]])
def test_titles_above_the_header_of_a_sheet_are_left_out_as_is_said(tmp_path, above):
    pytest.importorskip("fastexcel")
    path = tmp_path / "t.xlsx"
    write_xlsx(path, Rooms=[*above, ["a", "b"], [1, 2], [], [3, 4]])
    with pytest.raises(
        DataError, match=f"names no columns.*: read it with --skip-rows {len(above)}"
    ):
        open_table(path)
    read = numbers(path, ["a", "b"], Dialect(skip_rows=len(above)))
    assert read.tolist() == [[1, 2], [3, 4]]


def test_where_what_reads_excel_does_not_begin_its_last_words_are_said(tmp_path, monkeypatch):
    (tmp_path / "fastexcel.py").write_text('raise OSError("GLIBC_2.99 not found")')
    monkeypatch.syspath_prepend(tmp_path)
    write_xlsx(tmp_path / "t.xlsx", Rooms=[["a"], [1]])
    with pytest.raises(DataError, match=r"what reads it failed: OSError: GLIBC_2\.99 not"):
        open_table(tmp_path / "t.xlsx")


def test_without_what_reads_excel_it_is_said_how_to_convert(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fastexcel", None)
    (tmp_path / "t.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(
        UnavailableError, match=r"pip install 'linexport\[excel\]', or save the sheet"
    ):
        open_table(tmp_path / "t.xlsx")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_directories_that_are_columns_are_columns(write, suffix, monkeypatch):
    write("")
    frames = pl.DataFrame({"x": [1.0, 2.0]}), pl.DataFrame({"x": [3.0]})
    keys = (
        "year=2023/city=New%20York/rate=0.5",
        "year=2024/city=Bonn/rate=__HIVE_DEFAULT_PARTITION__",
    )
    for key, frame in zip(keys, frames, strict=True):
        write("", f"t/{key}/_SUCCESS")
        path = f"t/{key}/part.{suffix}"
        write("", path)
        {"csv": pl.DataFrame.write_csv, "parquet": pl.DataFrame.write_parquet,
         "jsonl": pl.DataFrame.write_ndjson}[suffix](frame, path)  # fmt: skip
    for source in ("t", f"t/year=*/*/*/part.{suffix}"):
        table = open_table(source)
        assert table.names == ("x", "year", "city", "rate")
        batches = list(table.batches(["rate", "x", "year"], ["city", "year"]))
        found = np.concatenate([batch.numbers() for batch in batches])
        assert np.array_equal(
            found, [[0.5, 1, 2023], [0.5, 2, 2023], [np.nan, 3, 2024]], equal_nan=True
        )
        assert [batch.kept["city"].to_list() for batch in batches] == [["New York"] * 2, ["Bonn"]]
        assert [column.kind for column in look(table).columns] == [
            "number",
            "number",
            "text",
            "number",
        ]
        with pytest.raises(DataError, match="column 'city', row 1: 'New York' is not a number"):
            list(table.batches(["city"]))
    only_keys = [batch.numbers().ravel().tolist() for batch in open_table("t").batches(["year"])]
    assert only_keys == [[2023, 2023], [2024]]
    assert open_table(f"t/{keys[0]}/part.{suffix}").names == ("x",)


def test_a_key_that_is_used_is_of_each_partition(write):
    write("x\n1\n", "t/year=2023/a.csv")
    write("x\n1\n", "t/month=1/a.csv")
    assert numbers("t", ["x"]).ravel().tolist() == [1, 1]
    with pytest.raises(DataError, match=r"month=1/a.csv: There is no column 'year', which other"):
        open_table("t").batches(["year"])


def test_a_column_of_the_file_itself_stays(write):
    write("year,x\n7,1\n8,2\n", "t/year=2023/a.csv")
    assert numbers("t", ["year"]).ravel().tolist() == [7, 8]


@pytest.mark.parametrize("name", [*WRITERS, "t.csv", "t.parquet"])
def test_a_name_that_is_a_pattern_elsewhere_is_a_name(tmp_path, name):
    """polars selects all columns by *, and by ^x$ that of the name x; no name becomes column_0."""
    write = WRITERS | {"t.csv": pl.DataFrame.write_csv, "t.parquet": pl.DataFrame.write_parquet}
    write[name](
        pl.DataFrame({"x": [1, 2], "*": [3, 4], "^x$": ["a", "b"], "": [5, 6]}), tmp_path / name
    )
    assert numbers(tmp_path / name, ["*", "x"]).tolist() == [[3, 1], [4, 2]]
    (batch,) = open_table(tmp_path / name).batches(["x"], ["^x$", "", "*"])
    assert batch.kept.columns == ["^x$", "", "*"]
    found = look(open_table(tmp_path / name)).columns
    assert [(column.name, column.kind) for column in found] == [
        ("x", "number"), ("*", "number"), ("^x$", "text"), ("", "number")
    ]  # fmt: skip
