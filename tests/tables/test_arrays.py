import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch

from linexport.errors import ConfigError, DataError
from linexport.rows._inputs import as_array, as_dataset
from linexport.rows._loaders import load_array

X = np.array([[1.0, 2.0], [3.0, 5.0], [5.0, 7.0], [7.0, 1.0]])
Y = np.array([1.0, 2.0, 3.0, 5.0])


@pytest.mark.parametrize(
    "convert",
    [
        np.asarray,
        lambda values: values.astype(np.float32),
        lambda values: values.astype(np.int16),
        lambda values: values.astype(">f8"),
        np.asfortranarray,
        lambda values: np.repeat(values, 2, axis=0)[::2],
        np.ndarray.tolist,
        torch.tensor,
        lambda values: torch.tensor(values, requires_grad=True),
        lambda values: torch.tensor(values, dtype=torch.bfloat16),
        lambda values: torch.tensor(values).to_sparse().to_dense(),
        lambda values: torch.tensor(values, dtype=torch.float8_e4m3fn),
        lambda values: np.ma.masked_equal(values, -1.0),
        pd.DataFrame,
        lambda values: pl.DataFrame(np.atleast_2d(values.T).T),
    ],
)
def test_whatever_holds_the_numbers_makes_the_same_dataset(convert):
    dataset = as_dataset(convert(X), convert(Y))
    assert dataset.feature_values.tolist() == X.tolist()
    assert dataset.target_values.tolist() == Y[:, None].tolist()
    assert dataset.feature_values.dtype == np.float64
    assert dataset.features[1].maximum == 7.0


def test_columns_are_named_by_data_frames_or_by_number():
    def names(*arguments):
        dataset = as_dataset(*arguments)
        return [column.name for column in dataset.features + dataset.targets]

    assert names(X, Y) == ["x1", "x2", "y"]
    assert names(X, np.stack([Y, Y], axis=1)) == ["x1", "x2", "y1", "y2"]
    frame = pd.DataFrame(X, columns=["area", "rooms"])
    assert names(frame, pd.Series(Y, name="price")) == ["area", "rooms", "price"]
    assert names(pl.DataFrame(X, schema=["a", "b"]), pl.Series("p", Y)) == ["a", "b", "p"]
    assert names(pd.DataFrame(X), Y) == ["x1", "x2", "y"]  # its columns are 0 and 1


@pytest.mark.parametrize(
    ("features", "target", "options", "message"),
    [
        (
            X[:, 0],
            Y,
            {},
            "the arrays: features must have shape (rows, features), got (4,); one feature is "
            "values.reshape(-1, 1).",
        ),
        (X[:, :0], Y, {}, "the arrays: features must have shape (rows, features), got (4, 0)."),
        (
            X,
            Y[:, None, None],
            {},
            "the arrays: target must have shape (rows,) or (rows, targets), got (4, 1, 1).",
        ),
        (X, Y[:3], {}, "the arrays: 4 rows of features, but 3 of the target."),
        (X.astype(str), Y, {}, "the arrays, features: It must hold real numbers, got <U32."),
        (
            X.astype(object),
            Y,
            {},
            "the arrays, features: It must hold real numbers, got object; "
            "numpy.asarray(values, dtype=float) makes numbers of them, and NaN of None.",
        ),
        (
            scipy.sparse.csr_matrix(X),
            Y,
            {},
            "the arrays, features: It must hold real numbers, got a sparse csr_matrix; make it "
            "dense with its .toarray().",
        ),
        (X + 1j, Y, {}, "the arrays, features: It must hold real numbers, got complex128."),
        ([[1, 2], [3]], Y, {}, "the arrays, features: Its rows differ in length."),
        (
            X,
            np.ma.masked_equal(Y, 5.0),
            {},
            "the arrays, target: It has masked values; fill them, as with .filled(np.nan).",
        ),
        (
            torch.ones(4, 2, device="meta"),
            Y,
            {},
            "the arrays, features: A tensor of torch.float32 (torch.strided, on meta) is no array; "
            "make it a dense one of float32 first.",
        ),
        (
            np.where(X == 5, np.nan, X),
            Y,
            {},
            "the arrays, column 'x2', row 2: There is no value; fill it in, or leave such rows "
            "out.",
        ),
        (
            X,
            np.where(Y == 3, -np.inf, Y),
            {},
            "the arrays, column 'y', row 3: -inf is given; correct it, or leave such rows out.",
        ),
        (X[:0], Y[:0], {"source": "batch"}, "batch: There are no rows."),
        (
            pd.DataFrame(X, columns=["a", "a"]),
            Y,
            {},
            "the arrays: Columns 1 and 2 are both named 'a'; rename one.",
        ),
    ],
)
def test_arrays_that_cannot_be_fitted_are_refused_in_one_line(features, target, options, message):
    with pytest.raises(DataError) as caught:
        as_dataset(features, target, **options)
    assert str(caught.value) == message


def test_the_dataset_is_a_copy():
    features = X.copy()
    dataset = as_dataset(features, Y)
    features[:] = 0
    assert dataset.feature_values.tolist() == X.tolist()


def test_a_list_of_tensors_that_is_no_array_is_refused_in_one_line():
    with pytest.raises(DataError, match=r"^rows: It cannot be made an array: ") as caught:
        as_array([torch.ones(2, dtype=torch.bfloat16)], "rows")
    assert "\n" not in str(caught.value)


def test_scalars_are_arrays_too():
    assert as_array(4.2, "bias").shape == ()


def test_a_loader_brings_every_row_once_per_epoch_in_a_new_order():
    features = torch.arange(10.0).reshape(10, 1)
    torch.manual_seed(0)
    loader = load_array((features, 2 * features), 4)
    epochs = []
    for _ in range(2):
        batches = list(loader)
        assert [len(x) for x, _ in batches] == [4, 4, 2]
        assert all(torch.equal(2 * x, y) for x, y in batches)
        epochs.append(torch.cat([x for x, _ in batches]).ravel().tolist())
        assert sorted(epochs[-1]) == list(range(10))
    assert epochs[0] != epochs[1]


def test_a_loader_keeps_the_order_where_nothing_is_trained():
    (batch,) = load_array((X, Y), 10, is_train=False)
    assert batch[0].tolist() == X.tolist()


def test_a_loader_needs_a_batch_size_and_equally_many_rows_that_are_known():
    with pytest.raises(ConfigError, match="a whole number of at least 1, got 0"):
        load_array((X, Y), 0)
    with pytest.raises(ConfigError, match=r"got a Tensor: load_array\(\(features, target\), 10\)"):
        load_array(torch.tensor(X), torch.tensor(Y), 10)
    with pytest.raises(DataError, match=r"equally many rows, got \[4, 3\]"):
        load_array((X, Y[:3]), 2)
    with pytest.raises(DataError, match="masked values; fill them"):
        load_array((X, np.ma.masked_equal(Y, 5.0)), 2)
