"""The one line that says how a check ended."""

import dataclasses

import pytest

from linexport.errors import ArtifactError
from linexport.parity._certificate import CanaryResult, Certificate, RuntimeResult
from linexport.reporting import certificate_blocks, conclusion, plain_lines

CAUGHT = CanaryResult(name="bias dropped", caught_by=("behaviour",))
MISSED = CanaryResult(name="NaN hidden")
SKIPPED = CanaryResult(name="targets swapped", skipped="There is one target only.")


def runtime(name, verdict="proven", fraction=0.25):
    return RuntimeResult(
        name=name,
        version="1.2",
        provider="cpu",
        num_threads=None,
        verdict=verdict,
        structure="matches",
        worst_fraction=fraction,
        probabilistic_fraction=fraction,
        worst=None,
        subnormals="kept",
        batch_sizes=(0, 1),
        rows=1,
        failure=f"'{name}' is wrong." if verdict == "disagrees" else None,
    )


def report(verdict, runtimes, canaries=()):
    return Certificate(
        verdict=verdict,
        dtype="float32",
        form="folded",
        num_features=2,
        num_targets=1,
        probe_rows=64,
        probe_seed=0,
        runtimes=tuple(runtimes),
        canaries=tuple(canaries),
    )


@pytest.mark.parametrize(
    ("checked", "line"),
    [
        (
            report("proven", [runtime("a, 1 thread"), runtime("a", fraction=0.5)], [CAUGHT]),
            "proven: 1 runtime, run in 2 ways, predicts what the model means, within rounding, "
            "for every finite input",
        ),
        (
            report("consistent", [runtime("a"), runtime("b", "consistent")], [SKIPPED]),
            "consistent: b; proven: a",
        ),
        (
            report("disagrees", [runtime("a"), runtime("b, cuda", "disagrees", 12345.6)], [CAUGHT]),
            "disagrees: b; proven: a; largest error 1.23e+04 times what rounding explains",
        ),
        (
            report("consistent", [runtime("a", "consistent"), runtime("b", "consistent")]),
            "consistent: 2 runtimes predict what the model means, within rounding, on every input "
            "that was tried",
        ),
        (
            report("disagrees", [runtime("a"), runtime("b", "disagrees")]),
            "disagrees: b; proven: a",
        ),
        (
            report("disagrees", [runtime("a")], [CAUGHT, MISSED, SKIPPED]),
            "disagrees: a planted fault went unnoticed; proven: a",
        ),
    ],
    ids=[
        "proven",
        "mixed",
        "consistent",
        "far outside the bound",
        "inside the bound",
        "canary missed",
    ],
)
def test_the_verdict_comes_first_then_who_and_how_close(checked, line):
    assert conclusion(checked) == line


def certificate_lines(certificate):
    return plain_lines(certificate_blocks(certificate))


def test_runtimes_that_agree_are_one_row():
    ways = [runtime("a, 1 thread"), runtime("a, by rows", fraction=0.5), runtime("b")]
    lines = certificate_lines(report("proven", ways))
    assert [line.split() for line in lines[2:4]] == [
        ["a", "1.2", "2", "proven", "cpu", "0.500", "-"],
        ["b", "1.2", "1", "proven", "cpu", "0.250", "-"],
    ]
    apart = [runtime("a, 1 thread"), runtime("a", "disagrees", 7.0)]
    lines = certificate_lines(report("disagrees", apart))
    assert [line.split()[:4] for line in lines[2:4]] == [
        ["a", "1.2", "1", "proven"],
        ["a", "1.2", "1", "disagrees"],
    ]


def test_every_failure_is_a_sentence_of_its_own():
    lines = certificate_lines(report("disagrees", [runtime("a", "disagrees")], [MISSED, SKIPPED]))
    assert lines[-2:] == [
        "'a' is wrong.",
        "The check did not notice the planted fault 'NaN hidden'.",
    ]
    assert (
        "  The check itself: 0 of 1 planted faults caught; 1 does not apply to this model." in lines
    )


def test_a_huge_fraction_does_not_stretch_the_table():
    lines = certificate_lines(report("disagrees", [runtime("a", "disagrees", 1.7e308)]))
    assert max(len(line) for line in lines) < 100
    assert "1.70e+308" in lines[2]


def test_what_was_not_checked_says_why_and_is_no_disagreement():
    asked = dataclasses.replace(report("not checked", []), not_checked="no bound is known.")
    assert conclusion(asked) == "not checked: no bound is known."
    assert (asked.passed, asked.failures) == (False, ())
    with pytest.raises(ArtifactError, match=r"^Not checked: no bound is known\.$"):
        asked.require()
