"""One runtime's answers beside the truth."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from linexport._arrays import Float64Array, FloatArray
from linexport.formats import Runtime
from linexport.model import LinearModel
from linexport.numerics import FLOAT64
from linexport.parity._certificate import Catch, Comparison, RuntimeResult, Verdict
from linexport.parity._exact import Expectation
from linexport.parity._probes import Probe

__all__ = ["Witness"]


@dataclass(slots=True)
class Witness:
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
        """Ask for one batch, and compare; after the first failure nothing more is asked."""
        prediction = self.predict(expectation.probe)
        if prediction is not None:
            self.compare(expectation, prediction)

    def finish(self) -> None:
        """Ask what has not been asked yet."""

    def predict(self, probe: Probe, *, may_refuse: bool = False) -> FloatArray | None:
        """Ask for one batch; None where something failed, now or before.

        Args:
            probe: What to ask.
            may_refuse: Whether the runtime may fail on it and be right all the same.
        """
        prediction = None if self.failure else self._predict(probe, may_refuse=may_refuse)
        if prediction is not None:
            self.batch_sizes.add(len(prediction))
            self.rows += len(prediction)
        return prediction

    def compare(self, expectation: Expectation, prediction: FloatArray) -> None:
        """Judge one batch; after the first failure nothing more is judged."""
        if self.failure is not None:
            return
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

    def _predict(self, probe: Probe, *, may_refuse: bool) -> FloatArray | None:
        expected = (len(probe.features), self.model.num_targets)
        try:
            prediction = self.runtime.predict(probe.given)
        except Exception as error:  # whatever an engine raises, it did not predict
            if not may_refuse:
                self._fail("error", f"fails on the probe '{probe.name}': {error}")
            return None
        if prediction.shape != expected or prediction.dtype != self.model.dtype:
            self._fail(
                "shape",
                f"answers the probe '{probe.name}' with {prediction.dtype} of shape "
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
        f"disagrees with the reference model at row {worst.row} of the probe '{worst.probe}', "
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
