"""Small bundles to write, read and damage."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linexport.bundle._manifest import ErrorBudget, Manifest
from linexport.bundle._writer import manifest_of, write_bundle
from linexport.columns import Column
from linexport.fit import Coefficients, FitRecord
from linexport.model import LinearModel


@dataclass(frozen=True)
class Draft:
    """A bundle to write; `number` tells one bundle from another."""

    number: int = 1
    dtype: str = "float32"
    centred: bool = False

    @property
    def model(self) -> LinearModel:
        weight = np.array([[self.number, -3.5]], self.dtype)
        ones = np.ones(2, self.dtype)
        return LinearModel(
            weight=weight,
            bias=np.array([4.25], self.dtype),
            mean=ones if self.centred else None,
            features=(Column(name="area", unit="m²", minimum=1.0, maximum=9.5), Column(name="age")),
            targets=(Column(name="price"),),
        )

    @property
    def files(self) -> dict[str, bytes]:
        return {
            "model.onnx": b"onnx %d" % self.number,
            "model.pt": b"torchscript %d" % self.number,
            "parity.json": b"{}",
            "README.md": b"# A model\n",
        }

    def manifest(self, **options: Any) -> Manifest:
        coefficients = Coefficients(intercept=4.25, features={"area": 1.0, "age": -3.5})
        budget = ErrorBudget(fit=None, export=0.0, runtime=1e-6, total=1e-6)
        told = {
            "record": FitRecord(solver="sgd", rows=8, coefficients={"price": coefficients}),
            "error_budget": {"price": budget},
            "versions": {"linexport": "0.1.0"},
        }
        return manifest_of(self.model, **(told | options))

    def write(
        self, path: Path, *, files: Any = None, overwrite: bool = False, **options: Any
    ) -> Manifest:
        files = self.files if files is None else files
        manifest = self.manifest(**options)
        return write_bundle(path, manifest, self.model, files, overwrite=overwrite)


@pytest.fixture
def draft() -> type[Draft]:
    return Draft


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "bundle"
    Draft().write(path)
    return path


@pytest.fixture
def snapshot():
    """Everything below a directory, with what it holds."""

    def take(directory: Path) -> dict[str, Any]:
        return {
            str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
            for path in directory.rglob("*")
        }

    return take
