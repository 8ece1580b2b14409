"""Encoding, the value: names of features, what cells mean, what cannot be."""

from typing import Any

import msgspec
import pytest

from linexport.encoding import CategoryColumn, DateColumn, Encoding, NumberColumn
from linexport.errors import ModelError


def category(*levels: str, **settings: Any) -> CategoryColumn:
    return CategoryColumn(name="kind", levels=levels, **{"reference": levels[0], **settings})


def test_features_are_named_after_columns_and_levels() -> None:
    encoding = Encoding(
        columns=(
            NumberColumn(name="age", fill=30.0, indicator=True),
            category("flat", "house", missing="level"),
            DateColumn(name="listed", origin="2020-01-01"),
        )
    )
    features = ("age", "age[missing]", "kind[house]", "kind[missing]", "listed")
    assert encoding.features == features
    assert encoding.feature_columns == ("age", "age", "kind", "kind", "listed")
    assert category("a", "b", reference=None).features == ("kind[a]", "kind[b]")
    assert msgspec.json.decode(msgspec.json.encode(encoding), type=Encoding) == encoding


@pytest.mark.parametrize(
    ("levels", "cell", "level"),
    [
        (("flat", "house"), "house", "house"),
        (("flat", "house"), "NA", None),
        (("flat", "NA"), "NA", "NA"),
        (("false", "true"), "TRUE", "true"),
        (("False", "True"), "true", "True"),
        (("1", "2"), "2.0", "2"),
        (("1.0", "2.0"), "2", "2.0"),
        (("1", "1.0"), "1", "1"),
        (("0", "1"), "0.0", "0"),
        (("0", "1"), "true", "1"),
        (("0.0", "1.0", "2.0"), "False", "0.0"),
        (("false", "true"), "1", "true"),
        (("FALSE", "TRUE", "yes"), "0.0", "FALSE"),
    ],
)
def test_a_cell_means_one_level(levels: tuple[str, ...], cell: str, level: str | None) -> None:
    assert category(*levels).spellings()[cell] == level


@pytest.mark.parametrize(
    ("levels", "cell"),
    [
        (("flat",), "Flat"),
        (("7",), "07"),
        (("07",), "7"),
        (("1", "1.0"), "1.00"),
        (("yes",), "true"),
        (("1", "2"), "false"),
        (("0", "1", "true"), "false"),
        (("1", "1.0"), "true"),
        (("true", "false", "0"), "1"),
    ],
)
def test_what_is_spelled_otherwise_is_unknown(levels: tuple[str, ...], cell: str) -> None:
    assert cell not in category(*levels).spellings()


def test_two_levels_that_share_another_spelling_do_not_lend_it() -> None:
    assert "TRUE" not in category("true", "True").spellings()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: category("a", "a"), "each of them once"),
        (lambda: CategoryColumn(name="kind", levels=(), reference=None), "must be there"),
        (lambda: category(" a"), "printable text"),
        (lambda: category("a\nb"), "printable text"),
        (lambda: category("a", reference="b"), "'b' is no level of 'kind'"),
        (lambda: NumberColumn(name="x", fill=float("nan")), "finite"),
        (lambda: NumberColumn(name="x", indicator=True), "needs a fill"),
        (lambda: DateColumn(name="d", origin="01/02/2020"), "must be a date as 2020-01-31"),
        (lambda: Encoding(columns=(category("a"), category("b"))), "column 'kind' twice"),
        (
            lambda: Encoding(columns=(category("a", "b"), NumberColumn(name="kind[b]"))),
            r"feature 'kind\[b\]' twice",
        ),
    ],
)
def test_what_cannot_be_is_refused(make: Any, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        make()
