"""What the README shows is what its commands print, whatever kernels sum the numbers."""

import re

import kernels
import pytest
from readme_examples import README, run_examples


def masked(text: str) -> list[str]:
    """Lines without what differs between machines: numbers, digests, builds, the worst probe."""
    text = re.sub(r"[0-9a-f]{64}", "#", text)
    text = re.sub(r"(?<![A-Za-z_])-?\d[\d.,]*(e[+-]?\d+)?(\+[a-z]\w*)?", "#", text)
    text = re.sub(r"the probe '[^']*'", "the probe #", text)
    lines = [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]
    return [re.sub(r"((proven|consistent|disagrees) #) .*", r"\1", line) for line in lines]


@pytest.mark.parametrize("name", ["this processor", *kernels.KERNELS])
def test_every_example_runs_and_prints_what_is_shown(tmp_path, name):
    environment = {} if name == "this processor" else kernels.environment(name)
    examples = list(run_examples(README.read_text(), tmp_path, environment))
    assert len(examples) >= 8
    for example in examples:
        assert not example.failed, example.printed
        assert masked(example.shown) == masked(example.printed)


def test_what_differs_between_machines_is_masked():
    here = "  pytorch  2.13.0+cpu  cpu   2  proven  0.604  int64"
    there = "  pytorch  2.13.0      cpu  16  proven  0.59   mixed scales"
    assert masked(here) == masked(there) == ["pytorch # cpu # proven #"]
