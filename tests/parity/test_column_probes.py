"""What is asked of graphs that take a table's columns, and the faults that it must find."""

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

from linexport.columns import Column
from linexport.encoding import CategoryColumn, DateColumn, Encoding, NumberColumn
from linexport.errors import ModelError
from linexport.formats import FORMATS, stated
from linexport.formats.onnx import columns as onnx_columns
from linexport.model import LinearModel
from linexport.parity import DoubleReference, check, column_canaries
from linexport.parity._columns import column_probes, features_of, unknown_cells
from linexport.parity._statements import compare_statement
from linexport.pipeline._verify import planted
from linexport.tables import table_of

KIND = CategoryColumn(
    name="kind", levels=("flat", "house", "7"), reference="flat", unknown="reference",
    missing="level",
)  # fmt: skip
ENCODING = Encoding(
    columns=(
        KIND,
        NumberColumn(name="age", fill=8.25, indicator=True),
        NumberColumn(name="area"),
        CategoryColumn(name="new", levels=("false", "true"), reference=None),
        DateColumn(name="listed", origin="2020-01-01"),
    )
)
CODE_FAULTS = {"two levels swapped", "unknown taken as the first level", "missing taken as unknown"}


def named(names) -> tuple[Column, ...]:
    return tuple(Column(name=name) for name in names)


def model_of(encoding: Encoding, dtype: str = "float32", accumulate: str | None = None):
    random = np.random.default_rng(4)
    names = encoding.features
    arrays = {"weight": random.normal(0, 3, (2, len(names))), "bias": random.normal(0, 3, 2)}
    arrays = {name: array.astype(accumulate or dtype) for name, array in arrays.items()}
    return LinearModel.from_arrays(arrays, dtype=np.dtype(dtype)).with_columns(
        named(names), named(["low", "high"])
    )


def checked(model, encoding, *, data=None, drawn_as=None):
    """Check a file as the pipeline does."""
    kind = FORMATS["onnx-columns"].configured(encoding=encoding)
    data = data or onnx_columns.write(model, drawn_as or encoding)

    compare = partial(compare_statement, model=model, encoding=encoding)
    said = compare(kind.file_name, stated(kind.metadata(data)))
    faults = planted(column_canaries(model, encoding), kind, model, compare)
    return check(
        DoubleReference(model), list(kind.open(data, model, ours=True)), faults,
        statements=[said], encoding=encoding, probe_rows=64,
    )  # fmt: skip


def test_features_are_those_of_the_encoder_that_predicts():
    """By the encoder of tables, for every cell that it takes: two ways to one definition."""
    cells = {
        "kind": [*KIND.spellings(), "elsewhere"],
        "age": [1.5, np.nan],
        "area": [-2.0, np.nan],
        "new": ["true", "FALSE", "NA"],
        "listed": [3.0, np.nan],
    }
    length = max(map(len, cells.values()))
    columns = {
        name: np.resize(np.array(own, object if type(own[0]) is str else float), length)[:, None]
        for name, own in cells.items()
    }
    table = {name: own[:, 0] for name, own in columns.items()}
    table["listed"] = np.where(np.isnan(table["listed"]), "", "2020-01-04").astype(object)
    (batch,) = table_of(table, "cells").batches(ENCODING)
    found = features_of(ENCODING, columns, np.dtype(np.float64))
    np.testing.assert_array_equal(found, batch.numbers())


def test_every_cell_of_every_column_is_asked():
    model = model_of(ENCODING)
    asked: dict[str, set[object]] = {column.name: set() for column in ENCODING.columns}
    sizes = set()
    with np.errstate(all="ignore"):
        for probe in column_probes(ENCODING, model, num_rows=64, seed=0):
            sizes.add(len(probe.features))
            for name, own in probe.columns.items():
                assert own.shape == (len(probe.features), 1)
                nan = own.dtype != object and np.isnan(own).any()
                asked[name] |= {"NaN"} if nan else set() if own.dtype != object else set(own.flat)
    for column in ENCODING.columns:
        if isinstance(column, CategoryColumn):
            assert asked[column.name] == {*column.spellings(), *unknown_cells(column)}
        else:
            assert asked[column.name] == {"NaN"}
    assert {0, 1, 64} <= sizes


@pytest.mark.parametrize(
    "pair", [("float32", None), ("float32", "float64"), ("float64", None)], ids=str
)
def test_a_graph_is_proven_and_its_faults_are_caught(pair):
    model = model_of(ENCODING, *pair)
    certificate = checked(model, ENCODING)
    assert certificate.failures == ()
    assert certificate.verdict == "proven"
    assert {result.structure for result in certificate.runtimes} == {"matches"}
    caught = {canary.name: canary.caught_by for canary in certificate.canaries}
    assert caught == dict.fromkeys([*CODE_FAULTS, "a fill forgotten"], ("behaviour",)) | {
        "two levels swapped in what is said": ("names",)
    }


def test_a_fault_that_there_is_nothing_to_notice_of_is_skipped():
    model = model_of(ENCODING)
    weight = model.weight.copy()
    weight[:, :3] = 0
    certificate = checked(replace(model, weight=weight), ENCODING)
    assert certificate.verdict == "proven"
    assert {canary.name for canary in certificate.canaries if canary.skipped} == CODE_FAULTS


def test_a_table_of_numbers_has_no_faults_of_an_encoding():
    encoding = onnx_columns.encoding_of(("a", "b"))
    certificate = checked(model_of(encoding), encoding)
    assert certificate.verdict == "proven"
    assert all(canary.skipped for canary in certificate.canaries)


@pytest.mark.parametrize(
    "other",
    [
        {"levels": ("flat", "7", "house")},
        {"reference": "house"},
        {"unknown": "error"},
        {"missing": "reference", "levels": ("flat", "house", "7", "missing")},
    ],
    ids=str,
)
def test_a_graph_of_another_encoding_disagrees(other):
    """Also where what it says of itself is right."""
    settings = {
        "name": "kind", "levels": KIND.levels, "reference": KIND.reference,
        "unknown": KIND.unknown, "missing": KIND.missing,
    }  # fmt: skip
    wrong = Encoding(columns=(CategoryColumn(**settings | other), *ENCODING.columns[1:]))
    model = model_of(ENCODING)
    renamed = model.with_columns(named(wrong.features), model.targets)
    said = checked(model, ENCODING, data=onnx_columns.write(renamed, wrong))
    assert said.verdict == "disagrees"
    stated_wrongly = r"' states (another encoding of the column 'kind'|feature \d to be 'kind\[)"
    assert re.search(stated_wrongly, said.failures[-1])
    noted = FORMATS["onnx-columns"].metadata(onnx_columns.write(model, ENCODING))
    silent = checked(model, ENCODING, data=onnx_columns.write(renamed, wrong, metadata=noted))
    assert silent.verdict == "disagrees"
    assert {result.verdict for result in silent.runtimes} == {"disagrees"}


level = st.one_of(
    st.sampled_from(["NA", "?", "true", "FALSE", "7", "7.0", "missing", "no such level", "'\"\\"]),
    st.text(min_size=1, max_size=3),
).filter(lambda text: text == text.strip() and text.isprintable())


@st.composite
def categories(draw, name):
    levels = draw(st.lists(level, min_size=2, max_size=5, unique=True))
    return CategoryColumn(
        name=name,
        levels=tuple(levels),
        reference=draw(st.sampled_from([None, *levels])),
        unknown=draw(st.sampled_from(["error", "reference"])),
        missing=draw(st.sampled_from(["error", "level", "reference"])),
    )


@given(kind=categories("kind"), street=categories("a b"), data=st.data())
@settings(max_examples=25, deadline=None)
def test_whatever_the_levels_are_a_graph_is_proven(kind, street, data):
    filled = NumberColumn(name="age", fill=data.draw(st.floats(-9, 9)), indicator=True)
    columns = data.draw(st.permutations([kind, street, filled]))
    try:
        encoding = Encoding(columns=tuple(columns))
    except ModelError:  # two features of one name
        assume(False)
    certificate = checked(model_of(encoding, "float32", "float64"), encoding)
    assert (certificate.verdict, certificate.failures) == ("proven", ())


def test_batches_of_cells_stay_within_memory_where_targets_are_many():
    levels = tuple(f"level {n}" for n in range(200))
    encoding = Encoding(columns=(CategoryColumn(name="kind", levels=levels, reference="level 0"),))
    weight = np.ones((20_000, len(encoding.features)), np.float32)
    model = LinearModel(weight=weight, bias=np.zeros(len(weight), np.float32))
    with np.errstate(all="ignore"):
        found = list(column_probes(encoding, model, num_rows=10_000, seed=0))
    assert max(
        len(probe.features) for probe in found if probe.name == "every cell"
    ) == 2**21 // len(weight)
