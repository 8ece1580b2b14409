"""Small, plain CSV: what polars reads and writes, byte for byte, and nothing that is not plain."""

import numpy as np
import polars as pl
import pytest

from linexport.tables._plain import LARGEST, is_plain_name, read_plain, write_plain
from linexport.tables._tables import open_table


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
    written = write_plain(["y"], [([[]] * len(values), values[:, None])], ",")
    assert written == expected.encode()


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
        plain = read_plain(path)
        assert plain is not None
        (batch,) = open_table(path).batches(["x"])
        ours = plain.blocks[0].numbers([0])[:, 0]
        assert ours.tobytes() == batch.numbers["x"].to_numpy().tobytes()


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
def test_what_is_not_plain_is_left_alone(tmp_path, case):
    path = tmp_path / "rows.csv"
    path.write_bytes(NOT_PLAIN[case].encode())
    assert read_plain(path) is None


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


@pytest.mark.parametrize("case", PLAIN)
def test_plain_tables_are_those_that_polars_reads(tmp_path, case):
    path = tmp_path / "rows.csv"
    path.write_bytes(PLAIN[case].encode())
    plain, table = read_plain(path), open_table(path)
    assert plain.names == table.names
    assert plain.num_bytes == table.num_bytes
    batches = list(table.batches(table.names, table.names))
    assert len(batches) == len(plain.blocks)
    for block, batch in zip(plain.blocks, batches, strict=True):
        assert block.numbers(range(len(plain.names))).tolist() == batch.numbers.to_numpy().tolist()
        assert list(map(tuple, block.fields)) == batch.kept.rows()
        assert [tuple(row) for row in block.fields] == batch.kept.rows()
        assert block.num_bytes == batch.num_bytes


@pytest.mark.parametrize("delimiter", [",", ";", "\\t", "\t", ":", "ab", "5", ""])
def test_a_delimiter_that_is_given_is_heeded(tmp_path, delimiter):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")
    plain = read_plain(path, delimiter)
    assert (plain is not None) == (delimiter == ",")


def test_only_one_file_that_is_named_as_csv_is_read(tmp_path):
    text = "a,b\n1,2\n"
    for name in ("rows.csv", "rows.TXT", "rows", "rows.parquet", "rows.pq", "rows.dat"):
        (tmp_path / name).write_text(text)
        is_csv = name in ("rows.csv", "rows.TXT")
        assert (read_plain(str(tmp_path / name)) is not None) == is_csv
    path = tmp_path / "rows.csv"
    assert read_plain([path]) == read_plain(path)
    for source in ([path, path], [], "-", tmp_path, tmp_path / "no.csv", f"{tmp_path}/*.csv"):
        assert read_plain(source) is None
    assert read_plain(pl.DataFrame({"a": [1]})) is None


@pytest.mark.parametrize("name", ["a", "naïve 特徴", "x_1", "a-b.c", "a b", "7"])
def test_plain_names_are_written_by_polars_as_they_are(name):
    assert is_plain_name(name)
    for separator in ",;\t":
        assert pl.DataFrame({name: [1]}).write_csv(separator=separator) == f"{name}\n1\n"


@pytest.mark.parametrize("name", ["", "a,b", 'a"', "a;b", "a\tb", " a", "a ", "a\nb", "#a", "a  b"])
def test_other_names_are_left_to_polars(name):
    assert not is_plain_name(name)
