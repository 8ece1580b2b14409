"""Which arrays training computes with."""

import numpy as np
import torch

from linexport.sgd._arrays import suited


def test_numpy_takes_the_small_tables_and_shares_their_memory():
    table = torch.zeros(2048, 4)
    array = suited(table)
    assert isinstance(array, np.ndarray)
    array[0] = 1
    assert table[0].tolist() == [1] * 4


def test_pytorch_takes_the_tables_that_threads_or_devices_are_for():
    for table in (torch.zeros(2049, 4), torch.zeros(2, 2, device="meta")):
        assert suited(table) is table
