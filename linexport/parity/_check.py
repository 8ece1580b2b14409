"""The parity check: structure, then behaviour, for runtimes and canaries alike."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, get_args

import numpy as np

from linexport._arrays import Float64Array, FloatArray
from linexport.encoding import Encoding
from linexport.errors import PrecisionError
from linexport.formats import Runtime
from linexport.model import LinearModel
from linexport.numerics import FLOAT64
from linexport.parity._certificate import (
    DEFAULT_PROBE_ROWS,
    CanaryResult,
    Catch,
    Certificate,
    Comparison,
    RuntimeResult,
    StatementResult,
    Verdict,
)
from linexport.parity._columns import column_probes
from linexport.parity._exact import DoubleReference, Expectation, Meaning, expect
from linexport.parity._own import OwnReference
from linexport.parity._probes import Probe, probes

__all__ = ["OpenedCanary", "check", "joined"]

_RANKS: dict[Verdict, int] = {name: rank for rank, name in enumerate(get_args(Verdict))}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OpenedCanary:
    """A planted fault: its runtime, or the reason why there is none."""

    name: str
    runtime: Runtime | None
    meaning: Meaning | None = None
    """What it should answer to a probe; None where it is to be refused whatever that is."""
    statement: StatementResult | None = None
    """What it says of itself, compared with the reference."""
    skipped: str | None = None


def check(
    reference: DoubleReference | OwnReference,
    runtimes: Sequence[Runtime],
    canaries: Iterable[OpenedCanary] = (),
    *,
    statements: Sequence[StatementResult] = (),
    encoding: Encoding | None = None,
    probe_rows: int = DEFAULT_PROBE_ROWS,
    probe_seed: int = 0,
) -> Certificate:
    """Ask every runtime the same questions and judge the answers by the derived bounds.

    Args:
        reference: The model as it should be.
        runtimes: Opened from the saved bytes, of the reference's dtype.
        canaries: Copies with one fault each, which must fail.
        statements: What files say of the model, compared with it already.
        encoding: What makes the features of the columns that all these runtimes take; None where
            they take features.
        probe_rows: Rows of the largest batch.
        probe_seed: Of the random rows; the same seed asks the same questions.

    Raises:
        PrecisionError: If there are too many features for any bound, or this thread itself flushes
            subnormal numbers to zero.
    """
    _require_gradual_underflow()
    model = reference.model
    witnesses = [_Witness(runtime, model, reference.difference) for runtime in runtimes]
    planted, asked = list(canaries), partial(probes, model, num_rows=probe_rows, seed=probe_seed)
    if encoding is not None:
        asked = partial(column_probes, encoding, model, num_rows=probe_rows, seed=probe_seed)
    faulty = {c.name: _Witness(c.runtime, model) for c in planted if c.runtime is not None}
    with np.errstate(all="ignore"):  # NaN and infinity are answers here, not accidents
        for probe in asked():
            expectation = reference.expect(probe)
            for witness in (*witnesses, *faulty.values()):
                witness.answer(expectation)
        canary_results = tuple(
            _judged(canary, faulty.get(canary.name), reference, asked) for canary in planted
        )
    results = tuple(witness.result() for witness in witnesses)
    return Certificate(
        verdict=_overall(results, canary_results, statements),
        dtype="float32" if model.dtype == np.float32 else "float64",
        accumulate="float32" if model.accumulate == np.float32 else "float64",
        form=model.form if isinstance(reference, DoubleReference) else "own",
        num_features=model.num_features,
        num_targets=model.num_targets,
        features=model.feature_names,
        targets=model.target_names,
        probe_rows=probe_rows,
        probe_seed=probe_seed,
        runtimes=results,
        canaries=canary_results,
        statements=tuple(statements),
    )


def joined(first: Certificate, second: Certificate) -> Certificate:
    """Return what two checks of one model found, of runtimes that take different things."""
    return replace(
        first,
        verdict=max(first.verdict, second.verdict, key=_RANKS.__getitem__),
        runtimes=(*first.runtimes, *second.runtimes),
        canaries=(*first.canaries, *second.canaries),
        statements=(*first.statements, *second.statements),
    )


def _judged(
    canary: OpenedCanary,
    witness: "_Witness | None",
    reference: DoubleReference | OwnReference,
    asked: Callable[[], Iterable[Probe]],
) -> CanaryResult:
    """Say what caught a planted fault, or why there is nothing to catch.

    Of a fault that went unnoticed, what it answers is worked out exactly, as the right answers are.
    """
    caught, skipped = witness.caught_by() if witness else (), canary.skipped
    if canary.statement is not None and canary.statement.failure:
        caught = (*caught, "names")
    if (
        isinstance(reference, DoubleReference)  # faults are planted in graphs of ours alone
        and witness
        and not caught
        and canary.meaning is not None
    ):
        pairs = ((expect(reference, p), canary.meaning(reference, p)) for p in asked())
        if not any(right.excludes(faulty).any() for right, faulty in pairs):
            skipped = "It moves no answer further than rounding may."
    return CanaryResult(name=canary.name, caught_by=caught, skipped=skipped)


def _overall(
    results: Sequence[RuntimeResult],
    canaries: Sequence[CanaryResult],
    statements: Sequence[StatementResult],
) -> Verdict:
    if not all(canary.passed for canary in canaries) or any(said.failure for said in statements):
        return "disagrees"
    return max((result.verdict for result in results), key=_RANKS.__getitem__, default="consistent")


def _require_gradual_underflow() -> None:
    """Refuse to compute a reference in an arithmetic that lacks its smallest numbers."""
    if sys.float_info.min / 2 == 0:
        raise PrecisionError(
            "This thread flushes subnormal numbers to zero, so nothing exact can be computed in "
            "it. A library built with -ffast-math or torch.set_flush_denormal(True) does that: "
            "check in a process without it."
        )


@dataclass(slots=True)
class _Witness:
    """One runtime and what its answers have shown so far."""

    runtime: Runtime
    model: LinearModel
    difference: str | None = None
    fraction: float = 0.0
    probabilistic_fraction: float = 0.0
    worst: Comparison | None = None
    failure: str | None = None
    failed_by: Literal["error", "shape", "answer", "structure"] | None = None
    flushes: bool = False
    batch_sizes: set[int] = field(default_factory=set)
    rows: int = 0

    def answer(self, expectation: Expectation) -> None:
        """Compare one batch; after the first failure nothing more is asked."""
        prediction = self._predict(expectation.probe) if self.failure is None else None
        if prediction is None:
            return
        self.batch_sizes.add(len(prediction))
        self.rows += len(prediction)
        wrong = expectation.wrong_class(prediction)
        if wrong.any():
            self._fail_class(expectation, prediction, int(wrong.argmax()))
        else:
            self._compare(expectation, prediction)

    def caught_by(self) -> tuple[Catch, ...]:
        """Tell which parts of the check would have refused this runtime."""
        found: list[Catch] = []
        if self._structure() == "differs":
            found.append("structure")
        if self.failure is not None:
            found.append("behaviour")
        return tuple(found)

    def result(self) -> RuntimeResult:
        structure = self._structure()
        if self.failure is None and self.difference is not None:
            self._fail("structure", self.difference)
        elif self.failure is None and structure == "differs":
            difference = _first_difference(self.runtime.structure, self.model)
            self._fail("structure", difference)
        verdict: Verdict = "proven" if structure == "matches" else "consistent"
        return RuntimeResult(
            name=self.runtime.name,
            version=self.runtime.version,
            provider=self.runtime.provider,
            num_threads=self.runtime.num_threads,
            verdict="disagrees" if self.failure else verdict,
            structure=structure,
            worst_fraction=self.fraction,
            probabilistic_fraction=self.probabilistic_fraction,
            worst=self.worst,
            subnormals="flushed" if self.flushes else "kept",
            batch_sizes=tuple(sorted(self.batch_sizes)),
            rows=self.rows,
            failure=self.failure,
            failed_by=self.failed_by,
        )

    def _structure(self) -> Literal["matches", "differs", "unknown"]:
        stated = self.runtime.structure
        if stated is None:
            return "differs" if self.difference else "unknown"
        return "matches" if stated.same_function(self.model) else "differs"

    def _predict(self, probe: Probe) -> FloatArray | None:
        expected = (len(probe.features), self.model.num_targets)
        try:
            prediction = self.runtime.predict(probe.given)
        except Exception as error:  # whatever an engine raises, it did not predict
            self._fail("error", f"fails on the test rows '{probe.name}': {error}")
            return None
        if prediction.shape != expected or prediction.dtype != self.model.dtype:
            self._fail(
                "shape",
                f"answers the test rows '{probe.name}' with {prediction.dtype} of shape "
                f"{prediction.shape}, not {self.model.dtype} of shape {expected}.",
            )
            return None
        return prediction

    def _compare(self, expectation: Expectation, prediction: FloatArray) -> None:
        distance, bound = expectation.distance(prediction), expectation.bound
        if self.flushes or np.any(distance > bound):
            nearest = expectation.flushed_distance(prediction)
            allowed = bound + expectation.flushed.allowance
            if self.flushes or not np.any(nearest > allowed):
                self.flushes, distance, bound = True, nearest, allowed
        fraction = _fraction(distance, bound)
        probabilistic = _fraction(distance, expectation.probabilistic_bound)
        if not fraction.size:
            return
        self.probabilistic_fraction = max(self.probabilistic_fraction, float(probabilistic.max()))
        place = int(fraction.argmax())
        if self.worst is None or fraction.flat[place] > self.fraction:
            self.fraction = float(fraction.flat[place])
            self.worst = self._comparison(expectation, prediction, place, distance, bound)
        if self.fraction > 1:
            self._fail("answer", _disagreement(self.worst, self.model))

    def _fail_class(self, expectation: Expectation, prediction: FloatArray, place: int) -> None:
        nothing = np.full(expectation.high.shape, np.nan)
        self.worst = self._comparison(expectation, prediction, place, nothing, nothing)
        special = expectation.special.flat[place]
        expected = (expectation.non_finite if special else expectation.high).flat[place]
        self._fail(
            "answer",
            f"{_disagrees(self.worst)}: got {prediction.flat[place]}, expected {expected}.",
        )

    def _fail(self, by: Literal["error", "shape", "answer", "structure"], what: str) -> None:
        self.failed_by, self.failure = by, f"'{self.runtime.name}' {what}"

    def _comparison(
        self,
        expectation: Expectation,
        prediction: FloatArray,
        place: int,
        distance: Float64Array,
        bound: Float64Array,
    ) -> Comparison:
        row, target = divmod(place, self.model.num_targets)
        return Comparison(
            probe=expectation.probe.name,
            row=row,
            target=self.model.target_names[target],
            got=_finite(prediction.flat[place]),
            expected=_finite(expectation.high.flat[place]),
            distance=_finite(distance.flat[place]),
            bound=_finite(bound.flat[place]),
        )


def _fraction(distance: Float64Array, bound: Float64Array) -> Float64Array:
    """Distance over bound, at most float64's largest; 0 where nothing is claimed."""
    fraction = np.minimum(distance / bound, FLOAT64.largest)
    return np.where(np.isfinite(bound) & ~np.isnan(distance), fraction, 0.0)


def _finite(value: float | np.floating[Any]) -> float | None:
    return float(value) if np.isfinite(value) else None


def _disagrees(worst: Comparison) -> str:
    return (
        f"disagrees with the reference model at row {worst.row} of the test rows '{worst.probe}', "
        f"target '{worst.target}'"
    )


def _disagreement(worst: Comparison, model: LinearModel) -> str:
    digits = 9 if model.dtype == np.float32 else 17
    unit = model.targets[model.target_names.index(worst.target)].unit
    return (
        f"{_disagrees(worst)}: got {worst.got:.{digits}g}, expected {worst.expected:.{digits}g}, "
        f"apart by {worst.distance:.2g}{' ' * bool(unit)}{unit}, "
        f"where rounding explains {worst.bound:.2g}. "
        "The artifact or its runtime is wrong, or computes below "
        f"{model.accumulate} (TF32, bfloat16)."
    )


def _first_difference(stated: LinearModel | None, model: LinearModel) -> str:
    """Say where an artifact's numbers leave the reference's."""
    assert stated is not None
    ours, theirs = model.arrays(), stated.arrays()
    if ours.keys() != theirs.keys() or any(ours[k].shape != theirs[k].shape for k in ours):
        return "holds a model of another form or shape than the reference."
    for name, array in ours.items():
        if array.dtype != theirs[name].dtype:
            return f"holds {theirs[name].dtype} numbers, the reference {array.dtype}."
        changed = np.argwhere(array != theirs[name])
        if len(changed):
            place = tuple(int(index) for index in changed[0])
            label = f"{name}[{', '.join(map(str, place))}]"
            return f"holds {label} = {theirs[name][place]}, the reference {array[place]}."
    if stated.dtype != model.dtype:
        return f"takes and gives {stated.dtype}, the reference {model.dtype}."
    return "holds zeros of another sign than the reference."
