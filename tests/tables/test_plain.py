"""Small, plain CSV: what polars reads and writes, byte for byte, and nothing that is not plain."""

import io

import numpy as np
import polars as pl
import pytest

from linexport.errors import DataError
from linexport.tables import Dialect
from linexport.tables._csv import LARGEST, PlainFile, PlainRows, read_plain
from linexport.tables._csv_frames import CsvFile
from linexport.tables._opening import open_table
from linexport.tables._part import Selection


def selection(numbers, kept=()) -> Selection:
    return Selection(numbers=tuple(numbers), kept=tuple(kept), text_remedy=str)


def written(rows, separator=",") -> str:
    stream = io.BytesIO()
    rows.write_csv(stream, include_header=True, separator=separator)
    return stream.getvalue().decode()


def alike(ours, theirs) -> None:
    """Two batches are the same, whatever is asked of them."""
    assert (ours.source, ours.first_row, ours.num_rows) == (
        theirs.source,
        theirs.first_row,
        theirs.num_rows,
    )
    assert (ours.num_bytes, ours.kept_types) == (theirs.num_bytes, theirs.kept_types)
    for dtype in (None, np.dtype(np.float32), np.dtype(np.float64)):
        with np.errstate(over="ignore"):
            numbers = ours.numbers(dtype), theirs.numbers(dtype)
        assert numbers[0].dtype == numbers[1].dtype
        assert numbers[0].tobytes() == numbers[1].tobytes()
        assert numbers[0].flags.f_contiguous
    blocks = [
        [(start, b.tobytes(), b.strides) for start, b in batch.blocks()] for batch in (ours, theirs)
    ]
    assert blocks[0] == blocks[1]
    values = np.arange(2.0 * ours.num_rows).reshape(-1, 2)
    frames = [pl.DataFrame(batch.kept_and(["y", "z"], values)) for batch in (ours, theirs)]
    assert frames[0].equals(frames[1])
    assert frames[0].schema == frames[1].schema


def random_floats(dtype, num_values):
    """Of all exponents, of everyday sizes, and where shortest digits are hard to find."""
    random = np.random.default_rng(7)
    kind = np.uint32 if dtype == np.float32 else np.uint64
    bits = random.integers(0, np.iinfo(kind).max, num_values, kind, endpoint=True).view(dtype)
    finfo = np.finfo(dtype)
    powers = np.ldexp(dtype(1), np.arange(finfo.minexp - finfo.nmant, finfo.maxexp))
    with np.errstate(over="ignore"):
        tens = np.array([float(f"{m}e{k}") for m in (1, 2, 9, 123456) for k in range(-45, 38)])
        hard = np.concatenate([powers, tens.astype(dtype)]).astype(dtype)
        hard = np.concatenate([hard, np.nextafter(hard, dtype(0)), np.nextafter(hard, finfo.max)])
        everyday = random.normal(size=num_values) * 10.0 ** random.integers(-9, 19, num_values)
    values = np.concatenate([bits, hard, everyday.astype(dtype), [dtype(0), dtype(-0.0)]])
    return values[np.isfinite(values)].astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_are_written_as_polars_writes_them(dtype):
    values = random_floats(dtype, 60_000)
    assert len(values) > 100_000
    expected = pl.DataFrame({"y": values}).write_csv()
    assert written(PlainRows(("y",), [[]] * len(values), values[:, None])) == expected


def random_numbers(num_values):
    """As they stand in files: any number of digits and any exponent."""
    random = np.random.default_rng(8)

    def digits(most):
        return "".join(map(str, random.integers(0, 10, random.integers(1, most + 1))))

    for _ in range(num_values):
        text = "-"[: random.integers(2)] + digits(random.choice([1, 3, 20]))
        if random.random() < 0.7:
            text += "." + digits(random.choice([2, 8, 17, 40]))
        if random.random() < 0.4:
            sign = random.choice(["", "+", "-"])
            text += random.choice(["e", "E"]) + sign + str(random.integers(0, 330))
        yield text


def test_numbers_are_read_as_polars_reads_them(tmp_path):
    """Also halfway between two numbers, and as the shortest digits of any number."""
    texts = [*random_numbers(60_000), *map(repr, random_floats(np.float64, 20_000).tolist())]
    halfway = np.random.default_rng(9).integers(2**52, 2**53, 20_000)
    texts += [f"{number}.5" for number in halfway.tolist()]
    texts += ["9007199254740993", "1" * 400, "0." + "0" * 400 + "1", "1e99999", "-0", "2.5e-324"]
    path = tmp_path / "rows.csv"
    for start in range(0, len(texts), 500):
        lines = texts[start : start + 500]
        path.write_text("x\n" + "\n".join(lines) + "\n")
        (ours,) = read_plain(path, "rows.csv").batches(selection(["x"]))
        (theirs,) = CsvFile(path, "rows.csv", Dialect()).batches(selection(["x"]))
        assert ours.numbers().tobytes() == theirs.numbers().tobytes()


NOT_PLAIN = {
    "quotes in a row": 'a,b\n"1",2\n',
    "a space": "a,b\n1, 2\n",
    "a missing value": "a,b\n1,\n",
    "NaN": "a,b\n1,nan\n",
    "infinity": "a,b\n1,inf\n",
    "text": "a,b\n1,x\n",
    "a boolean": "a,b\n1,true\n",
    "an underscore": "a,b\n1,1_000\n",
    "other digits": "a,b\n1,٣\n",
    "a comma for a point": "a;b\n1;1,5\n",
    "too few fields": "a,b\n1\n",
    "too many fields": "a,b\n1,2,3\n",
    "an empty line": "a,b\n\n1,2\n",
    "CR within a line": "a,b\n1\r,2\n",
    "CR twice": "a,b\n1,2\r\r\n",
    "CR": "a,b\r1,2\r",
    "a plus": "a,b\n1,+2\n",
    "a point at the end": "a,b\n1,2.\n",
    "a point at the beginning": "a,b\n1,.5\n",
    "an exponent without digits": "a,b\n1,2e\n",
    "two delimiters in the header": "a,b;c\n1,2\n",
    "a name that comes twice": "a,a\n1,2\n",
    "NUL": "a,b\n1,2\0\n",
    "nothing": "",
    "Parquet": "PAR1,b\n1,2\n",
    "too much": "a,b\n" + "1,2\n" * (LARGEST // 4),
}


@pytest.mark.parametrize("case", NOT_PLAIN)
def test_what_is_not_plain_is_left_alone_or_refused_as_polars_road_does(tmp_path, case):
    path = tmp_path / "rows.csv"
    path.write_bytes(NOT_PLAIN[case].encode())
    said = []
    for read in (read_plain, CsvFile):
        try:
            part = read(path, "rows.csv", Dialect())
        except DataError as error:
            said.append(str(error))
        else:
            said.append("")
            assert read is CsvFile or part is None
    assert said[0] == said[1]


PLAIN = {
    "rows": "a,b\n1,2\n-3.5,4e-7\n",
    "no newline at the end": "a,b\n1,2\n3,4",
    "blank lines at the end": "a,b\n1,2\n\n\r\n",
    "no rows": "a,b\n",
    "CRLF": "a,b\r\n1,2\r\n3,4\r\n",
    "CRLF here and there": "a,b\r\n1,2\n3,4\r\n5,6",
    "semicolons": "a;b\n1;2\n",
    "tabs": "a\tb\n1\t2\n",
    "one column": "a\n1\n2\n",
    "a byte order mark": "\ufeffa,b\n1,2\n",
    "a quoted header": '"a, é",b\n1,2\n',
    "leading zeros": "a,b\n007,-0\n",
}


@pytest.mark.parametrize("block_bytes", [4, 8 << 20])
@pytest.mark.parametrize("case", PLAIN)
def test_plain_tables_are_those_that_polars_reads(tmp_path, monkeypatch, case, block_bytes):
    monkeypatch.setattr("linexport.tables._records._BLOCK_BYTES", block_bytes)
    path = tmp_path / "rows.csv"
    path.write_bytes(PLAIN[case].encode())
    plain, general = read_plain(path, "rows.csv"), CsvFile(path, "rows.csv", Dialect())
    assert (plain.names, plain.size) == (general.names, general.size)
    chosen = selection(plain.names, reversed(plain.names))
    for start, stop in ((0, plain.size), (0, 5), (5, 10), (10, plain.size), (0, 0)):
        parts = [part.cut(start, stop) for part in (plain, general)]
        assert parts[0].num_bytes == parts[1].num_bytes
        for ours, theirs in zip(*(part.batches(chosen) for part in parts), strict=True):
            alike(ours, theirs)
    for ours, theirs in zip(plain.batches(chosen), general.batches(chosen), strict=True):
        alike(ours, theirs)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", ":", "5"])
def test_a_delimiter_that_is_given_is_heeded(tmp_path, delimiter):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")
    assert (read_plain(path, "rows.csv", Dialect(delimiter=delimiter)) is not None) == (
        delimiter == ","
    )


def test_a_table_is_plain_if_it_is_one_small_file(tmp_path):
    text = "a,b\n1,2\n"
    for name in ("rows.csv", "rows.TXT", "rows"):
        (tmp_path / name).write_text(text)
        assert is_plain(open_table(str(tmp_path / name)))
    path = tmp_path / "rows.csv"
    assert is_plain(open_table([path]))
    assert is_plain(open_table(path).share(0, 2))
    assert not is_plain(open_table([path, path]))
    path.write_text(text * LARGEST)
    assert not is_plain(open_table(path))


def is_plain(table) -> bool:
    return any(isinstance(part, PlainFile) for part in table._parts)


@pytest.mark.parametrize(
    "name",
    [
        *("a", "naïve 特徴", "x_1", "a-b.c", "a b", "7"),
        *("", "a,b", 'a"', "a;b", "a\tb", " a", "a ", "a\nb", "#a", "a  b"),
    ],
)
def test_names_are_written_as_polars_writes_them(name):
    values = np.array([[1.5], [2.0]])
    for separator in ",;\t":
        expected = pl.DataFrame({name: values[:, 0]}).write_csv(separator=separator)
        assert written(PlainRows((name,), [[], []], values), separator) == expected


def test_what_is_not_finite_is_written_as_polars_writes_it():
    values = np.array([[np.nan], [np.inf], [-np.inf], [1.0]], np.float32)
    expected = pl.DataFrame({"id": ["1"] * 4, "y": values[:, 0]}).write_csv()
    assert written(PlainRows(("id", "y"), [["1"]] * 4, values)) == expected
