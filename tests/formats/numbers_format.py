"""A format that somebody else might add: the numbers as JSON, predicted with by NumPy."""

import json
from dataclasses import dataclass

import numpy as np

from linexport import LinearModel, formats


@dataclass(frozen=True)
class NumbersRuntime:
    """The model that the file states, in NumPy."""

    structure: LinearModel
    name: str = "numbers"
    version: str = np.__version__
    provider: str = "NumPy"
    num_threads: int | None = None

    @property
    def dtype(self):
        return self.structure.dtype

    def predict(self, features):
        return np.asarray(features, self.dtype) @ self.structure.weight.T + self.structure.bias


class Numbers(formats.Format):
    """JSON with dtype, weight and bias."""

    name = "numbers"
    file_name = "model.numbers"

    def write(self, model, metadata):
        numbers = {key: array.tolist() for key, array in model.arrays().items()}
        document = {"dtype": model.dtype.name, **numbers, "metadata": dict(metadata)}
        return json.dumps(document, sort_keys=True).encode()

    def open(self, data, model, *, ours):
        document = json.loads(data)
        arrays = {k: np.array(document[k], document["dtype"]) for k in ("weight", "bias")}
        yield NumbersRuntime(LinearModel.from_arrays(arrays))

    def example(self, model):
        return ["import json", "", "numbers = json.load(open('model.numbers'))"]


formats.register(Numbers())
