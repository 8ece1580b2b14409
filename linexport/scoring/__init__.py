"""From rows and a runtime to predictions."""

from typing import TYPE_CHECKING

from linexport._lazy import lazy_names

if TYPE_CHECKING:
    from linexport.scoring.predictor import Predictor
    from linexport.scoring.stream import Scored, score

__all__ = ["Predictor", "Scored", "score"]

__getattr__ = lazy_names(  # predicting for arrays needs no polars
    __name__, {"predictor": ("Predictor",), "stream": ("Scored", "score")}
)
