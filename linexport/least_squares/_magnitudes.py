"""What bounds take of large matrices, without a copy of one."""

import numpy as np

from linexport._arrays import Float64Array

_BLOCK_ELEMENTS = 2**17


def magnitudes_times(matrix: Float64Array, vectors: Float64Array) -> Float64Array:
    """Return |matrix| @ vectors, of shape (m, k) and (k,) or (k, n)."""
    block = max(_BLOCK_ELEMENTS // max(matrix.shape[1], 1), 1)
    parts = [
        np.abs(matrix[start : start + block]) @ vectors for start in range(0, len(matrix), block)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, *vectors.shape[1:]))


def row_norms(matrix: Float64Array) -> Float64Array:
    """Return the 2-norm of each row."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", matrix, matrix)))
