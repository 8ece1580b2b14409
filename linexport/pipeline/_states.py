"""From tables to states, and from states to a proven bundle."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linexport import bundle, tables
from linexport._asked import asked
from linexport._files import naming, read_artifact
from linexport.encoding import Unknown
from linexport.errors import ConfigError, DataError
from linexport.pipeline._config import ExportConfig
from linexport.pipeline._export import Exported, export
from linexport.rows import ONE, DataConfig, Ranks
from linexport.training import State

if TYPE_CHECKING:
    from linexport.least_squares import LeastSquaresConfig
    from linexport.tables import Dialect, OnRead

__all__ = ["add_up", "fit_states", "write_state"]


def add_up(
    source: Any,
    *,
    targets: str | Sequence[str],
    features: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    weights: str | None = None,
    part: str | None = None,
    config: DataConfig | None = None,
    dialect: "Dialect | None" = None,
    on_read: "OnRead | None" = None,
    ranks: Ranks = ONE,
) -> State:
    """Add up a table as one part; what each is, `State` says.

    Raises:
        ConfigError, DataError: As `State` and its update.
    """
    config = config or DataConfig()
    if not targets:
        raise ConfigError(f"Name the column to predict with {asked(targets=...)}.")
    config.require_weights(weights)
    if config.reference or config.unknown != "error":
        raise ConfigError(
            f"Give {asked(reference=...)} and {asked(unknown=...)} to the fit of all states, whose "
            "rows decide them together."
        )
    state = State(
        targets=targets,
        features=features,
        exclude=exclude,
        weights=weights,
        weights_kind=config.weights_kind,
        categorical=config.categorical,
        missing=config.missing,
        missing_indicator=config.missing_indicator,
        date=config.date,
        part=part,
    )
    return state.update(source, dialect=dialect, on_read=on_read, ranks=ranks)


def write_state(state: State, output: str | Path) -> None:
    """Write a state to a file, all or nothing.

    Raises:
        DataError: If it cannot be written.
    """
    tables.write_file(state.to_bytes(), output)


def fit_states(
    paths: Iterable[Path],
    output: str | Path,
    *,
    solver: "LeastSquaresConfig",
    exclude: Sequence[str],
    reference: Sequence[str],
    unknown: Unknown,
    units: Mapping[str, str],
    config: ExportConfig,
    overwrite: bool,
) -> Exported:
    """Merge states, fit them, export and prove.

    Raises:
        ArtifactError: If a file is no state, or damaged.
        DataError: If two cover the same part, one is missing, or their columns differ.
        LinexportError: As the steps do: `train`, `export`.
    """
    bundle.check_destination(output, overwrite=overwrite)
    total = State().merge()
    for path in paths:
        data = read_artifact(path)
        with naming(path):
            state = State.from_bytes(data)
        try:
            total = total.merge(state)
        except DataError as error:
            raise DataError(str(error), source=str(path)) from error
    fit = total.fit(solver, exclude=exclude, reference=reference, unknown=unknown, units=units)
    return export(fit, output, config=config, overwrite=overwrite)
