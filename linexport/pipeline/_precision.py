"""Which dtype an artifact gets, and what that costs: the first whose rounding is small enough."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from linexport._asked import asked
from linexport.bundle import ErrorBudget
from linexport.errors import ModelError
from linexport.fit import Fitness, FitRecord
from linexport.model import LinearModel
from linexport.numerics import (
    affine_of,
    artifact_model,
    far_corner,
    fitness,
    input_rounding,
    narrowest,
    precision_of,
    range_of,
    rounding_budget,
)
from linexport.parity import DoubleReference, OwnReference
from linexport.pipeline._config import ExportConfig
from linexport.sources import Imported

__all__ = ["Written", "advice", "fitness_of", "fitness_of_file", "narrowing", "to_write"]


PAIRS = (("float32", "float32"), ("float32", "float64"), ("float64", "float64"))
"""From the narrowest, which every runtime takes."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Written:
    """An artifact's numbers, what they cost, and why it is these."""

    model: LinearModel
    budgets: dict[str, ErrorBudget]
    fitness: dict[str, Fitness]
    why: str
    """One line: what was chosen, and why."""

    @property
    def good_enough(self) -> bool:
        """Whether rounding is small enough for every target."""
        return all(each.good_enough for each in self.fitness.values())


def to_write(origin: Imported, record: FitRecord, config: ExportConfig) -> Written:
    """Return the first of the dtypes asked for that is good enough, else the widest.

    Raises:
        ModelError: If none of them can hold the numbers, or predictions within the range.
    """
    tried: list[Written] = []
    refused = ""
    pairs = _pairs(config)
    for pair in pairs:
        try:
            written = _written(origin, record, config, pair, _because(tried, refused))
        except ModelError as error:
            if pair == pairs[-1]:
                raise
            refused = str(error)
            continue
        tried.append(written)
        if written.good_enough:
            break
    return tried[-1]


def _pairs(config: ExportConfig) -> list[tuple[str, str]]:
    """Return what may be chosen: the dtype of input and output, and that of the sum."""
    return [
        (dtype, accumulate)
        for dtype, accumulate in PAIRS
        if config.dtype in ("auto", dtype) and config.accumulate in ("auto", accumulate)
    ]


def fitness_of(
    model: LinearModel, record: FitRecord, budgets: dict[str, ErrorBudget]
) -> dict[str, Fitness]:
    """Judge an artifact of which the error budget is known."""
    known = [budgets.get(target) for target in model.target_names]
    if None in known:
        return {}
    found = [budget for budget in known if budget is not None]
    return fitness(
        model,
        record,
        before=[budget.export + budget.inputs for budget in found],
        runtime=[budget.runtime for budget in found],
    )


def fitness_of_file(
    reference: DoubleReference | OwnReference, source: LinearModel, record: FitRecord
) -> dict[str, Fitness]:
    """Judge the rounding of a file by what it should be; not where a range is a mere guess."""
    model = reference.model
    if any(column.minimum is column.standard_deviation is None for column in source.features):
        return {}
    before = np.array(input_rounding(source, model))
    if isinstance(reference, DoubleReference):
        rounding = rounding_budget(source, model)
        before, runtime = before + rounding.export, np.array(rounding.runtime)
    else:
        ends = np.stack([*range_of(source), far_corner(source, affine_of(model))])
        beside = np.nextafter(ends, np.copysign(np.inf, ends))  # the ends may be free of rounding
        runtime = reference.form.bound(beside).max(axis=0)
        if narrowing(reference):
            before, runtime = before + runtime, np.zeros_like(runtime)
    return fitness(model, record, before=before.tolist(), runtime=runtime.tolist())


def narrowing(reference: DoubleReference | OwnReference) -> tuple[str, ...]:
    """Say so where a graph's values pass through fewer digits than its answer has."""
    if isinstance(reference, DoubleReference):
        return ()
    fewest = narrowest(reference.form)
    if fewest.digits >= precision_of(reference.model.dtype).digits:
        return ()
    return (f"The graph rounds to {fewest.name} on its way: its bound allows for that.",)


def advice(
    written: Written, origin: Imported, record: FitRecord, config: ExportConfig
) -> Iterator[str]:
    """Say where another form than the one asked for would have been good enough."""
    centred_instead = config.form == "folded" and origin.model.form == "centred"
    if centred_instead and not written.good_enough:
        other = to_write(origin, record, replace(config, form="centred"))
        if other.good_enough:
            yield f"With {asked(form='centred')} {_named(other.model)} is good enough."


def _written(
    origin: Imported,
    record: FitRecord,
    config: ExportConfig,
    pair: tuple[str, str],
    because: str,
) -> Written:
    dtype, accumulate = map(np.dtype, pair)
    with np.errstate(over="ignore", invalid="ignore"):  # the budgets say what is beyond float64
        model = artifact_model(origin.model, dtype, config.form, accumulate=accumulate)
        budgets = _error_budgets(origin, model, record)
    found = fitness_of(model, record, budgets)
    asked = ", as asked" if len(_pairs(config)) == 1 else ""
    worst = max(found, key=lambda target: found[target].fraction)
    coarse = "" if found[worst].good_enough else ", though it is too coarse"
    why = f"Precision: {_named(model)}{asked}{coarse}: {found[worst].described(worst)}"
    return Written(model=model, budgets=budgets, fitness=found, why=f"{why}{because}.")


def _because(tried: list[Written], refused: str) -> str:
    """Say why narrower dtypes were passed over."""
    if refused:
        return f"; in float32, {refused.rstrip('.')}"
    shown = []
    for each in tried:
        worst = max(each.fitness, key=lambda target: each.fitness[target].fraction)
        shown.append(f"; {_named(each.model)}: {each.fitness[worst].rounding:.2g} in '{worst}'")
    return "".join(shown)


def _named(model: LinearModel) -> str:
    own = model.accumulate == model.dtype
    return f"{model.dtype}" if own else f"{model.dtype} with the sum in {model.accumulate}"


def _error_budgets(
    origin: Imported, model: LinearModel, record: FitRecord
) -> dict[str, ErrorBudget]:
    rounding = rounding_budget(origin.model, model)
    inputs = input_rounding(origin.model, model)
    budgets = {}
    for target, export_error, input_error, runtime_error in zip(
        model.target_names, rounding.export, inputs, rounding.runtime, strict=True
    ):
        export_error += origin.rounded.get(target, 0.0)
        distance = record.optimum.get(target)
        fit_error = None if distance is None else distance.prediction
        budgets[target] = ErrorBudget(
            fit=fit_error,
            export=export_error,
            inputs=input_error,
            runtime=runtime_error,
            total=(fit_error or 0.0) + export_error + input_error + runtime_error,
        )
        if not math.isfinite(budgets[target].total):
            wider = "" if model.dtype == np.float64 else f"{asked(dtype='float64')}, or "
            raise ModelError(
                f"Predictions of '{target}' may overflow {model.dtype} within the training range: "
                f"use {wider}other units."
            )
    return budgets
