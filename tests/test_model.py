"""The value that every layer speaks: valid from birth, read-only, independent of its origin."""

import numpy as np
import pytest

from linexport.columns import Column, default_columns
from linexport.errors import ModelError
from linexport.model import LinearModel

WEIGHT, BIAS = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([7.0, 8.0])
MEAN = {"mean": np.array([1.0, 2.0, 3.0])}


def folded(**changes) -> LinearModel:
    return LinearModel(**{"weight": WEIGHT, "bias": BIAS, **changes})


def test_a_model_knows_its_shape_and_names():
    model = folded()
    assert (model.num_features, model.num_targets, model.dtype) == (3, 2, np.float64)
    assert model.feature_names == ("x1", "x2", "x3")
    assert model.target_names == ("y1", "y2")
    assert model.form == "folded"
    assert folded(**MEAN).form == "centred"


def test_a_single_target_is_just_y():
    assert folded(weight=WEIGHT[:1], bias=BIAS[:1]).target_names == ("y",)
    assert [column.name for column in default_columns("x", 1)] == ["x1"]


def test_a_model_shares_no_memory_with_what_it_was_made_of():
    weight = WEIGHT.copy()
    model = folded(weight=weight)
    weight[:] = 0
    assert (model.weight == WEIGHT).all()


@pytest.mark.parametrize("name", ["weight", "bias", "mean"])
def test_the_arrays_cannot_be_written_to(name):
    array = folded(**MEAN).arrays()[name]
    with pytest.raises(ValueError, match="read-only"):
        array[...] = 0


def test_the_arrays_are_contiguous_and_in_the_machines_byte_order():
    model = folded(weight=np.asfortranarray(WEIGHT.astype(">f8")), bias=BIAS.astype(">f8"))
    assert model.weight.flags.c_contiguous
    assert model.weight.dtype.isnative
    assert (model.weight == WEIGHT).all()


def test_arrays_are_listed_by_name():
    assert list(folded().arrays()) == ["weight", "bias"]
    assert list(folded(**MEAN).arrays()) == ["weight", "bias", "mean"]


def test_a_model_made_of_anothers_arrays_has_the_same_numbers():
    model = folded(**MEAN)
    again = LinearModel.from_arrays(model.arrays(), targets=(Column(name="a"), Column(name="b")))
    assert again.same_numbers(model)
    assert again.target_names == ("a", "b")


@pytest.mark.parametrize(
    "names", [(), ("weight",), ("weight", "bias", "scale"), ("weight", "bias", "offset")]
)
def test_arrays_under_other_names_are_no_model(names):
    with pytest.raises(ModelError, match="weight and bias are needed"):
        LinearModel.from_arrays(dict.fromkeys(names, BIAS))


@pytest.mark.parametrize(
    "other",
    [
        {"bias": np.nextafter(BIAS, np.inf)},
        {"bias": np.array([7.0, 8.0], np.float32), "weight": WEIGHT.astype(np.float32)},
        {"weight": WEIGHT[:, :2]},
        MEAN,
    ],
    ids=["a bit", "dtype", "shape", "form"],
)
def test_any_difference_in_numbers_is_a_difference(other):
    assert folded().same_numbers(folded())
    assert not folded().same_numbers(folded(**other))


def test_zeros_of_another_sign_are_other_numbers_and_names_do_not_matter():
    zero, negative = (folded(bias=np.array([sign * 0.0, 1.0])) for sign in (1, -1))
    assert not zero.same_numbers(negative)
    renamed = zero.with_columns(default_columns("a", 3), default_columns("b", 2))
    assert zero.same_numbers(renamed)
    assert renamed.feature_names == ("a1", "a2", "a3")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": WEIGHT.astype(int)}, "weight must be float32 or float64, got int64"),
        ({"weight": WEIGHT.astype(np.float16)}, "got float16"),
        ({"weight": WEIGHT[0]}, r"weight must have shape \(targets, features\), got \(3,\)"),
        ({"weight": np.zeros((2, 0))}, r"got \(2, 0\)"),
        ({"bias": BIAS[:1]}, r"bias must be float64 of shape \(2,\), got float64 of shape \(1,\)"),
        ({"bias": BIAS.astype(np.float32)}, "got float32"),
        ({**MEAN, "mean": np.zeros(2)}, r"mean must be float64 of shape \(3,\)"),
        ({"bias": np.array([1.0, np.nan])}, r"bias has the value nan at \(1,\)"),
        ({"weight": WEIGHT * [1, np.inf, 1]}, r"weight has the value inf at \(0, 1\)"),
        ({"features": default_columns("x", 2)}, "3 features need 3 names, got 2"),
        ({"targets": (Column(name="a"), Column(name="a"))}, "Two targets are named 'a'"),
    ],
)
def test_what_is_no_model_is_refused(changes, message):
    with pytest.raises(ModelError, match=message):
        folded(**changes)


def test_a_model_cannot_be_renamed_to_too_few_names():
    with pytest.raises(ModelError, match="2 targets need 2 names, got 1"):
        folded().with_columns(default_columns("x", 3), default_columns("y", 1))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "must be printable text"),
        ({"name": "two\nlines"}, "must be printable text"),
        ({"name": "x", "unit": "m\x00"}, "unit of 'x' must be printable"),
        ({"name": "x", "minimum": 1.0}, "needs both ends of its range"),
        ({"name": "x", "minimum": 2.0, "maximum": 1.0}, "range of 'x' is empty: 2.0 to 1.0"),
        ({"name": "x", "minimum": np.nan, "maximum": 1.0}, "range of 'x' is empty"),
    ],
)
def test_what_is_no_column_is_refused(fields, message):
    with pytest.raises(ModelError, match=message):
        Column(**fields)


def test_a_name_may_be_in_any_script():
    assert Column(name="größe ψ", unit="m²").name == "größe ψ"
