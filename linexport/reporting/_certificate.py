"""The proof as text: runtimes, planted faults, failures, and the verdict in a sentence."""

from collections.abc import Iterable, Sequence

from linexport.bundle import Manifest
from linexport.parity import Certificate, RuntimeResult, StatementResult
from linexport.reporting._table import Block, Table

__all__ = ["base_name", "certificate_blocks", "conclusion", "names", "runtime_blocks", "summed"]

_FORMS = {
    "folded": "folded: the features' mean is part of the intercept",
    "centred": "centred: the features' mean is subtracted first",
    "own": "in the form that the file has",
}
_REACH = {
    "proven": "within rounding, for every finite input",
    "consistent": "within rounding, on every input that was tried",
}


def certificate_blocks(certificate: Certificate) -> list[Block]:
    """Runtimes with their errors, planted faults, and a paragraph for each failure."""
    what = f"{certificate.dtype}{summed(certificate)}; {_FORMS[certificate.form]}"
    blocks: list[Block] = [f"Parity with the exact reference ({what})"]
    if certificate.runtimes:
        blocks += [
            Table(
                [*_RUNTIME, "provider", "largest error", "on the probe"],
                [[*row, *_errors(alike)] for row, alike in _groups(certificate.runtimes)],
            ),
            "  largest error: as a part of what rounding explains; above 1 it is wrong.",
        ]
    flushing = names(each for each in certificate.runtimes if each.subnormals == "flushed")
    blocks += [f"  {name} flushes subnormal numbers to zero, as allowed for." for name in flushing]
    if certificate.passed:
        likely = max((r.probabilistic_fraction for r in certificate.runtimes), default=0.0)
        blocks += [
            f"  For information: {likely:.3f} of what rounding explains where it is random, which "
            "grows with sqrt(D) only."
        ]
    blocks += _statement_lines(certificate.statements)
    if certificate.canaries:
        caught, tried = _caught(certificate)
        skipped = len(certificate.canaries) - tried
        do = "does" if skipped == 1 else "do"
        rest = f"; {skipped} {do} not apply to this model" if skipped else ""
        blocks += [f"  The check itself: {caught} of {tried} planted faults caught{rest}."]
    return [*blocks, *(f"  {note}" for note in certificate.notes), *certificate.failures]


def runtime_blocks(certificate: Certificate) -> list[Block]:
    """Runtimes with their verdicts, what the check had to do, a paragraph for each failure."""
    rows = [row for row, _ in _groups(certificate.runtimes)]
    notes = [f"  {note}" for note in certificate.notes]
    return [*([Table(_RUNTIME, rows)] if rows else []), *notes, *certificate.failures]


def conclusion(certificate: Certificate) -> str:
    """One sentence: the verdict, for which runtimes; what falls short; or why there is none."""
    if certificate.not_checked:
        return f"not checked: {certificate.not_checked}"
    verdicts = {runtime.verdict for runtime in certificate.runtimes}
    if certificate.verdict in _REACH and verdicts == {certificate.verdict}:
        count, ways = len(names(certificate.runtimes)), len(certificate.runtimes)
        runtimes = "1 runtime" if count == 1 else f"{count} runtimes"
        more = f", run in {ways} ways," if ways > count else ""
        predict = "predicts" if count == 1 else "predict"
        return (
            f"{certificate.verdict}: {runtimes}{more} {predict} what the model means, "
            f"{_REACH[certificate.verdict]}"
        )
    return "; ".join([*_by_verdict(certificate), *_shortfalls(certificate)])


def summed(stated: Certificate | Manifest) -> str:
    """Say in which dtype a model takes its sum, where that is not what it takes and gives."""
    accumulate = stated.accumulate or stated.dtype
    return "" if accumulate == stated.dtype else f", sum in {accumulate}"


_RUNTIME = ["runtime", "version", "ways", "verdict"]


def _groups(
    runtimes: Sequence[RuntimeResult],
) -> list[tuple[list[str], list[RuntimeResult]]]:
    """Return a row for each runtime that agrees with itself, however it is run, and its results."""
    groups: dict[tuple[str, ...], list[RuntimeResult]] = {}
    for runtime in runtimes:
        key = (base_name(runtime), runtime.version, runtime.provider, runtime.verdict)
        groups.setdefault(key, []).append(runtime)
    return [
        ([name, version, str(len(alike)), verdict], alike)
        for (name, version, _, verdict), alike in groups.items()
    ]


def _errors(alike: Sequence[RuntimeResult]) -> list[str]:
    worst = max(alike, key=lambda runtime: runtime.worst_fraction)
    on = worst.worst.probe if worst.worst else "-"
    return [worst.provider, _fraction(worst.worst_fraction), on]


def base_name(runtime: RuntimeResult) -> str:
    """Return a runtime's name without the way in which it is run."""
    return runtime.name.split(",")[0]


def names(runtimes: Iterable[RuntimeResult]) -> list[str]:
    """Return the runtimes' names, each once."""
    return list(dict.fromkeys(map(base_name, runtimes)))


def _by_verdict(certificate: Certificate) -> list[str]:
    """Return who has each verdict, that of the whole first."""
    # The keys of the inner dictionaries are ordered sets.
    coarse = certificate.verdict == "too coarse"
    overall: str = certificate.verdict
    if coarse:
        consistent = any(runtime.verdict == "consistent" for runtime in certificate.runtimes)
        overall = "consistent" if consistent else "proven"
    found: dict[str, dict[str, None]] = {overall: {}}
    for runtime in certificate.runtimes:
        found.setdefault(runtime.verdict, {})[base_name(runtime)] = None
    for statement in certificate.statements:
        if statement.failure:
            found[overall][f"what {statement.source} states"] = None
    return [
        f"{verdict}{', but too coarse' if coarse and verdict == overall else ''}: "
        f"{', '.join(names) or 'a planted fault went unnoticed'}"
        for verdict, names in found.items()
    ]


def _shortfalls(certificate: Certificate) -> list[str]:
    """Say by how much answers are wrong, or coarse."""
    wrong = certificate.worst_fraction
    return [
        *([f"largest error {_fraction(wrong)} times what rounding explains"] if wrong > 1 else []),
        *(
            each.described(target)
            for target, each in certificate.fitness.items()
            if certificate.verdict == "too coarse" and not each.good_enough
        ),
    ]


def _statement_lines(statements: Iterable[StatementResult]) -> list[str]:
    right = [said.source for said in statements if said.states and not said.failure]
    silent = [said.source for said in statements if not said.states]
    return [
        *([f"  Names, units and ranges agree: {', '.join(right)}."] if right else []),
        *([f"  Names are not stated: {', '.join(silent)}."] if silent else []),
    ]


def _caught(certificate: Certificate) -> tuple[int, int]:
    """Count the planted faults that were noticed, and those that apply to the model."""
    passed = [canary.passed for canary in certificate.canaries if canary.skipped is None]
    return sum(passed), len(passed)


def _fraction(value: float) -> str:
    """A fraction of the bound: to three places near 1, by its size far above."""
    return f"{value:.3f}" if value < 1000 else f"{value:.2e}"
