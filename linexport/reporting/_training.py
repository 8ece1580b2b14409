"""What was fitted and how well, the verdict and the budget: in short, and all that is known."""

import shlex
from collections.abc import Iterable, Mapping, Sequence

from linexport._digits import TABLE_DIGITS
from linexport.bundle import Manifest
from linexport.columns import Column
from linexport.encoding import Encoding
from linexport.fit import Coefficients, CoefficientStatistics, FitRecord, as_text
from linexport.parity import Certificate
from linexport.reporting._budget import budget_blocks, budget_sentence
from linexport.reporting._certificate import certificate_blocks
from linexport.reporting._encoding import encoding_blocks
from linexport.reporting._fit import (
    constant_guess,
    constant_rmse,
    estimates,
    fit_blocks,
    named,
    origin,
    texts,
)
from linexport.reporting._table import Block, cut, number, p_value, with_unit

__all__ = ["bundle_lines", "short_blocks", "short_fit_blocks", "training_blocks"]

_MOST = 20
"""Coefficients of each target."""
_MOST_TARGETS = 5


def training_blocks(
    manifest: Manifest,
    certificate: Certificate,
    precision: str,
    truth: Mapping[str, Coefficients] | None = None,
) -> list[Block]:
    """The fit, its budget and the proof, each with all that is known of it."""
    return [
        *encoding_blocks(manifest.encoding),
        *fit_blocks(manifest.record, manifest.features, manifest.targets, truth),
        *budget_blocks(manifest),
        precision,
        *certificate_blocks(certificate),
    ]


def short_blocks(
    manifest: Manifest,
    certificate: Certificate,
    truth: Mapping[str, Coefficients] | None = None,
) -> list[Block]:
    """What was fitted, how well, how much of it rounding may cost, and what went wrong."""
    return [
        *short_fit_blocks(
            manifest.record, manifest.features, manifest.targets, manifest.encoding, truth
        ),
        *budget_sentence(manifest),
        *certificate.failures,
    ]


def short_fit_blocks(
    fit: FitRecord,
    features: Sequence[Column],
    targets: Iterable[Column],
    encoding: Encoding | None,
    truth: Mapping[str, Coefficients] | None = None,
) -> list[Block]:
    """What was fitted, and how well."""
    return [
        *encoding_blocks(encoding),
        *_coefficient_blocks(fit, features, truth),
        *_optimum_lines(fit),
        *_goodness_blocks(fit, targets),
    ]


def bundle_lines(bundle: str | None) -> list[str]:
    """Where the bundle is, and what to do with it."""
    if bundle is None:
        return ["No bundle was written."]
    path = shlex.quote(bundle)
    return [
        f"Bundle: {bundle}",
        f"Next: linexport predict {path} TABLE, linexport report {path}, linexport serve {path}",
    ]


def _coefficient_blocks(
    fit: FitRecord, features: Sequence[Column], truth: Mapping[str, Coefficients] | None
) -> list[Block]:
    """A table for each target, with the interval that each coefficient is in, where known."""
    blocks: list[Block] = []
    for target, estimated in list(fit.coefficients.items())[:_MOST_TARGETS]:
        blocks += [f"Coefficients of '{target}' ({origin(fit)})"]
        known = fit.statistics.targets.get(target) if fit.statistics and truth is None else None
        if fit.statistics and known:
            percent = f"{100 * fit.statistics.confidence:.3g} %"
            header = ["", "estimated", "std. error", f"{percent} from", "to", "p"]
            text = texts(as_text(fit, target, features))
            rows = [[name, text[name], *_row(value)] for name, value in named(known).items()]
            blocks += cut(header, rows, " in manifest.json", most=_MOST)
        else:
            written = as_text(fit, target, features, TABLE_DIGITS)
            blocks += estimates(estimated, written, truth[target] if truth else None, most=_MOST)
    more = len(fit.coefficients) - _MOST_TARGETS
    return [
        *blocks,
        *([f"... and those of {more} more targets in manifest.json"] if more > 0 else []),
    ]


def _optimum_lines(fit: FitRecord) -> list[str]:
    """How far coefficients whose uncertainty is not known are from the best ones."""
    known = {
        target: distance.standard_errors
        for target, distance in fit.optimum.items()
        if fit.statistics is None and distance.standard_errors is not None
    }
    return [
        f"  '{target}' ended within {errors:.2g} standard errors of the least-squares optimum"
        for target, errors in list(known.items())[:_MOST_TARGETS]
    ]


def _row(value: CoefficientStatistics) -> list[str]:
    numbers = (value.standard_error, value.lower, value.upper)
    return [*map(number, numbers), p_value(value.p_value)]


def _goodness_blocks(fit: FitRecord, targets: Iterable[Column]) -> list[Block]:
    """How far predictions are off, beside those of who always guesses the same."""
    units = {column.name: column.unit for column in targets}
    rows = [
        [
            part,
            with_unit(target, units[target]),
            str(m.rows),
            *(number(error, digits=4) for error in (m.rmse, constant_rmse(m))),
            number(m.r2),
        ]
        for part, metrics in fit.metrics.items()
        for target, m in metrics.items()
    ]
    if not rows:
        return []
    header = ["rows", "target", "count", "model", f"guessing {constant_guess(fit)}", "R2"]
    return ["How far off, as the root of the mean squared error", *cut(header, rows, most=_MOST)]
