"""A linear model from anywhere: one door, and one module for each kind of source.

Whether a source is a linear model is read from what it states (its class, its graph, the names of
its numbers), never guessed from what it predicts. docs/sources.md lists what is taken and refused.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
