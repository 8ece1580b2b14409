"""A model that is a constant next to nothing."""

import numpy as np
import pytest

import linexport


@pytest.mark.parametrize("bias", [5e-324, 1e-323, 1e-320])
def test_a_constant_of_the_smallest_numbers_has_a_fitness(tmp_path, bias):
    """A 10,000th of it is 0 in float64, of which nothing is a part."""
    model = linexport.LinearModel(weight=np.zeros((1, 2)), bias=np.array([bias]))
    exported = linexport.export(model, tmp_path / "bundle")
    assert exported.certificate.verdict != "disagrees"
    (fitness,) = exported.manifest.fitness.values()
    assert fitness.limit > 0
