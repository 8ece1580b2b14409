"""A kind of model that somebody else might add: one slope through one point."""

import numpy as np

from linexport import LinearModel, sources
from linexport.sources import Imported


class Slope:
    """y = intercept + slope x."""

    def __init__(self, slope: float, intercept: float) -> None:
        self.slope, self.intercept = slope, intercept


def read(thing: Slope) -> Imported:
    model = LinearModel(weight=np.array([[thing.slope]]), bias=np.array([thing.intercept]))
    return Imported(model=model, source="Slope")


def decode(data: bytes) -> Imported:
    slope, intercept = map(float, data.split())
    return read(Slope(slope, intercept))


sources.register(
    sources.Source(__name__, sources.made_by(__name__), (".slope",), "a slope and an intercept")
)
