"""The one line that says how a check ended."""

import dataclasses

import pytest

from linexport.errors import ArtifactError
from linexport.parity._certificate import CanaryResult, Certificate, RuntimeResult
from linexport.reporting._text import certificate_lines, conclusion

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
            "proven: a; worst error 0.500 of the bound; 1 of 1 canaries caught",
        ),
        (
            report("consistent", [runtime("a"), runtime("b", "consistent")], [SKIPPED]),
            "consistent: b; proven: a; worst error 0.250 of the bound",
        ),
        (
            report("disagrees", [runtime("a"), runtime("b, cuda", "disagrees", 12345.6)], [CAUGHT]),
            "disagrees: b; proven: a; worst error 1.23e+04 of the bound; 1 of 1 canaries caught",
        ),
        (
            report("disagrees", [runtime("a"), runtime("b", "disagrees")]),
            "disagrees: b; proven: a",
        ),
        (
            report("disagrees", [runtime("a")], [CAUGHT, MISSED, SKIPPED]),
            "disagrees: a planted fault went unnoticed; proven: a; 1 of 2 canaries caught",
        ),
    ],
    ids=["proven", "mixed", "far outside the bound", "inside the bound", "canary missed"],
)
def test_the_verdict_comes_first_then_who_and_how_close(checked, line):
    assert conclusion(checked) == line


def test_every_failure_is_a_sentence_of_its_own():
    lines = certificate_lines(report("disagrees", [runtime("a", "disagrees")], [MISSED, SKIPPED]))
    assert lines[-2:] == [
        "'a' is wrong.",
        "The check did not notice the planted fault 'NaN hidden'.",
    ]
    assert "  Canaries: 0 of 1 planted faults caught; 1 does not apply to this model." in lines


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
