"""Tensors as arrays, without importing torch."""

from typing import TYPE_CHECKING, Any

from linexport.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NARROWEST = 4  # bytes of float32, which holds narrower numbers exactly


def tensor_to_numpy(tensor: Any, source: str, column: str | None = None) -> "NDArray[Any]":
    """Return the numbers of a tensor, which may need gradients and be on any device.

    Raises:
        DataError: If it has none, or NumPy has no array for them: of a meta or a sparse tensor.
    """
    try:
        values = tensor.detach().cpu()
        if values.is_floating_point() and values.element_size() < _NARROWEST:
            values = values.float()  # NumPy has neither bfloat16 nor float8
        array: NDArray[Any] = values.resolve_neg().numpy()
    except (RuntimeError, TypeError) as error:
        raise DataError(
            f"A tensor of {tensor.dtype} ({tensor.layout}, on {tensor.device}) is no array; make "
            "it a dense one of float32 first.",
            source=source,
            column=column,
        ) from error
    return array
