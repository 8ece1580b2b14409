"""What a file of a model may hold: its numbers in each form and dtype, rounded in each way."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from linexport._arrays import FloatArray
from linexport.errors import ModelError
from linexport.model import LinearModel
from linexport.numerics import Form, artifact_model
from linexport.sources import Imported, exact_function

__all__ = ["Reading", "readings", "source_of"]

Reading = tuple[LinearModel, tuple[str, ...]]
"""A model, and what is to be said of how it was made."""


def readings(reference: Imported) -> Iterator[Reading]:
    """Yield what a file of a model may hold, first what the reference holds itself."""
    yield from _readings_of(reference.model)
    if reference.kept is not None:
        origin = source_of(reference)
        note = "The reference is what the bundle was made from, before it was rounded."
        for model, notes in _readings_of(origin):
            yield model, (note, *notes)


def source_of(reference: Imported) -> LinearModel:
    """Return the exact function, rounded to float64."""
    return exact_function(reference).model(reference.model)


def _readings_of(model: LinearModel) -> Iterator[Reading]:
    """Yield a model in each form and pair of dtypes, first as it is.

    Raises:
        ModelError: At the end, if numbers are too large for some of it.
    """
    own = (model.dtype.name, model.accumulate.name)
    pairs = (own, ("float32", "float32"), ("float64", "float64"), ("float32", "float64"))
    forms: tuple[Form, ...] = (model.form, "folded")
    refused: ModelError | None = None
    for form in dict.fromkeys(forms):
        folded = ("The reference was folded, as the artifact is.",) if form != model.form else ()
        for pair in dict.fromkeys(pairs):
            if form == model.form and pair == own:
                yield model, ()
                continue
            dtype, accumulate = map(np.dtype, pair)
            try:
                other = artifact_model(model, dtype, form, accumulate=accumulate)
            except ModelError as error:
                refused = error
            else:
                yield other, (*_converted(model, other), *folded)
    if model.mean is not None and model.accumulate == np.float64:
        try:
            other = _each_rounded(model, model.mean)
        except ModelError as error:
            refused = error
        else:
            yield other, tuple(_converted(model, other))
    if refused:
        raise refused


def _each_rounded(model: LinearModel, mean: FloatArray) -> LinearModel:
    """Return a centred model in float32, as tools round it that do not make up for its mean.

    Ours puts into the bias what the mean's rounding moves.

    Raises:
        ModelError: If a number is too large for float32.
    """
    with np.errstate(over="ignore"):
        weight, bias, mean = (part.astype(np.float32) for part in (model.weight, model.bias, mean))
    return replace(model, weight=weight, bias=bias, mean=mean, dtype=np.dtype(np.float32))


def _converted(model: LinearModel, other: LinearModel) -> Iterator[str]:
    """Say what became of the numbers of a reference that were taken in another dtype."""
    if other.accumulate.itemsize > model.accumulate.itemsize:
        yield f"The {model.accumulate} reference was taken as float64, which holds it exactly."
    same = other.form == model.form and other.widened().same_numbers(model)
    if other.accumulate.itemsize < model.accumulate.itemsize and not same:
        yield f"The {model.accumulate} reference was rounded to float32."
