"""A linear model from anywhere: one door, and one module for each kind of source.

Whether a source is a linear model is read from what it states (its class, its graph, the names of
its numbers), never guessed from what it predicts. docs/sources.md lists what is taken and refused.
"""

from typing import TYPE_CHECKING

from linexport._lazy import lazy_names

if TYPE_CHECKING:
    from linexport.sources.reading import Imported, read_model

__all__ = ["Imported", "read_model"]

__getattr__ = lazy_names(__name__, {"reading": ("Imported", "read_model")})
