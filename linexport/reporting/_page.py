"""report.html: a model, its fit and its proof as one page that needs nothing else."""

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from linexport._digits import TABLE_DIGITS
from linexport.bundle import Manifest
from linexport.columns import Column
from linexport.encoding import CategoryColumn, DateColumn, EncodedColumn, NumberColumn
from linexport.errors import ModelError, UnavailableError
from linexport.fit import as_text
from linexport.model import LinearModel
from linexport.parity import Certificate
from linexport.predicting import Spread
from linexport.reporting._certificate import names
from linexport.reporting._drawings import (
    MOST_TARGETS,
    ReportData,
    figures_of_fit,
    figures_of_proof,
)
from linexport.reporting._fit import (
    constant_guess,
    constant_rmse,
    metric_rows,
    named,
    texts,
)
from linexport.reporting._table import number, p_value, with_unit

MOST_TERMS = 12
MOST_FIELDS = 40
MOST_LEVERAGE = 100
"""Features whose intervals the page computes: the numbers for that grow with their square."""
MOST_ROWS = 200


def require_report_tools() -> None:
    """Raise where a report could not be made, before work is done for it.

    Raises:
        UnavailableError: If matplotlib or Jinja is not installed.
    """
    if not all(find_spec(name) for name in ("jinja2", "matplotlib")):
        raise UnavailableError(
            "A report is made with Jinja and matplotlib; install them with: pip install "
            "'linexport[report]'"
        )


def report_page(
    model: LinearModel,
    manifest: Manifest,
    certificate: Certificate | None,
    data: ReportData | None,
) -> bytes:
    """Return the page, UTF-8.

    Raises:
        UnavailableError: If matplotlib or Jinja is not installed.
    """
    require_report_tools()
    import jinja2

    template = Path(__file__).with_name("page.html.jinja").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(template).render(
        targets=", ".join(column.name for column in manifest.targets),
        sentences=list(_sentences(manifest, certificate)),
        equations=list(_equations(manifest)),
        tables=list(_coefficient_tables(manifest)),
        metrics=metric_rows(manifest.record, MOST_TARGETS),
        data=data,
        data_rmse=_data_rmse(data),
        fit_figures=list(
            figures_of_fit(manifest.record, manifest.features, manifest.targets, data)
        ),
        proof_figures=list(figures_of_proof(certificate, manifest.error_budget)),
        what_if=_what_if(model, manifest),
        encoded=manifest.encoding is not None,
        most_fields=MOST_FIELDS,
        manifest=manifest,
        certificate=certificate,
    )
    return page.encode()


def _sentences(manifest: Manifest, certificate: Certificate | None) -> Iterator[str]:
    """Say what the model is worth to somebody who does not know the words."""
    units = {column.name: column.unit for column in manifest.targets}
    metrics = manifest.record.metrics
    part = "test" if "test" in metrics else "training"
    for target, found in list(metrics.get(part, {}).items())[:MOST_TARGETS]:
        typical = with_unit(f"{found.rmse:.3g}", units[target])
        where = (
            "rows that were kept out of training"
            if part == "test"
            else "the rows that it was fitted to"
        )
        yield f"The prediction of {target} is typically off by {typical}, on {where}."
        if (constant := constant_rmse(found)) is not None:
            guess = constant_guess(manifest.record)
            yield f"Always guessing {guess} would be off by {constant:.3g}."
    if certificate is None:
        return
    count = len(names(certificate.runtimes))
    if certificate.verdict == "proven":
        yield (
            f"It is proven that all {count} runtimes that were asked predict what the model means: "
            "no answer is further from the exact one than the rounding of numbers explains."
        )
    else:
        yield f"The check of {count} runtimes ended with the verdict: {certificate.verdict}."


def _equations(manifest: Manifest) -> Iterator[dict[str, Any]]:
    for target in manifest.record.coefficients:
        written = as_text(manifest.record, target, manifest.features)
        terms = [
            {"sign": "-" if text.startswith("-") else "+", "value": text.lstrip("-"), "name": name}
            for name, text in written.features.items()
        ]
        yield {
            "target": target,
            "intercept": written.intercept,
            "terms": terms[:MOST_TERMS],
            "more": max(0, len(terms) - MOST_TERMS),
        }


def _coefficient_tables(manifest: Manifest) -> Iterator[dict[str, Any]]:
    for target in list(manifest.record.coefficients)[:MOST_TARGETS]:
        rows = _coefficient_rows(manifest, target)
        yield {
            "target": target,
            "rows": rows[:MOST_ROWS],
            "more": max(0, len(rows) - MOST_ROWS),
            "percent": f"{100 * _confidence(manifest):.3g} %",
        }


def _coefficient_rows(manifest: Manifest, target: str) -> list[list[str]]:
    record, statistics = manifest.record, manifest.record.statistics
    written = texts(as_text(record, target, manifest.features, TABLE_DIGITS))
    if statistics is None or target not in statistics.targets:
        return [[name, text, "-", "-", "-", "-"] for name, text in written.items()]
    return [
        [
            name,
            written[name],
            number(each.standard_error),
            p_value(each.p_value),
            number(each.lower),
            number(each.upper),
        ]
        for name, each in named(statistics.targets[target]).items()
    ]


def _confidence(manifest: Manifest) -> float:
    statistics = manifest.record.statistics
    return 0.95 if statistics is None else statistics.confidence


def _data_rmse(data: ReportData | None) -> list[list[str]]:
    if data is None:
        return []
    return [
        [target, part, f"{value:.6g}"]
        for target, parts in data.rmse.items()
        for part, value in parts.items()
    ]


def _what_if(model: LinearModel, manifest: Manifest) -> str:
    """Return the numbers that the page's own script predicts with, as JSON for a script element."""
    known = {column.name: column for column in manifest.features}
    columns: Iterable[EncodedColumn] = (
        [NumberColumn(name=name) for name in model.feature_names]
        if manifest.encoding is None
        else manifest.encoding.columns
    )
    document = {
        "columns": [_field(column, known) for column in columns],
        "mean": None if model.mean is None else model.mean.tolist(),
        "targets": [
            {
                "name": column.name,
                "unit": column.unit,
                "weight": model.weight[place].tolist(),
                "bias": float(model.bias[place]),
            }
            for place, column in enumerate(model.targets)
        ],
        "float32": str(model.dtype) == "float32",
        "spread": _spread(model, manifest),
    }
    # Nothing in a name may end the element.
    return json.dumps(document, allow_nan=False).replace("<", "\\u003c")


def _spread(model: LinearModel, manifest: Manifest) -> dict[str, Any] | None:
    """Return what the script makes prediction intervals of; None where there are none."""
    spread, level = Spread(manifest.record, model.target_names), _confidence(manifest)
    try:
        scales = spread.at_no_leverage(level)
    except ModelError:
        return None
    if model.num_features > MOST_LEVERAGE:
        return None
    lever = spread.leverage
    return {
        "percent": f"{100 * level:.3g} %",
        "scales": scales.tolist(),
        "mean": lever.mean,
        "at_mean": lever.at_mean,
        "factor": lever.factor,
    }


def _field(column: EncodedColumn, known: Mapping[str, Column]) -> dict[str, Any]:
    """Return what a reader may set, and which features it becomes."""
    field: dict[str, Any] = {"name": column.name}
    if isinstance(column, CategoryColumn):
        return field | {
            "kind": "category",
            "levels": list(column.levels),
            "featured": list(column.featured),
            "missing": column.missing,
            "first": column.reference or column.levels[0],
        }
    described = known[column.name]
    field |= {
        "kind": "number",
        "unit": described.unit,
        "minimum": described.minimum,
        "maximum": described.maximum,
        "mean": described.mean,
    }
    if isinstance(column, DateColumn):
        return field | {"unit": f"days since {column.origin}"}
    return field | {"fill": column.fill, "indicator": column.indicator}
