"""What a reader of one kind of model finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from linexport.columns import Column, listed
from linexport.errors import ModelError
from linexport.fit import FitRecord
from linexport.model import LinearModel

__all__ = ["Imported"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Imported:
    """A model from elsewhere."""

    model: LinearModel
    """From `read_model` in float64, which holds a source's float32 numbers exactly; with a mean
    where it has one."""
    source: str
    """What it came from, such as "scikit-learn Ridge"; no path."""
    features_named: bool = False
    """Whether the names of the features are the source's own, not x1, x2, ..."""
    targets_named: bool = False
    """Likewise of the targets."""
    record: FitRecord | None = None
    """How the model came about, where it was fitted or exported here before."""
    rounded: Mapping[str, float] = field(default_factory=dict)
    """By target name, how far rounding has moved predictions from that fit's already, over the
    training range, in target units."""

    def named(
        self, features: Sequence[Column | str], targets: Sequence[Column | str]
    ) -> "Imported":
        """Return the model in float64, under names given where the source has none or the same.

        Raises:
            ModelError: If they are not the source's, or not as many as there are.
        """
        model = self.model.widened().with_columns(
            _columns("features", self.model.features, features, own=self.features_named),
            _columns("targets", self.model.targets, targets, own=self.targets_named),
        )
        return replace(
            self,
            model=model,
            features_named=self.features_named or bool(features),
            targets_named=self.targets_named or bool(targets),
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
