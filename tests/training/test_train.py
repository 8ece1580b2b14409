"""What train() takes, and what it returns."""

import inspect

import numpy as np
import polars as pl
import pytest
import torch
from reading import DROPPING
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset

import linexport
from linexport.errors import ConfigError, DataError, TrainingError
from linexport.numerics._forms import raw_coefficients
from linexport.rows._dataset import split, write_dataset
from linexport.rows._inputs import as_dataset
from linexport.rows._loaders import load_array
from linexport.rows._synthetic import synthesize, synthetic_data
from linexport.rows._table_rows import training_rows
from linexport.sgd._config import SGDConfig
from linexport.tables import open_table
from linexport.training._train import train


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    features = random.normal(size=(120, 2)) * [1, 50] + [3, -7]
    return features, features @ [0.5, 2.0] + 1 + random.normal(size=120)


def bits(result):
    return result.model.weight.tobytes() + result.model.bias.tobytes()


def test_arrays_tensors_tensor_datasets_tuples_and_tables_give_the_same_bits(arrays, tmp_path):
    features, target = arrays
    tensors = torch.tensor(features, requires_grad=True), torch.tensor(target)
    table = pl.DataFrame({"a": features[:, 0], "b": features[:, 1], "c": target})
    table.write_csv(tmp_path / "table.csv")
    results = [
        train(features, target),
        train(features.tolist(), target.tolist()),
        train(features, target[:, None]),
        train((features, target)),
        train(*tensors),
        train(TensorDataset(*tensors)),
        train(as_dataset(features, target)),
        train(table, "c"),
        train(table.to_pandas(), ["c"]),
        train(tmp_path / "table.csv", "c"),
    ]
    assert {bits(result) for result in results} == {bits(results[0])}
    assert tensors[0].grad is None
    by_sgd = [train(*rows, solver="sgd") for rows in (arrays, (table, "c"))]
    assert bits(by_sgd[0]) == bits(by_sgd[1]) != bits(results[0])


def test_a_loaders_batches_are_taken_as_they_come(arrays):
    features, target = (torch.tensor(array) for array in arrays)
    seen = []

    class Recorded(TensorDataset):
        def __getitem__(self, index):
            seen.append(index)
            return super().__getitem__(index)

    order = [list(range(100, 120)), list(range(60)), list(range(60, 100))]
    loader = DataLoader(Recorded(features, target), batch_sampler=order)
    result = train(loader, solver=SGDConfig(standardize=False, epochs=2, learning_rate=1e-5))
    # Once to get to know the rows, and in each epoch.
    assert seen == 3 * [index for batch in order for index in batch]
    assert result.record.rows == 120
    assert result.record.settings["batch_size"] == 60


def test_a_loaders_batches_can_be_standardized(arrays):
    loader = load_array([torch.tensor(array) for array in arrays], 30)
    settings = SGDConfig(standardize=True, epochs=500, learning_rate=0.01)
    result = train(loader, solver=settings)
    assert result.warnings == ()
    assert result.record.optimum["y"].standard_errors < 1
    assert result.record.settings["batch_size"] == 30


def test_least_squares_is_for_tables_and_arrays_and_sgd_for_the_textbooks_rows(arrays):
    table = pl.DataFrame({"a": arrays[0][:, 0], "b": arrays[1]})
    loader = load_array(synthetic_data(), 10)
    for rows in (arrays, (table, "b"), (as_dataset(*arrays),)):
        assert train(*rows).record.solver == "lstsq"
    for rows in (synthesize(), loader):
        assert train(rows).record.solver == "sgd"
        assert train(rows, solver="lstsq").record.solver == "lstsq"


def test_a_stream_is_read_into_memory_for_a_solver_that_needs_that(tmp_path):
    dataset = synthesize()
    write_dataset(dataset, tmp_path / "rows.csv")
    rows = training_rows(open_table(tmp_path / "rows.csv"), targets="y")
    solver = SGDConfig(standardize=True, precision="float64")
    assert bits(train(rows, solver=solver)) == bits(train(dataset, solver=solver))


def test_weights_that_a_solver_would_not_heed_are_refused():
    table = open_table(pl.DataFrame({"a": [1.0, 2.0], "b": [1.0, 3.0], "w": [1.0, 1.0]}))
    rows = training_rows(table, targets="b", weights="w")
    with pytest.raises(ConfigError, match="Weights of rows are for solver='lstsq'"):
        train(rows, solver="sgd")


def test_a_loader_that_leaves_rows_out_is_trained_on_the_others(arrays):
    features, target = (torch.tensor(array) for array in arrays)
    loader = DataLoader(TensorDataset(features, target), batch_size=50, drop_last=True)
    result = train(loader, solver="lstsq")
    assert result.record.rows == 100
    assert bits(result) == bits(train(features[:100], target[:100]))
    assert train(loader, solver=SGDConfig(standardize=True)).record.rows == 100


def test_an_iterable_loader_will_do(arrays):
    class Stream(IterableDataset):
        def __iter__(self):
            return zip(*(torch.tensor(array, dtype=torch.float32) for array in arrays), strict=True)

    result = train(DataLoader(Stream(), batch_size=40), solver=SGDConfig(standardize=True))
    assert result.record.rows == 120
    assert result.record.settings["batch_size"] == 40


def test_a_loaders_own_generator_is_where_it_was_when_training_begins(arrays):
    tensors = [torch.tensor(array, dtype=torch.float32) for array in arrays]
    settings = SGDConfig(standardize=False, epochs=1, learning_rate=1e-5)
    results = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(4)
        loader = DataLoader(TensorDataset(*tensors), 10, shuffle=True, generator=generator)
        results.append(bits(train(loader, solver=settings)))
    first_order = list(
        DataLoader(
            TensorDataset(*tensors), 10, shuffle=True, generator=torch.Generator().manual_seed(4)
        )
    )
    fixed = DataLoader(first_order, batch_size=None)
    results.append(bits(train(fixed, solver=settings)))
    assert len(set(results)) == 1


def test_names_and_ranges_travel_with_the_model(arrays):
    features, target = arrays
    table = pl.DataFrame({"age": features[:, 0], "price": target, "size": features[:, 1]})
    result = train(table, "price")
    assert result.model.feature_names == ("age", "size")
    assert result.model.target_names == ("price",)
    assert list(result.record.coefficients["price"].features) == ["age", "size"]
    assert result.model.features[1].minimum == features[:, 1].min()
    assert result.model.targets[0].maximum == target.max()


def test_the_model_of_a_standardized_training_is_centred_and_in_the_columns_own_units(arrays):
    features, target = arrays
    result = train(features, target, solver=SGDConfig(epochs=200, learning_rate=0.003))
    assert result.model.mean.tolist() == pytest.approx(features.mean(axis=0).tolist(), rel=1e-14)
    weight, bias = raw_coefficients(result.model)
    recorded = result.record.coefficients["y"]
    assert list(recorded.features.values()) == weight[0].tolist()
    assert recorded.intercept == bias[0]
    # The slopes that made the data: noise 1, deviations 1 and 50, 120 rows; six deviations.
    assert abs(recorded.features["x1"] - 0.5) < 6 / np.sqrt(120)
    assert abs(recorded.features["x2"] - 2.0) < 6 / np.sqrt(120) / 50


def test_both_parts_of_a_split_are_measured():
    training, test = split(synthesize(), 0.2, seed=0)
    result = train(training, test=test)
    assert result.record.rows == 800
    assert result.record.metrics["training"]["y"].rows == 800
    measured = result.record.metrics["test"]["y"]
    assert measured.rows == 200
    errors = test.feature_values @ result.model.weight.T + result.model.bias - test.target_values
    assert measured.rmse == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-12)


def test_rows_that_were_dropped_are_counted(arrays):
    features, target = arrays
    target = target.copy()
    target[3] = np.nan
    table = open_table({"x1": features[:, 0], "x2": features[:, 1], "y": target})
    result = train(training_rows(table, targets="y", config=DROPPING))
    assert (result.record.rows, result.record.rows_dropped) == (119, 1)


def test_linearly_dependent_features_are_named(arrays):
    features, target = arrays
    doubled = np.column_stack([features, features[:, 0] * 2])
    with pytest.raises(TrainingError, match=r"linearly dependent: 'x3' is a combination of 'x1'"):
        train(doubled, target)


def one_tensor_loader(x):
    return DataLoader(TensorDataset(torch.tensor(x)), 10)


def untensored_loader(y):
    return DataLoader(list(zip("ab", y[:2], strict=True)))


def unloaded(x, y):
    return Subset(TensorDataset(torch.tensor(x), torch.tensor(y)), range(10))


def empty_loader():
    return DataLoader(TensorDataset(torch.empty(0, 2), torch.empty(0)))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (lambda x, _: [x], "The target is missing"),
        (lambda x, y: [(x, y), y], "tuple brings its own target"),
        (lambda _, y: [synthesize(), y], "Dataset brings its own target"),
        (lambda x, y: [(x, y, y)], "a pair, features and target, got a tuple of 3"),
        (lambda x, y: [x, y[:-1]], "120 rows of features, but 119 of the target"),
        (lambda x, y: [x, np.where(y > y.mean(), np.nan, y)], "There is no value"),
        (lambda x, y: [x[:0], y[:0]], "no rows"),
        (lambda x, y: [x, y.astype(complex)], "real numbers"),
        (lambda x, _: [one_tensor_loader(x)], "got a list of 1"),
        (lambda _, y: [untensored_loader(y)], "a pair of tensors"),
        (lambda x, y: [load_array([x[:, 0], y], 10)], r"got \(10,\) and \(10, 1\)"),
        (lambda *_: [empty_loader()], "no batch"),
        (lambda x, y: [unloaded(x, y)], r"Subset is read through a loader: train\(torch"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_refused(arrays, rows, message):
    with pytest.raises(DataError, match=message):
        train(*rows(*arrays))


def test_test_rows_of_other_columns_are_refused(arrays):
    with pytest.raises(DataError, match="have the columns x1, y, those trained on x1, x2, y"):
        train(*arrays, test=synthesize([1.0]))


def test_a_solver_that_is_not_there_is_refused(arrays):
    with pytest.raises(ConfigError, match="solver must be 'lstsq' or 'sgd', or its settings, got"):
        train(*arrays, solver="adam")


def test_a_batch_size_beside_a_loader_is_refused(arrays):
    loader = load_array([torch.tensor(array) for array in arrays], 10)
    with pytest.raises(ConfigError, match="DataLoader brings its own batches"):
        train(loader, solver=SGDConfig(batch_size=5))


def test_least_squares_loads_no_torch(fresh_python, tmp_path):
    """Arrays, a table in memory and one that is streamed, from the command line's own verb."""
    code = f"""if True:
        import sys, linexport, numpy
        x = numpy.arange(12.0).reshape(6, 2) ** 2
        linexport.train(x, x[:, 0] + [0, 1, 0, 2, 1, 0])
        table = {str(tmp_path / "rows.csv")!r}
        linexport.train(table, "c")
        linexport.train(linexport.read_data(table, targets="c", stream=True))
        print("torch" in sys.modules)"""
    pl.DataFrame({"a": [1, 2, 3, 4], "b": [1, 4, 2, 3], "c": [3, 1, 4, 1]}).write_csv(
        tmp_path / "rows.csv"
    )
    assert fresh_python(code) == "False"


def test_a_part_of_the_rows_is_kept_out(arrays):
    features, target = arrays
    fit = train(features, target, test=0.25, test_seed=3)
    training, test = split(as_dataset(features, target), 0.25, 3)
    assert bits(fit) == bits(train(training, test=test))
    assert fit.record.metrics["test"]["y"].rows == 30
    assert fit.record.settings["test_seed"] == 3
    with pytest.raises(ConfigError, match="between 0 and 1"):
        train(features, target, test=1.5)


def test_a_loader_keeps_no_rows_out(arrays):
    loader = DataLoader(TensorDataset(*map(torch.tensor, arrays)), batch_size=20)
    with pytest.raises(ConfigError, match="leave some out of it"):
        train(loader, test=0.2)


def test_a_solvers_setting_given_to_train_is_told_where_it_belongs(arrays):
    with pytest.raises(ConfigError, match=r"solver=linexport\.SGDConfig\(epochs=\.\.\.\)"):
        train(*arrays, epochs=3)
    with pytest.raises(ConfigError, match=r"solver=linexport\.LeastSquaresConfig\(l2=\.\.\.\)"):
        train(*arrays, l2=1.0)
    with pytest.raises(TypeError, match=r"takes no colour; .* LeastSquaresConfig, SGDConfig"):
        train(*arrays, colour="red")


def test_what_is_said_of_a_table_is_told_where_it_belongs(arrays):
    """A message about a table names such arguments, whoever read it."""
    of_both = {"source", "seed", "stream", "on_read", "ranks"}
    for name in inspect.signature(linexport.read_data).parameters.keys() - of_both:
        with pytest.raises(ConfigError, match=rf"read_data\(table, .*{name}=\.\.\."):
            train(*arrays, **{name: None})
    table = {"kind": ["a", "b", "a", "b"], "x": [1, 2, 4, 8], "y": [1.0, 3.0, 3.0, 9.0]}
    with pytest.raises(DataError, match=r"take categories with categorical=\['kind'\]"):
        train(table, "y")
    with pytest.raises(ConfigError, match=r"read_data\(table, categorical=\.\.\., targets"):
        train(table, "y", categorical=["kind"])
    rows = linexport.read_data(table, categorical=["kind"], targets="y")
    assert set(train(rows).coefficients["y"].features) == {"kind[b]", "x"}
