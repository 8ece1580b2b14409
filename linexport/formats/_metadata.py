"""What every artifact says of itself, as strings: docs/format.md lists the keys."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict

import msgspec

from linexport.columns import Column
from linexport.fit import FitRecord
from linexport.model import LinearModel

__all__ = ["artifact_metadata"]


def artifact_metadata(
    model: LinearModel, record: FitRecord, versions: Mapping[str, str]
) -> dict[str, str]:
    """Describe a model so that its artifact can be used without the bundle around it.

    Columns, how the fit came about and how good it is, and the versions that made it; never a path,
    a name of a user or a host, a time or a row of data.
    """
    return {
        "dtype": model.dtype.name,
        "features": _json(_columns(model.features)),
        "form": model.form,
        "metrics": _json(record.metrics),
        "rows": str(record.rows),
        "solver": record.solver,
        "targets": _json(_columns(model.targets)),
        "versions": _json(dict(versions)),
    }


def _columns(columns: Iterable[Column]) -> list[dict[str, str | float]]:
    """Leave out what is not known: a wide model would carry it a thousand times."""
    return [
        {name: value for name, value in asdict(column).items() if value not in (None, "")}
        for column in columns
    ]


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
