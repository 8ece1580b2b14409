"""A directory of parts: one for each file of the table, and a record of each that is done.

A part's record, `_linexport/NAME.json`, is written after the part. It ties the part's own digest to
what it was made from: the artifact by its digest, the file by size and time of change, and what was
asked. So a part counts as done only if all of that is as it was; a name proves nothing.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import cast

import msgspec

from linexport.errors import ConfigError, DataError
from linexport.predicting._outputs import Outputs
from linexport.predicting._stream import (
    Predicted,
    PredictedPart,
    require_no_input,
    write_batches,
)
from linexport.tables import Batch, File, Table, check_output, write_file

_RECORDS = "_linexport"
"""Spark, Hive and `open_table` take what begins with _ for no data."""


class _Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a part was made from."""

    artifact_sha256: str
    input_bytes: int
    input_modified_ns: int
    keep: tuple[str, ...]
    names: tuple[str, ...] = ()
    interval: float | None = None
    missing: str
    check_range: str
    dialect: str


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part that is done."""

    origin: _Origin
    part_sha256: str
    rows: int
    rows_without_prediction: int
    rows_outside_range: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """One file, what becomes of it, and where that is recorded."""

    file: File
    output: Path
    record: Path
    origin: _Origin


def write_parts(
    table: Table,
    outputs: Outputs,
    directory: Path,
    *,
    artifact_sha256: str,
    suffix: str | None = None,
    resume: bool = False,
) -> Predicted:
    """Write a part for each file of a table, by the same name, each all or nothing.

    Args:
        table: What `open_table` returns for files; features are found by name.
        outputs: What is written of each row.
        directory: Made if it is not there. What else lies in it stays.
        artifact_sha256: Of the artifact that predicts and the encoding, in hexadecimal.
        suffix: .csv, .tsv or .parquet; that of each file if not given.
        resume: Leave parts as they are that were made of the same file, by the same artifact, with
            the same settings and dialect, and have not been changed since.

    Raises:
        DataError, ConfigError: As `write_predictions`. Parts before the one at fault are done then.
    """
    plans = _plan(table, outputs, directory, suffix, artifact_sha256)
    parts = {plan.file: part for plan in plans if resume and (part := _done_before(plan))}
    pending = [plan for plan in plans if plan.file not in parts]
    _make_directories(directory, pending)
    if pending:
        rest = table.only(plan.file for plan in pending)
        with closing(rest.batches_and_ends(outputs.predictor.inputs, outputs.keep)) as batches:
            for plan in pending:
                of_file = cast("Iterator[Batch]", iter(batches.__next__, None))  # up to its end
                predicted = write_batches(of_file, outputs, plan.output)
                parts[plan.file] = _recorded(plan, predicted)
    return _together([parts[plan.file] for plan in plans])


def _plan(
    table: Table,
    outputs: Outputs,
    directory: Path,
    suffix: str | None,
    artifact_sha256: str,
) -> list[_Plan]:
    """Say what becomes of each file."""
    _require_apart(table, directory)
    plans: dict[PurePath, _Plan] = {}
    for file in table.files:
        name = file.name.with_suffix(suffix or file.suffix)
        if name in plans:
            raise DataError(
                f"Its part would be {name}, as that of {plans[name].file.path}; name a directory "
                "above both, or a pattern, and the parts keep the directories below it.",
                source=str(file.path),
            )
        status = file.path.stat()
        plans[name] = _Plan(
            file=file,
            output=directory / name,
            record=directory / _RECORDS / f"{name}.json",
            origin=_Origin(
                artifact_sha256=artifact_sha256,
                input_bytes=status.st_size,
                input_modified_ns=status.st_mtime_ns,
                keep=outputs.keep,
                names=outputs.names,
                interval=outputs.interval,
                missing=outputs.missing,
                check_range=outputs.predictor.check_range,
                dialect=repr(table.dialect),
            ),
        )
    require_no_input((plan.output for plan in plans.values()), table.files)
    return list(plans.values())


def _require_apart(table: Table, directory: Path) -> None:
    if not table.files or not all(file.path.is_file() for file in table.files):
        raise ConfigError(
            f"{table.source}: parts are named after files, and this is none; name the file to "
            "write, not a directory."
        )
    whole = directory.resolve()
    for file in table.files:
        if file.path.resolve().is_relative_to(whole) or ".." in file.name.parts:
            raise ConfigError(
                f"{file.path}: this input lies within the output's directory, {directory}, where "
                "a part could replace it; name another directory."
            )


def _make_directories(directory: Path, plans: Iterable[_Plan]) -> None:
    if not directory.parent.is_dir():
        raise DataError(f"There is no directory {directory.parent}.", source=str(directory))
    try:
        directory.mkdir(exist_ok=True)
        for plan in plans:
            plan.output.parent.mkdir(parents=True, exist_ok=True)
            plan.record.parent.mkdir(parents=True, exist_ok=True)
            check_output(plan.output)
    except OSError as error:
        raise DataError(
            f"It cannot be made: {error.strerror}.", source=str(error.filename)
        ) from error


def _done_before(plan: _Plan) -> PredictedPart | None:
    """Return the part if it is what this run would write."""
    try:
        record = msgspec.json.decode(plan.record.read_bytes(), type=_Record)
        if record.origin != plan.origin or _sha256(plan.output) != record.part_sha256:
            return None
    except (OSError, msgspec.DecodeError):  # no part, or an interrupt came before its record
        return None
    return _part(plan, record, done_before=True)


def _recorded(plan: _Plan, predicted: Predicted) -> PredictedPart:
    try:
        digest = _sha256(plan.output)
    except OSError as error:
        raise DataError(
            f"It cannot be read again: {error.strerror}.", source=str(plan.output)
        ) from error
    record = _Record(
        origin=plan.origin,
        part_sha256=digest,
        rows=predicted.rows_written,
        rows_without_prediction=predicted.rows_without_prediction,
        rows_outside_range=predicted.rows_outside_range,
    )
    content = msgspec.json.format(msgspec.json.encode(record)) + b"\n"
    write_file(content, plan.record, replace_any=True)
    return _part(plan, record, done_before=False)


def _part(plan: _Plan, record: _Record, *, done_before: bool) -> PredictedPart:
    return PredictedPart(
        path=plan.output,
        done_before=done_before,
        rows_read=record.rows,
        rows_written=record.rows,
        rows_without_prediction=record.rows_without_prediction,
        rows_outside_range=record.rows_outside_range,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _together(parts: Sequence[PredictedPart]) -> Predicted:
    return Predicted(
        parts=tuple(parts),
        rows_read=sum(part.rows_read for part in parts),
        rows_written=sum(part.rows_written for part in parts),
        rows_without_prediction=sum(part.rows_without_prediction for part in parts),
        rows_outside_range=sum(part.rows_outside_range for part in parts),
    )
