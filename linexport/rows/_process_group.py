"""The ranks that torchrun started, as torch.distributed lets them talk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import numpy as np
import torch
from torch import Tensor, distributed

from linexport import errors
from linexport._arrays import Float64Array, FloatArray
from linexport.errors import LinexportError, TrainingError
from linexport.rows._ranks import Ranks

TIMEOUT = timedelta(minutes=30)
"""How long an exchange waits for the slowest rank: PyTorch's own for gloo. Shares differ by one
piece of the table at most, so ranks do too; one that is gone is noticed at once."""


@contextmanager
def joined() -> "Iterator[_ProcessGroup]":
    """Join the default group, by what torchrun set in the environment.

    Raises:
        TrainingError: If the ranks do not find each other.
    """
    try:
        distributed.init_process_group("gloo", timeout=TIMEOUT)
    except RuntimeError as error:
        raise TrainingError(f"The ranks do not find each other: {error}.") from error
    group = _ProcessGroup()
    try:
        yield group
    finally:
        group.part()
        distributed.destroy_process_group()


class _ProcessGroup(Ranks):
    """Ranks that talk through torch.distributed's default group."""

    def __init__(self) -> None:
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()
        self.local_rank = int(os.environ.get("LOCAL_RANK", self.rank))
        self.local_size = int(os.environ.get("LOCAL_WORLD_SIZE", self.size))
        self._raised: LinexportError | None = None
        self._in_contact = True

    def gather(self, values: Float64Array) -> Float64Array:
        self._roll_call()
        own = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))
        return np.stack([part.numpy() for part in self._gathered(own)])

    def sum(self, values: FloatArray) -> FloatArray:
        total = torch.tensor(values)
        with self._contact():
            distributed.all_reduce(total)
        return np.asarray(total.numpy())

    @contextmanager
    def together(self) -> Iterator[None]:
        try:
            yield
        except LinexportError as error:
            if error is self._raised:  # the others know
                raise
            self._roll_call(error)
        else:
            self._roll_call()

    def _roll_call(self, error: LinexportError | None = None) -> None:
        """Raise the same error on all ranks if it is given on any."""
        report = "" if error is None else f"{type(error).__name__}\n{error}"
        own = torch.tensor(list(report.encode()), dtype=torch.uint8)
        sizes = [int(size) for size in self._gathered(torch.tensor([len(own)]))]
        if not any(sizes):
            return
        padded = torch.zeros(max(sizes), dtype=torch.uint8)
        padded[: len(own)] = own
        reports = [
            bytes(part[:size].tolist()).decode()
            for part, size in zip(self._gathered(padded), sizes, strict=True)
        ]
        self._raised = _error(reports)
        raise self._raised from error

    def part(self) -> None:
        """Wait for the others after an error that all know.

        Once a rank exits with an error torchrun kills the others: one might not yet have told.
        """
        if self._raised is not None and self._in_contact:
            with suppress(TrainingError):
                self._gathered(torch.zeros(1))

    def _gathered(self, own: Tensor) -> list[Tensor]:
        parts = [torch.empty_like(own) for _ in range(self.size)]
        with self._contact():
            distributed.all_gather(parts, own)
        return parts

    @contextmanager
    def _contact(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # of any backend: a peer is gone, or too late
            self._in_contact = False
            self._raised = TrainingError(
                f"Rank {self.rank} has lost contact with another rank, which has ended or is stuck."
            )
            raise self._raised from error


def _error(reports: list[str]) -> LinexportError:
    """Return what to raise, given what each rank says: nothing, or the kind of error and why."""
    first = next(rank for rank, report in enumerate(reports) if report)
    name, _, message = reports[first].partition("\n")
    kind: type[LinexportError] = getattr(errors, name)
    if all(report == reports[first] for report in reports):  # as with a file that is not there
        return kind(message)
    return kind(f"rank {first}: {message}")
