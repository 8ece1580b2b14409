"""What linexport itself made: models, fits, bundles and what was exported."""

from typing import Any

from linexport.bundle import Bundle
from linexport.errors import ModelError
from linexport.fit import Fit
from linexport.model import LinearModel
from linexport.sources._found import Imported

__all__ = ["read"]


def read(thing: Any) -> Imported:
    """Read a model from a value that a verb returned, with the record of its fit.

    Raises:
        ModelError: If it holds no model.
    """
    thing = getattr(thing, "origin", thing)  # what export returned states what it exported
    match thing:
        case Imported():
            return thing
        case LinearModel():
            return _named(thing, "LinearModel")
        case Fit():
            return _named(thing.model, f"linexport {thing.record.solver}", record=thing.record)
        case Bundle():
            manifest = thing.manifest
            rounded = {name: budget.export for name, budget in manifest.error_budget.items()}
            return _named(thing.model, "linexport bundle", record=manifest.record, rounded=rounded)
    raise ModelError(f"A {type(thing).__name__} of linexport holds no model.")


def _named(model: LinearModel, source: str, **known: Any) -> Imported:
    return Imported(model=model, source=source, features_named=True, targets_named=True, **known)
