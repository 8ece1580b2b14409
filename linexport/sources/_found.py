"""What a reader of one kind of source finds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from linexport.columns import Column, listed
from linexport.errors import ModelError
from linexport.model import LinearModel


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Found:
    """A model as its source has it."""

    model: LinearModel
    source: str
    """What it came from, such as "scikit-learn Ridge"; no path."""
    features_named: bool = False
    """Whether the names of the features are the source's own, not x1, x2, ..."""
    targets_named: bool = False
    """Likewise of the targets."""


def named(
    found: Found, features: Sequence[Column | str], targets: Sequence[Column | str]
) -> LinearModel:
    """Return the model in float64, under the names given where the source has none or the same.

    Raises:
        ModelError: If they are not the source's, or not as many as there are.
    """
    model = found.model.widened()
    return model.with_columns(
        _columns("features", model.features, features, own=found.features_named),
        _columns("targets", model.targets, targets, own=found.targets_named),
    )


def _columns(
    what: str, columns: tuple[Column, ...], given: Sequence[Column | str], *, own: bool
) -> tuple[Column, ...]:
    if not given:
        return columns
    if len(given) != len(columns):
        raise ModelError(f"The model has {len(columns)} {what}, but {len(given)} names are given.")
    # A name leaves what is known of the column, such as its range; a Column states all of it.
    renamed = tuple(
        replace(column, name=part) if isinstance(part, str) else part
        for column, part in zip(columns, given, strict=True)
    )
    names, wanted = ([column.name for column in part] for part in (columns, renamed))
    if own and names != wanted:
        raise ModelError(
            f"The source names its {what} {listed(names)}, not {listed(wanted)}: leave the names "
            "out, or give them as they are, in this order."
        )
    return renamed
