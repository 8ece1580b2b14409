"""Which files a name means, and of what kind each is.

Its name says that or, if it does not, its first bytes.
Directories called KEY=VALUE, as Hive and Spark write them, are columns of the files below them.
"""

import glob
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Literal, TypeAlias
from urllib.parse import unquote

import msgspec

from linexport.errors import DataError
from linexport.tables import _compressed

Kind: TypeAlias = Literal["CSV", "Parquet", "Arrow IPC", "JSON lines", "Excel"]

_TAB_SUFFIXES = (".tsv", ".tab")
_KINDS: dict[str, Kind] = {
    **dict.fromkeys((".csv", ".txt", *_TAB_SUFFIXES), "CSV"),
    **dict.fromkeys((".parquet", ".pq"), "Parquet"),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), "Arrow IPC"),
    **dict.fromkeys((".jsonl", ".ndjson"), "JSON lines"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls"), "Excel"),
}  # fmt: skip
PARQUET_MAGIC, _ARROW_MAGIC = b"PAR1", b"ARROW1"
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


class File(msgspec.Struct, frozen=True):
    """One file of a table."""

    path: Path
    """As the user named it, or within what the user named."""
    name: PurePath
    """Its path below the directory, or below the part of the pattern that has no wildcard; without
    the suffix of what compressed it."""

    @property
    def kind(self) -> Kind:
        """What is in it; CSV if nothing says otherwise."""
        known = _KINDS.get(self.name.suffix.lower())
        if known or not self.path.is_file():
            return known or "CSV"
        with self.path.open("rb") as file:
            head = file.read(len(_ARROW_MAGIC))
        if head.startswith(PARQUET_MAGIC):
            return "Parquet"
        return "Arrow IPC" if head == _ARROW_MAGIC else "CSV"

    @property
    def suffix(self) -> str:
        """The usual suffix of what we would write in its stead: .parquet, .tsv or .csv."""
        if self.kind in ("Parquet", "Arrow IPC"):
            return ".parquet"
        return ".tsv" if self.name.suffix.lower() in _TAB_SUFFIXES else ".csv"

    @property
    def keys(self) -> dict[str, str | None]:
        """What the directories above it say of all its rows."""
        pairs = (part.split("=", 1) for part in self.name.parts[:-1] if "=" in part)
        return {
            unquote(name): None if value == _HIVE_NULL else unquote(value) for name, value in pairs
        }


def find_files(names: Sequence[str], source: str) -> list[File]:
    """Return the files of all names, of each in the order of their own.

    Raises:
        DataError: If a name means none, or they are not of one kind.
    """
    files = [file for name in names for file in _named(name)]
    kinds = sorted({file.kind for file in files})
    if len(kinds) > 1:
        raise DataError(
            f"There are {' and '.join(kinds)} files; name those of one format.", source=source
        )
    return files


def _named(name: str) -> list[File]:
    path = Path(name)
    if path.is_dir():
        found, base = [file for file in _below(path) if _content_suffix(file) in _KINDS], path
    elif glob.has_magic(name) and not path.exists():
        matches = glob.glob(name, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        found = [file for file in map(Path, matches) if file.is_file()]
        base = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
    else:
        return [_file(path, PurePath(path.name))]
    if not found:
        raise DataError("There is no CSV or Parquet file.", source=name)
    return [_file(file, file.relative_to(base)) for file in sorted(found)]


def _below(directory: Path) -> Iterator[Path]:
    """Yield the files of a directory, and of those below that are columns."""
    for path in directory.iterdir():
        # Other programs mark unfinished and empty files so: .part-0.parquet.crc, _SUCCESS.
        if path.name[0] in "._":
            continue
        if not path.is_dir():
            yield path
        elif "=" in path.name:
            yield from _below(path)


def _file(path: Path, name: PurePath) -> File:
    is_compressed = name.suffix.lower() in _compressed.SUFFIXES
    return File(path, name.with_suffix("") if is_compressed else name)


def _content_suffix(path: Path) -> str:
    return _file(path, path).name.suffix.lower()
