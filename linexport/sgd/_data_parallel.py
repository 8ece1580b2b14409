"""SGD on rows that several ranks hold: the steps of one process, taken together.

All ranks draw the same order of all N rows, and each contributes to a batch the rows of it that it
holds, be they none. The sum over the ranks of their squared errors' gradients, divided by the
batch's rows, is the gradient of the whole batch: so the trajectory is that of one process with all
rows, but for the order of the sums. N rows, D features, K targets, B rows in a batch.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from linexport.rows import Ranks
from linexport.sgd._stepping import Pace, Update, gradients, threads_for

__all__ = ["DataParallel", "SharedBatches"]


class SharedBatches:
    """A rank's part of batches drawn from the rows of all ranks, in a new order each epoch."""

    def __init__(
        self,
        features: Tensor,
        targets: Tensor,
        generator: torch.Generator,
        *,
        first_row: int,
        num_rows: int,
    ) -> None:
        """Take a rank's rows, which are those from `first_row` on among N, counted from 0."""
        self._features = features
        self._targets = targets
        self._generator = generator
        self._first_row = first_row
        self.num_rows = num_rows

    def epoch(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield as many batches on every rank; all rows in one need no order."""
        if batch_size >= self.num_rows:
            yield self._features, self._targets
            return
        row = torch.randperm(self.num_rows, generator=self._generator) - self._first_row
        held = (row >= 0) & (row < len(self._features))
        place = held.nonzero().flatten()
        num_batches = -(-self.num_rows // batch_size)
        counts = torch.bincount(place // batch_size, minlength=num_batches).tolist()
        for rows in torch.split(row[place].to(self._features.device), counts):
            yield self._features.index_select(0, rows), self._targets.index_select(0, rows)


class DataParallel:
    """The plain loop of `Autograd`, with the gradients of all ranks."""

    def __init__(self, module: nn.Linear, batches: SharedBatches, pace: Pace, ranks: Ranks) -> None:
        self._module = module
        self._batches = batches
        self._batch_size = min(pace.batch_size, batches.num_rows)
        self._ranks = ranks
        self._update = Update(module.parameters(), pace)

    def run(self) -> None:
        """Step through one epoch."""
        with threads_for(self._batch_size * self._module.in_features):
            for features, targets in self._batches.epoch(self._batch_size):
                self._update.zero_grad()
                squares = functional.mse_loss(self._module(features), targets, reduction="sum")
                torch.autograd.backward(squares / targets.shape[1])
                self._average(len(features))
                self._update.step()

    def gradients(self) -> dict[str, Tensor]:
        """Return the last minibatch's, by parameter name."""
        return gradients(self._module)

    def _average(self, num_rows: int) -> None:
        """Replace the gradients of this rank's sum by those of the mean over the batch."""
        found = [parameter.grad for parameter in self._module.parameters()]
        own = [gradient.flatten() for gradient in found if gradient is not None]
        flat = torch.cat([*own, own[0].new_tensor([float(num_rows)])])
        total = torch.from_numpy(self._ranks.sum(flat.cpu().numpy())).to(flat.device)
        means = torch.split(total[:-1] / total[-1], [len(part) for part in own])
        for gradient, mean in zip(found, means, strict=True):
            assert gradient is not None, "a backward pass comes first"
            gradient.copy_(mean.view_as(gradient))
