"""What two float32 engines may differ by."""

import numpy as np

import linexport
from linexport.numerics._bounds import FLOAT32, rounding_error_bound
from linexport.numerics._forms import affine_of


def assert_near(prediction, other, bundle, rows):
    """Both are within the bound of the truth, so they are within twice the bound of each other."""
    rounded = np.asarray(rows, np.float32).astype(np.float64)
    affine = affine_of(linexport.read_bundle(bundle).model)
    bound = rounding_error_bound(rounded, affine, precision=FLOAT32)
    distance = prediction.astype(np.float64) - other
    assert distance.shape == bound.shape
    assert (np.abs(distance) <= 2 * bound).all()
