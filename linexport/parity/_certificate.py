"""What the parity check is asked, and what it says: parity.json as typed values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from linexport._asked import asked
from linexport._documented import documented
from linexport._files import first_line
from linexport._settings import setting, settings
from linexport._shown import Shown
from linexport.errors import ArtifactError, BundleError, ParityError
from linexport.fit import Fitness

__all__ = [
    "DEFAULT_PROBE_ROWS",
    "CanaryResult",
    "Certificate",
    "Comparison",
    "ProbeConfig",
    "RuntimeResult",
    "StatementResult",
    "Verdict",
    "decode_certificate",
    "encode_certificate",
]

DEFAULT_PROBE_ROWS = 1024


@settings
class ProbeConfig:
    """How thoroughly to check."""

    probe_rows: int = setting(
        default=DEFAULT_PROBE_ROWS,
        minimum=1,
        help="Rows of the largest batch that parity is checked with.",
    )
    probe_seed: int = setting(default=0, minimum=0, help="Of the random rows of that check.")
    accept_coarse: bool = setting(
        default=False, help="Take a model whose rounding is not small beside what it explains."
    )


Verdict = Literal["proven", "consistent", "too coarse", "not checked", "disagrees"]
"""The worse the later; "not checked" speaks of what could not be asked, not of the model."""


@documented
@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One prediction beside the truth, in target units."""

    probe: str
    row: int
    """Within the probe, from 0."""
    target: str
    got: float | None
    """None where it was not a number."""
    expected: float | None
    distance: float | None
    """``|got - expected|``; None where either is not finite."""
    bound: float | None
    """What rounding explains."""


@documented
@dataclass(frozen=True, kw_only=True, slots=True)
class RuntimeResult:
    """One runtime's answers."""

    name: str
    version: str
    provider: str
    """The execution provider or device really used."""
    num_threads: int | None
    verdict: Verdict
    structure: Literal["matches", "differs", "unknown"]
    """Whether the graph is the expected one and its numbers the reference's, bit for bit."""
    worst_fraction: float
    """Largest distance as a fraction of its bound; above 1 is a disagreement."""
    probabilistic_fraction: float
    """The same against the bound that grows with sqrt(D): information, no verdict."""
    worst: Comparison | None
    """Where the largest fraction occurred, or the disagreement."""
    subnormals: Literal["kept", "flushed"]
    batch_sizes: tuple[int, ...]
    rows: int
    failure: str | None = None
    """What is wrong, in a sentence; None if nothing is."""
    failed_by: Literal["error", "shape", "answer", "structure"] | None = None
    """What is wrong, in kind."""


@documented
@dataclass(frozen=True, kw_only=True, slots=True)
class StatementResult:
    """What one file says of the model in words: names and their order, units, ranges, dtypes."""

    source: str
    """The file's name."""
    states: tuple[str, ...]
    """What it says something of; empty where it leaves all of it open."""
    failure: str | None = None
    """What it says that is not so, in a sentence; None if nothing is."""


Catch = Literal["structure", "behaviour", "names"]
"""The part of the check that notices a fault."""


@documented
@dataclass(frozen=True, kw_only=True, slots=True)
class CanaryResult:
    """One known fault put into a copy of the artifact."""

    name: str
    caught_by: tuple[Catch, ...] = ()
    skipped: str | None = None
    """Why the fault does not apply to this model; None if it was tried."""

    @property
    def passed(self) -> bool:
        """Whether the fault was caught, or cannot exist."""
        return bool(self.caught_by) or self.skipped is not None


@documented
@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Certificate(Shown):
    """parity.json."""

    verdict: Verdict
    """The worst of the runtimes'; disagrees also where names do, or a canary went unnoticed."""
    dtype: Literal["float32", "float64"]
    """Of input and output."""
    accumulate: Literal["float32", "float64"] | None = None
    """In which the sum is taken; None in what was written before it could be another."""
    form: Literal["folded", "centred", "own"]
    """own: that of a foreign graph, judged by the bound of its own operators."""
    num_features: int
    num_targets: int
    features: tuple[str, ...] = ()
    """Names in the order of the input; empty in what was written before they were compared."""
    targets: tuple[str, ...] = ()
    """Names in the order of the output; likewise."""
    probe_rows: int
    probe_seed: int
    runtimes: tuple[RuntimeResult, ...]
    canaries: tuple[CanaryResult, ...]
    statements: tuple[StatementResult, ...] = ()
    """Of each artifact, and of the manifest's coefficients."""
    artifacts: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file the certificate speaks of, by file name."""
    fitness: dict[str, Fitness] = field(default_factory=dict)
    """By target name; empty for a single file where a feature's range is a mere guess."""
    accept_coarse: bool = False
    """Whether the user takes a model that is too coarse."""
    notes: tuple[str, ...] = ()
    not_checked: str | None = None
    """Why nothing could be asked, or its answers not be judged; None if they were."""

    def __repr__(self) -> str:
        return f"Certificate({self.verdict!r}, {len(self.runtimes)} runtimes, {self.dtype})"

    @property
    def passed(self) -> bool:
        """Whether everything was asked, nothing disagrees and every canary was caught.

        And whether the numbers are good enough, or the user takes them as they are.
        """
        return self.verdict in ("proven", "consistent") or self.accepted

    @property
    def accepted(self) -> bool:
        """Whether the model is too coarse, and the user takes it so."""
        return self.verdict == "too coarse" and self.accept_coarse

    @property
    def worst_fraction(self) -> float:
        """The largest fraction of the bound over all runtimes."""
        return max((runtime.worst_fraction for runtime in self.runtimes), default=0.0)

    @property
    def failures(self) -> tuple[str, ...]:
        """What is wrong, once for all runtimes of which it is so; and each canary unnoticed."""
        alike: dict[str, list[RuntimeResult]] = {}
        for runtime in self.runtimes:
            if runtime.failure:
                alike.setdefault(_in_kind(runtime, runtime.failure), []).append(runtime)
        unnoticed = [canary.name for canary in self.canaries if not canary.passed]
        return (
            *(_with_names(first, others) for first, *others in alike.values()),
            *(statement.failure for statement in self.statements if statement.failure),
            *([] if self.accepted else _coarse_sentences(self.fitness, self.dtype)),
            *(f"The check did not notice the planted fault '{name}'." for name in unnoticed),
        )

    def judged(self, fitness: Mapping[str, Fitness], *, accept_coarse: bool) -> "Certificate":
        """Return the verdict that also heeds whether the numbers are good enough."""
        coarse = not all(each.good_enough for each in fitness.values())
        verdict: Verdict = "too coarse" if coarse and self.passed else self.verdict
        return replace(self, verdict=verdict, fitness=dict(fitness), accept_coarse=accept_coarse)

    def require(self) -> None:
        """Raise if the verdict is negative.

        Raises:
            ParityError: Naming what disagrees.
            ArtifactError: If it could not be checked.
        """
        if self.not_checked:
            raise ArtifactError(f"Not checked: {self.not_checked}")
        if not self.passed:
            raise ParityError("\n".join(self.failures))


def _coarse_sentences(fitness: Mapping[str, Fitness], dtype: str) -> list[str]:
    """Say of each target that is not good enough by how much, and what to do."""
    remedy = (
        "leave the dtype and the sum's to be chosen, and one that is fine enough is taken"
        if dtype == "float32"
        else "no dtype is fine enough: subtract a constant near the features' values from them"
    )
    return [
        f"{dtype} is too coarse, {each.described(target)}: {remedy}, or take it as it is with "
        f"{asked(accept_coarse=True)}."
        for target, each in fitness.items()
        if not each.good_enough
    ]


def _in_kind(runtime: RuntimeResult, failure: str) -> str:
    """Tell a failure from others, but not by what may differ in the last bits.

    Where a wrong answer is worst, and by how much, depends on the order in which a processor's
    kernels sum, which one graph may reach by several.
    """
    wrong_answer = runtime.failed_by == "answer"
    return "answer" if wrong_answer else failure.removeprefix(f"'{runtime.name}'")


def _with_names(first: RuntimeResult, others: list[RuntimeResult]) -> str:
    names = ", ".join(f"'{runtime.name}'" for runtime in others)
    if not names:
        return f"{first.failure}"
    if first.failed_by == "answer":
        return f"{first.failure} Wrong answers also from {names}."
    return f"{first.failure} The same holds for {names}."


def encode_certificate(certificate: Certificate) -> bytes:
    """Return parity.json: UTF-8, indented, one trailing newline."""
    return msgspec.json.format(msgspec.json.encode(certificate), indent=2) + b"\n"


def decode_certificate(data: bytes) -> Certificate:
    """Parse parity.json.

    Raises:
        BundleError: If it is not a certificate.
    """
    try:
        return msgspec.json.decode(data, type=Certificate)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BundleError(f"parity.json is not a certificate: {first_line(error)}.") from error
