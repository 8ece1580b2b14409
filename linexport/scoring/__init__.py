"""From rows and a runtime to predictions."""

from typing import TYPE_CHECKING

from linexport._lazy import lazy_names

if TYPE_CHECKING:
    from linexport.scoring.arrow import RecordBatchScorer, record_batch_scorer
    from linexport.scoring.parts import score_parts
    from linexport.scoring.plain import score_plain, suits
    from linexport.scoring.predictor import Predictor
    from linexport.scoring.scored import Part, Scored
    from linexport.scoring.stream import score

__all__ = [
    "Part",
    "Predictor",
    "RecordBatchScorer",
    "Scored",
    "record_batch_scorer",
    "score",
    "score_parts",
    "score_plain",
    "suits",
]

__getattr__ = lazy_names(  # predicting for arrays needs no polars
    __name__,
    {
        "arrow": ("RecordBatchScorer", "record_batch_scorer"),
        "parts": ("score_parts",),
        "plain": ("score_plain", "suits"),
        "predictor": ("Predictor",),
        "scored": ("Part", "Scored"),
        "stream": ("score",),
    },
)
