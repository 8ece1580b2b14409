"""The parity check: structure, then behaviour, for runtimes and canaries alike."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import get_args

import numpy as np

from linexport.encoding import Encoding
from linexport.errors import PrecisionError
from linexport.formats import External, Runtime
from linexport.parity._certificate import (
    DEFAULT_PROBE_ROWS,
    CanaryResult,
    Certificate,
    RuntimeResult,
    StatementResult,
    Verdict,
)
from linexport.parity._columns import column_probes
from linexport.parity._exact import DoubleReference, Meaning
from linexport.parity._own import OwnReference
from linexport.parity._probes import Probe, probes
from linexport.parity._together import Together
from linexport.parity._witness import Witness

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
    witnesses = [Witness(runtime, model, reference.difference) for runtime in runtimes]
    askers = [Together(w) if isinstance(w.runtime, External) else w for w in witnesses]
    planted, asked = list(canaries), partial(probes, model, num_rows=probe_rows, seed=probe_seed)
    if encoding is not None:
        asked = partial(column_probes, encoding, model, num_rows=probe_rows, seed=probe_seed)
    faulty = {c.name: Witness(c.runtime, model) for c in planted if c.runtime is not None}
    with np.errstate(all="ignore"):  # NaN and infinity are answers here, not accidents
        for probe in asked():
            expectation = reference.expect(probe)
            for witness in (*askers, *faulty.values()):
                witness.answer(expectation)
        for witness in askers:
            witness.finish()
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
        notes=tuple(
            f"'{result.name}' fails on a batch without rows, which is not held against it."
            for result in results
            if not result.failure and 0 not in result.batch_sizes
        ),
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
    witness: Witness | None,
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
        pairs = ((reference.expect(p), canary.meaning(reference, p)) for p in asked())
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
