"""A single file, judged by the exact function that it should be, in the form that it has.

What a reference states may be taken in several ways: the numbers that a bundle holds, those that it
was made from, either of them rounded to the file's dtype. A file is held to the one that it has;
where it has none of them, to the function itself, with what rounding its numbers explains.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from linexport import sources
from linexport.errors import ArtifactError, ConfigError, ModelError
from linexport.formats import onnx
from linexport.model import LinearModel
from linexport.numerics import (
    FLOAT64,
    Assumed,
    Cast,
    ExactMap,
    Explained,
    Form,
    Numbers,
    OwnForm,
    Plus,
    Precision,
    Steps,
    Through,
    artifact_model,
    explained,
    precision_of,
)
from linexport.parity import DoubleReference, OwnReference
from linexport.pipeline._opening import Artifact
from linexport.pipeline._readings import Reading, readings, source_of
from linexport.sources import Imported, exact_function

if TYPE_CHECKING:
    from linexport.formats import Format, Runtime
    from linexport.formats.onnx import ForeignGraph

__all__ = ["Judged", "Opener", "judged"]

Opener = Callable[["Format", bytes, LinearModel], "Iterator[Runtime]"]

_PLAIN = ((Through,), (Through, Plus), (Plus, Through), (Plus, Through, Plus))
"""The operations, after the first step takes the input's columns, that are a form of ours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What a file is compared with."""

    reference: DoubleReference | OwnReference
    notes: tuple[str, ...] = ()
    otherwise: "Judged | None" = None
    """What else a file that does not say what it computes may be, if it is not that."""


def judged(artifact: Artifact, reference: Imported, opener: Opener) -> Judged:
    """Return what a file is to be compared with, and what that took.

    Raises:
        ConfigError: If the file states another shape.
        ModelError: If a number is too large for the file's dtype.
        NotCheckedError: If the file cannot be run here.
    """
    require_shape(artifact, reference.model)
    if artifact.format.takes_columns:
        return _by_columns(artifact, reference, opener)
    if artifact.format.name == "onnx":
        graph = onnx.graph_of(artifact.data)
        found = _read(graph.proto)
        found_as = (
            _in_own_form(graph, found, reference)
            if found is None or not _is_plain(found, graph) or _recentres(found, reference)
            else _as_written(artifact, reference, exact_function(found), opener)
        )
        return replace(found_as, notes=(*found_as.notes, *graph.notes))
    found_as = _as_written(artifact, reference, None, opener)
    return replace(found_as, otherwise=_composed(found_as, reference))


def _composed(other: Judged, reference: Imported) -> Judged | None:
    """Return the reference in its own form, which a program that was made of it has kept."""
    model = other.reference.model
    if reference.values is None or model.accumulate != model.dtype:
        return None
    form = OwnForm(
        steps=reference.values.steps,
        precision=precision_of(model.dtype),
        numbers="rounded where needed",
    )
    made = OwnReference(
        model=model,
        exact=exact_function(reference),
        form=form,
        inputs=(model.dtype,) * model.num_features,
    )
    note = "The file is compared with the reference as that computes, layer by layer."
    return Judged(reference=made, notes=(note,))


def _read(proto: Any) -> Imported | None:
    """Return what a graph computes; None where that is not understood.

    Its names are judged by themselves: they may be damaged.
    """
    nameless = type(proto)()
    nameless.CopyFrom(proto)
    nameless.ClearField("metadata_props")
    try:
        return sources.read_reference(nameless)
    except ModelError:
        return None


def _is_plain(found: Imported, graph: "ForeignGraph") -> bool:
    """Tell whether a graph computes as the folded or the centred form does."""
    if found.values is None:
        return True
    is_table = [(each.dtype, each.is_line) for each in graph.inputs] == [(graph.answers, False)]
    same = precision_of(graph.answers)
    kinds = tuple(
        type(each.step)
        for each in found.values.steps.in_order()[1:]
        if not (isinstance(each.step, Cast) and each.step.precision is same)
    )
    return is_table and exact_function(found).is_float64 and kinds in _PLAIN


def _recentres(found: Imported, reference: Imported) -> bool:
    """Tell whether a graph that is not ours subtracts a mean, and the reference none.

    Its intercept is then a sum of rounded products, and none that the reference states.
    """
    means = exact_function(found).mean, exact_function(reference).mean
    return found.values is not None and means[0] is not None and means[1] is None


def _as_written(
    artifact: Artifact, reference: Imported, exact: ExactMap | None, opener: Opener
) -> Judged:
    """Take the reference in the precision and the form that a file has.

    A TorchScript or .pt2 file is known as ours by the model it should hold, and claims the dtype of
    that, so it is asked for one row to learn whether it really takes it.
    """
    fitting: list[Reading] = []
    for other, notes in readings(reference):
        try:
            runtime = next(opener(artifact.format, artifact.data, other))
            answer = runtime.predict(np.zeros((1, other.num_features), other.dtype))
        except ArtifactError:  # whoever proves it next says so, if it is so in each of them
            continue
        stated = runtime.structure or other
        # What does not say how it sums is taken to do so in its dtype, as most files do.
        if stated is other is not reference.model and other.accumulate != other.dtype:
            continue
        form: Form = stated.form if exact is None or runtime.structure else _form(exact)
        held = (runtime.dtype, answer.dtype, stated.accumulate, form)
        if held == (other.dtype, other.dtype, other.accumulate, other.form):
            fitting.append((other, notes))
            if exact is None or ExactMap.of(other).same_as(exact):
                return Judged(reference=DoubleReference(other), notes=notes)
    # None is what the file holds: it is held to what the source was.
    model, notes = fitting[-1] if fitting else (reference.model, ())
    return Judged(reference=DoubleReference(model), notes=notes)


def _by_columns(artifact: Artifact, reference: Imported, opener: Opener) -> Judged:
    """Take the reference as a file states its numbers behind an encoding."""
    kind = artifact.format.configured(encoding=reference.encoding)
    held = next(opener(kind, artifact.data, reference.model))
    for model, notes in readings(reference):
        stated = held.structure or model
        if (held.dtype, stated.accumulate, stated.form) == (
            model.dtype, model.accumulate, model.form
        ):  # fmt: skip
            return Judged(reference=DoubleReference(model), notes=notes)
    return Judged(reference=DoubleReference(reference.model))


def _form(exact: ExactMap) -> Form:
    return "folded" if exact.mean is None else "centred"


def _in_own_form(graph: "ForeignGraph", found: Imported | None, reference: Imported) -> Judged:
    """Hold a graph to the exact function, by the bound of its own operators."""
    inputs = graph.dtypes(reference.model.num_features)
    model = artifact_model(source_of(reference), graph.answers)
    begins = precision_of(inputs[0]) if inputs[0].kind == "f" else FLOAT64
    narrow = min(precision_of(graph.answers), begins, key=lambda each: each.digits)
    if found is None:
        return _assumed(reference, model, inputs, narrow, graph.num_operators)
    assert found.values is not None
    form = OwnForm(steps=found.values.steps, precision=begins)
    same = [
        (exact, notes)
        for exact, notes in _functions(reference)
        if exact_function(found).same_as(exact)
    ]
    if same:
        exact, notes = same[0]
        made = OwnReference(model=model, exact=exact, form=form, inputs=inputs)
        return Judged(reference=made, notes=notes)
    exact, held = exact_function(reference), exact_function(found)
    allowed = explained(found.values.steps, model.num_features, narrow)
    is_sum = not held.fits(narrow) or held.cancels(allowed.size)
    rounds = is_sum or _recentres(found, reference)
    made = OwnReference(
        model=model,
        exact=exact,
        form=replace(form, numbers="rounded" if rounds else "exact"),
        inputs=inputs,
        difference=_difference(held, exact, reference.model, allowed if rounds else None),
    )
    note = "The graph's numbers are those of the reference, rounded: its bound allows for that."
    return Judged(reference=made, notes=(note,) if rounds and not made.difference else ())


def _functions(reference: Imported) -> Iterator[tuple[ExactMap, tuple[str, ...]]]:
    """Yield the functions that a graph may be: the source's own, then what was rounded of it."""
    if reference.kept is not None:
        note = (
            "The file is compared with what the bundle was made from; the bundle's own numbers are "
            f"that, rounded to {reference.model.dtype}."
        )
        yield reference.kept, (note,)
    else:
        yield exact_function(reference), ()
    for model, notes in readings(reference):
        yield ExactMap.of(model), notes


def _difference(
    held: ExactMap, exact: ExactMap, model: LinearModel, allowed: Explained | None
) -> str | None:
    """Say where a graph's numbers are further from the reference's than rounding explains."""
    weights, terms = (allowed.weights, allowed.terms) if allowed else (0.0, 0.0)
    for target, feature in held.differences(exact, weights=weights, terms=terms):
        what, pair = "bias", [float(m.at_zero()[0].high[target]) for m in (held, exact)]
        if feature >= 0:
            what = f"weight of '{model.feature_names[feature]}'"
            pair = [float(m.weight.high[target, feature]) for m in (held, exact)]
        return (
            f"computes with the {what} for '{model.target_names[target]}' {pair[0]!r}, the "
            f"reference {pair[1]!r}, which rounding does not explain."
        )
    return None


def _assumed(
    reference: Imported,
    model: LinearModel,
    inputs: tuple[np.dtype[Any], ...],
    narrow: Precision,
    num_operators: int,
) -> Judged:
    """Hold a graph that is not understood to the bound of the folded form, and its operators'."""
    exact = exact_function(reference)
    affine = exact.affine
    mean = np.zeros(model.num_features) if affine.mean is None else affine.mean
    step = Assumed(affine.weight, affine.bias, mean, num_operators)
    rounds = not exact.fits(narrow)
    numbers: Numbers = "rounded" if rounds else "exact"
    form = OwnForm(steps=Steps(step), precision=narrow, numbers=numbers)
    note = (
        "The graph is not understood, only run: its bound is that of the terms in any order, with "
        f"one more rounding for each of its {num_operators} operators."
    )
    made = OwnReference(model=model, exact=exact, form=form, inputs=inputs)
    return Judged(reference=made, notes=(note,))


def require_shape(artifact: Artifact, model: LinearModel) -> None:
    """Refuse a reference that is the model of something else."""
    stated = artifact.format.shape(artifact.data)
    if stated is None:
        return
    num_features, num_targets = stated[0] or model.num_features, stated[1] or model.num_targets
    if (num_features, num_targets) != (model.num_features, model.num_targets):
        raise ConfigError(
            f"{artifact.path}: the model has {_count(num_features, num_targets)}, the reference "
            f"{_count(model.num_features, model.num_targets)}: name the reference of this model."
        )


def _count(num_features: int, num_targets: int) -> str:
    return (
        f"{num_features} feature{'s'[: num_features != 1]} and "
        f"{num_targets} target{'s'[: num_targets != 1]}"
    )
