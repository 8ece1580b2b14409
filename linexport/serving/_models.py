"""A model as it is served."""

from dataclasses import dataclass

from linexport.columns import listed
from linexport.predicting import Missing, Predictor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ServedModel:
    """One version of a model; requests that began with it end with it."""

    name: str
    version: str
    predictor: Predictor
    coarse: str = ""
    """Why it is too coarse, in a sentence; empty where it is not."""
    missing: Missing = "error"
    """Whether a row that lacks a value is refused, or predicted as NaN."""


def changed_signature(old: ServedModel, new: ServedModel) -> str:
    """Say in what a model differs for those who ask for predictions; empty where it does not."""
    ours, theirs = (_signature(model) for model in (old, new))
    changes = {what: (ours[what], theirs[what]) for what in ours if ours[what] != theirs[what]}
    if changes.get("features") == changes.get("columns"):  # which are the features, in most models
        changes.pop("features", None)
    return "; ".join(
        f"{what} {listed(before)} became {listed(after)}"
        for what, (before, after) in changes.items()
    )


def _signature(model: ServedModel) -> dict[str, tuple[str, ...]]:
    predictor = model.predictor
    encoding = predictor.encoding
    kinds = () if encoding is None else tuple(type(c).__name__ for c in encoding.columns)
    return {
        "columns": predictor.column_names,
        "kinds of columns": kinds,
        "features": predictor.feature_names,
        "targets": predictor.target_names,
        "dtype": (str(predictor.runtime.dtype),),
    }
