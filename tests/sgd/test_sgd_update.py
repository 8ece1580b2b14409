"""The readable loop, bit for bit, against torch.optim.SGD."""

import pytest
import torch
from torch import nn

from linexport.rows._loaders import load_array
from linexport.rows._synthetic import synthetic_data
from linexport.sgd._config import SGDConfig
from linexport.sgd._stepping import Autograd, Pace
from linexport.training._train import train


def start(dtype, num_features=2, num_targets=1, seed=3):
    """The module that training starts from, and the generator that then orders the rows."""
    generator = torch.Generator().manual_seed(seed)
    module = nn.utils.skip_init(nn.Linear, num_features, num_targets, dtype=dtype)
    nn.init.normal_(module.weight, std=0.01, generator=generator)
    nn.init.zeros_(module.bias)
    return module, generator


def bits(tensors):
    return [tensor.detach().numpy().tobytes() for tensor in tensors]


class Given:
    """The same batches every epoch."""

    def __init__(self, *batches):
        self.batches = batches

    def epoch(self, batch_size):
        return iter(self.batches)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_the_loop_takes_the_steps_of_torch_optim_bit_for_bit(dtype, momentum, weight_decay):
    torch_dtype = getattr(torch, dtype)
    features, targets = (part.to(torch_dtype) for part in synthetic_data(num_rows=103))
    batches = list(zip(features.split(10), targets.split(10), strict=True))

    ours, _ = start(torch_dtype)
    runner = Autograd(ours, Given(*batches), Pace(10, 0.02, momentum, weight_decay))
    theirs, _ = start(torch_dtype)
    optimizer = torch.optim.SGD(
        theirs.parameters(), lr=0.02, momentum=momentum, weight_decay=weight_decay, foreach=False
    )
    for _ in range(4):
        runner.run()
        for batch, batch_targets in batches:
            optimizer.zero_grad()
            nn.MSELoss()(theirs(batch), batch_targets).backward()
            optimizer.step()

    assert bits(ours.parameters()) == bits(theirs.parameters())
    assert bits([ours.weight.grad, ours.bias.grad]) == bits([theirs.weight.grad, theirs.bias.grad])


def test_a_loader_is_followed_batch_for_batch_as_in_a_loop_written_by_hand():
    features, target = synthetic_data(num_rows=95)
    torch.manual_seed(11)  # the loader draws its order from PyTorch's generator
    config = SGDConfig(epochs=3, learning_rate=0.03, seed=3)
    ours = train(load_array((features, target), 10), solver=config)

    torch.manual_seed(11)
    loader = load_array((features, target), 10)
    module, _ = start(torch.float32)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.03, foreach=False)
    for _ in range(3):
        for batch, batch_target in loader:
            optimizer.zero_grad()
            nn.MSELoss()(module(batch), batch_target).backward()
            optimizer.step()

    assert bits(ours.module.parameters()) == bits(module.parameters())
    last = ours.gradients.weight, ours.gradients.bias
    assert bits(last) == bits([module.weight.grad, module.bias.grad])
