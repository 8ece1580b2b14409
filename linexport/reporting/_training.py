"""The long report of a fit and its proof."""

from collections.abc import Mapping

from linexport.bundle import ErrorBudget
from linexport.encoding import Encoding
from linexport.fit import Coefficients, FitRecord
from linexport.model import LinearModel
from linexport.parity import Certificate
from linexport.reporting._budget import budget_blocks
from linexport.reporting._certificate import certificate_blocks
from linexport.reporting._encoding import encoding_blocks
from linexport.reporting._fit import fit_blocks
from linexport.reporting._table import Block

__all__ = ["training_blocks"]


def training_blocks(
    fit: FitRecord,
    budgets: Mapping[str, ErrorBudget],
    certificate: Certificate,
    model: LinearModel,
    *,
    precision: str,
    encoding: Encoding | None = None,
    truth: Mapping[str, Coefficients] | None = None,
) -> list[Block]:
    """The fit, its budget and the proof, each with all that is known of it."""
    return [
        *encoding_blocks(encoding),
        *fit_blocks(fit, model.targets, truth),
        *budget_blocks(budgets, fit, model.features, model.targets),
        precision,
        *certificate_blocks(certificate),
    ]
