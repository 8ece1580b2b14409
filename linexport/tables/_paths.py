"""The files that a user's word for a table means."""

import glob
import itertools
from collections.abc import Sequence
from pathlib import Path, PurePath

import msgspec

from linexport.errors import DataError
from linexport.tables._formats import CSV_SUFFIXES, PARQUET_MAGIC, PARQUET_SUFFIXES, TAB_SUFFIXES


class File(msgspec.Struct, frozen=True):
    """One file of a table."""

    path: Path
    """As the user named it, or within what the user named."""
    name: PurePath
    """Its path below the directory, or below the part of the pattern that has no wildcard."""

    @property
    def suffix(self) -> str:
        """The usual suffix of its format: .parquet, .tsv or .csv."""
        if _is_parquet(self.path):
            return ".parquet"
        return ".tsv" if self.path.suffix.lower() in TAB_SUFFIXES else ".csv"


def find_files(name: str) -> list[File]:
    """Return the file, or those of a directory or pattern, sorted by name.

    Raises:
        DataError: If there is none.
    """
    path = Path(name)
    if path.is_dir():
        # Other programs mark unfinished and empty files so: .part-0.parquet.crc, _SUCCESS.
        found = [file for file in path.iterdir() if file.name[0] not in "._"]
        files = [file for file in found if file.suffix.lower() in CSV_SUFFIXES + PARQUET_SUFFIXES]
        base = path
    elif glob.has_magic(name) and not path.exists():
        matches = glob.glob(name, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        files = [file for file in map(Path, matches) if file.is_file()]
        base = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
    else:
        return [File(path, PurePath(path.name))]
    if not files:
        raise DataError("There is no CSV or Parquet file.", source=name)
    return [File(file, file.relative_to(base)) for file in sorted(files)]


def require_one_format(files: Sequence[File], source: str) -> None:
    """Raise DataError if there are Parquet files and others."""
    if len({_is_parquet(file.path) for file in files}) > 1:
        raise DataError("There are CSV and Parquet files; name those of one format.", source=source)


def _is_parquet(path: Path) -> bool:
    """Tell by the name or, if that does not say, by the first bytes."""
    suffix = path.suffix.lower()
    if suffix in PARQUET_SUFFIXES + CSV_SUFFIXES or not path.is_file():
        return suffix in PARQUET_SUFFIXES
    with path.open("rb") as file:
        return file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
