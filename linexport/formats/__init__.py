"""A linear model in, files for other runtimes out, and those files opened; one module per format.

Formats load when they are asked for: writing ONNX does not import torch, and writing TorchScript
does not import torch.export, which takes seconds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
