"""Telling what a source is, having it read, and what is found; our own values are read here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from linexport import bundle
from linexport._documented import documented
from linexport._files import naming, parsing, read_artifact
from linexport.columns import Column, listed, split_names
from linexport.encoding import Encoding
from linexport.errors import ArtifactError, ConfigError, ModelError
from linexport.fit import Fit, FitRecord
from linexport.model import LinearModel
from linexport.numerics import ExactMap, Values, exact_map, linear_model
from linexport.sources._registry import SOURCES, Source

__all__ = [
    "Imported",
    "composed",
    "exact_function",
    "names_of",
    "read",
    "read_model",
    "read_reference",
]

_PICKLE = (
    "loading a pickled object runs the code in it: load it in Python, where you know where it "
    "comes from, and pass the model itself to linexport.export or linexport.verify there."
)
EXPORTED = (
    "a torch.export archive is a program, and loading it may run code: in Python, where you know "
    "where it comes from, call linexport.export(torch.export.load(...), ...)."
)
_REFUSED = {
    ".cloudpickle": _PICKLE, ".dill": _PICKLE, ".joblib": _PICKLE, ".pickle": _PICKLE,
    ".pkl": _PICKLE, ".pt2": EXPORTED, ".skops": _PICKLE,
}  # fmt: skip


@documented
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
    encoding: Encoding | None = None
    """What makes the features of a table's columns; None where they are its columns."""
    rounded: Mapping[str, float] = field(default_factory=dict)
    """By target name, how far rounding has moved predictions from that fit's already, over the
    training range, in target units."""
    values: Any = None
    """The `numerics.Values` that say how the source computes it, where it is composed."""
    kept: Any = None
    """The `numerics.ExactMap` that a bundle was made from, where that is not what it holds."""

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


def names_of(name: str, width: int) -> list[str]:
    """Return names of an input's columns: one has its name; several are numbered."""
    return [name] if width == 1 else [f"{name}_{number}" for number in range(1, width + 1)]


def composed(values: Values, names: Sequence[str], source: str, *, is_named: bool) -> Imported:
    """Return what a graph makes of D columns, under their names where it has an input for each."""
    model = linear_model(values, len(names))
    if is_named:
        columns = tuple(replace(c, name=n) for c, n in zip(model.features, names, strict=True))
        model = model.with_columns(columns, model.targets)
    return Imported(model=model, source=source, features_named=is_named, values=values)


def exact_function(found: Imported) -> ExactMap:
    """Return the source's own function, before anything was rounded."""
    if isinstance(found.kept, ExactMap):
        return found.kept
    if found.values is not None:
        return exact_map(found.values, found.model.num_features)
    return ExactMap.of(found.model)


def read_model(
    source: Any,
    *,
    features: str | Sequence[Column | str] = (),
    targets: str | Sequence[Column | str] = (),
    graph_output: str | None = None,
) -> Imported:
    """Read a linear model from anywhere.

    Args:
        source: A LinearModel, or what `train`, `read_bundle`, `export` or this returned; an
            nn.Module, a program of torch.export or torch.onnx.export, or a state_dict; a fitted
            scikit-learn regressor or Pipeline; statsmodels results; arrays or coefficients by name;
            an ONNX ModelProto; the path of a bundle, or of a file whose suffix says what it holds.
        features: Names in the order of the input, where the source has none; a Column states a
            unit or a range too. x1, x2, ... if not given.
        targets: Likewise, in the order of the output; y, or y1, y2, ... if not given.
        graph_output: Which output of an ONNX graph that has several.

    Raises:
        ConfigError: If the source has no such output, or several of which none is named.
        ModelError: If it is no linear model, or cannot be told to be one.
        ArtifactError: If it is a file that cannot be used.
    """
    names, predicted = _given(features), _given(targets)
    return _read(source, graph_output, len(names)).named(names, predicted)


def _given(names: str | Sequence[Column | str]) -> Sequence[Column | str]:
    """Return names as a sequence that is empty or true: a frame's columns are neither."""
    return split_names(names, ()) if isinstance(names, str) else tuple(names)


def read_reference(source: Any) -> Imported:
    """Read a linear model from anywhere, in the precision that it has there.

    Raises:
        ModelError: As `read_model`.
        ArtifactError: As `read_model`.
    """
    return _read(source, None)


def _read(source: Any, output: str | None, num_features: int = 0) -> Imported:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        # LinearModel refuses what is not finite.
        if isinstance(source, str | Path):
            return _read_path(Path(source), output)
        return _read_object(source, output, num_features)


def _read_object(thing: Any, output: str | None, num_features: int = 0) -> Imported:
    for known in SOURCES:
        if known.takes(thing):
            module = import_module(known.module)
            width = {"num_features": num_features} if known.asks_width else {}
            found: Imported = module.read(thing, *_choice(known, output), **width)
            return found
    raise ModelError(
        f"{type(thing).__name__} is no model that is known here: docs/sources.md lists what is. "
        'Its numbers are: {"intercept": 4.2, "coefficients": {"x1": 2.0, "x2": -3.4}}, or '
        '{"weight": weight, "bias": bias} of shapes (targets, features) and (targets,).'
    )


def _choice(known: Source, output: str | None) -> tuple[str, ...]:
    """Return what a module is to be given beside the model.

    Raises:
        ConfigError: If an output is chosen where there are none.
    """
    if output is None:
        return ()
    if not known.has_outputs:
        raise ConfigError(f"Only an ONNX graph has outputs to choose from: leave out '{output}'.")
    return (output,)


def _read_path(path: Path, output: str | None) -> Imported:
    """Read a model from a bundle, or from a file, never by running what it holds.

    Raises:
        ArtifactError: If it cannot be read, would run code, or holds no linear model.
    """
    if bundle.is_bundle(path):
        return _read_object(bundle.read_bundle(path), output)
    with naming(path):
        known = _by_suffix(path.suffix.lower())
    module, choice = import_module(known.module), _choice(known, output)
    data = getattr(module, "load", read_artifact)(path)
    with naming(path), parsing():
        found: Imported = module.decode(data, *choice)
        return found


def _by_suffix(suffix: str) -> Source:
    if suffix in _REFUSED:
        raise ArtifactError(_REFUSED[suffix])
    for known in SOURCES:
        if suffix in known.suffixes:
            return known
    suffixes = [suffix for known in SOURCES for suffix in known.suffixes]
    raise ArtifactError(
        f"the suffix does not say what it holds: {', '.join(suffixes)}, or a bundle's directory."
    )


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
            name = f"linexport {thing.record.solver}"
            return _named(thing.model, name, record=thing.record, encoding=thing.encoding)
        case bundle.Bundle():
            manifest = thing.manifest
            rounded = {name: budget.export for name, budget in manifest.error_budget.items()}
            return _named(
                thing.model,
                "linexport bundle",
                record=manifest.record,
                encoding=manifest.encoding,
                rounded=rounded,
                kept=bundle.exact_origin(manifest),
            )
    raise ModelError(f"{type(thing).__name__} of linexport holds no model.")


def _named(model: LinearModel, source: str, **known: Any) -> Imported:
    return Imported(model=model, source=source, features_named=True, targets_named=True, **known)


def _columns(
    what: str, columns: tuple[Column, ...], given: Sequence[Column | str], *, own: bool
) -> tuple[Column, ...]:
    if not given:
        return columns
    if len(given) != len(columns):
        shown = listed([part if isinstance(part, str) else part.name for part in given])
        raise ModelError(
            f"Give as many names as the model has {what}: {len(columns)}, not {len(given)} "
            f"({shown})."
        )
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
