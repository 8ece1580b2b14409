"""Asking a runtime that takes long to start: few batches, of many probes each."""

from dataclasses import dataclass, field
from typing import final

import numpy as np

from linexport.parity._exact import Expectation
from linexport.parity._probes import Probe
from linexport.parity._witness import Witness

__all__ = ["Together"]

MOST = 2**22
"""Numbers in one batch: 32 MiB in float64, and as much again for each of the truths."""


@final
@dataclass(slots=True)
class Together:
    """Puts the rows of many probes to a runtime as one batch.

    A batch without rows and one of a single row, in which engines go other ways, are put to it once
    each. Whether it takes the first is its own affair: rows are what it is asked for.
    """

    witness: Witness
    held: list[Expectation] = field(default_factory=list)

    def answer(self, expectation: Expectation) -> None:
        """Ask for one batch, now or with others."""
        num_rows = len(expectation.probe.features)
        if num_rows == 0:
            self.witness.predict(expectation.probe, may_refuse=True)
        elif num_rows == 1 and 1 not in self.witness.batch_sizes:
            self.witness.answer(expectation)
        else:
            self.held.append(expectation)
            if sum(each.probe.features.size for each in self.held) >= MOST:
                self.finish()

    def finish(self) -> None:
        """Ask for what is held."""
        if not self.held:
            return
        # Numbers of any type become those of one that holds them all, as each of them is exact.
        rows = np.concatenate([each.probe.features for each in self.held])
        prediction = self.witness.predict(Probe(name="all together", features=rows))
        if prediction is not None:
            start = 0
            for expectation in self.held:
                end = start + len(expectation.probe.features)
                self.witness.compare(expectation, prediction[start:end])
                start = end
        self.held.clear()
