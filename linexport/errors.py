"""The exception tree.

    LinexportError
    ├── ConfigError        a setting that cannot be
    ├── DataError          a table, column or array that cannot be used
    ├── ModelError         numbers or names that are not a linear model
    ├── PrecisionError     no rounding-error bound exists at this size and precision
    ├── TrainingError      training diverged or could not start
    ├── UnavailableError   an engine, execution provider or device that is not here
    ├── ExportError        an artifact that cannot be written as asked
    ├── ArtifactError      an artifact that cannot be opened
    │   ├── NotCheckedError  one that may be right, but that cannot be run or judged here
    │   └── BundleError    a bundle that is damaged, hostile or in the way
    └── ParityError        a runtime disagrees with the reference model

Each message says what failed, what was seen, where, and what to do. The command line prints it and
exits with 3; for a ParityError with 1, and for a ConfigError, which is misuse, with 2.

Apart stand warnings: AssumedRangeWarning, where a range that is not known is assumed;
CoarseWarning, where a model is too coarse and used all the same; ExtrapolationWarning, which tells
of rows outside the training range; NotWrittenWarning, where a verdict kept a bundle from being
written.
"""

import re

__all__ = [
    "ArtifactError",
    "AssumedRangeWarning",
    "BundleError",
    "CoarseWarning",
    "ConfigError",
    "DataError",
    "ExportError",
    "ExtrapolationWarning",
    "LinexportError",
    "ModelError",
    "NotCheckedError",
    "NotWrittenWarning",
    "ParityError",
    "PrecisionError",
    "TrainingError",
    "UnavailableError",
    "shortened",
]


_LONG = 400
"""Characters of a message, from which on what it quotes is looked at."""
_LONGEST = 700
"""Characters of each line of a message."""
_QUOTED = re.compile(r"(--[\w-]+ )?(?<!\w)'([^']*)'(?!\w)")
"""Not the apostrophe of a word, nor what stands between two quotations: they are met in turn."""
_QUOTATION, _OPTION = 100, 300
"""Characters that are left of a quotation; what an option is given is to be pasted whole."""


class LinexportError(Exception):
    """Whatever linexport refuses to do; the base of all below."""

    def __str__(self) -> str:
        """Return the message, which repeats no more than the beginning of a name that is long."""
        said = super().__str__()
        if len(said) < _LONG:
            return said
        said = _QUOTED.sub(_quotation, said)
        return "\n".join(map(_without_middle, said.split("\n")))


class ConfigError(LinexportError, ValueError):
    """A setting is outside what it may be.

    Attributes:
        setting: Its name, with which the message begins, if it is one.
        problem: The rest of the message.
    """

    def __init__(self, problem: str, *, setting: str = "") -> None:
        super().__init__(f"{setting} {problem}" if setting else problem)
        self.setting = setting
        self.problem = problem


class DataError(LinexportError, ValueError):
    """A table, column or array cannot be used.

    Attributes:
        source: The file or object that holds the data, as it was named by the user.
        column: The column at fault, if it is one.
        row: The first row at fault, counted from 1 without the header, if it is one.
    """

    def __init__(
        self, message: str, *, source: str = "", column: str | None = None, row: int | None = None
    ) -> None:
        place = [source] if source else []
        if column is not None:
            place.append(f"column '{column}'")
        if row is not None:
            place.append(f"row {row}")
        super().__init__(f"{', '.join(place)}: {message}" if place else message)
        self.source = source
        self.column = column
        self.row = row


class ModelError(LinexportError, ValueError):
    """Numbers or names do not make a linear model."""


class PrecisionError(LinexportError, ArithmeticError):
    """No rounding-error bound exists: too many roundings for the precision."""


class TrainingError(LinexportError, RuntimeError):
    """Training diverged or could not start."""


class UnavailableError(LinexportError, RuntimeError):
    """An engine, an execution provider or a device is not available here."""


class ExportError(LinexportError, ValueError):
    """An artifact cannot be written as asked."""


class ArtifactError(LinexportError, ValueError):
    """An artifact is damaged, unknown, or would run code and is not trusted."""


class NotCheckedError(ArtifactError):
    """An artifact may be right, but cannot be run or judged here."""


class BundleError(ArtifactError):
    """A bundle is damaged, hostile, from a newer linexport, or in the way."""


class ParityError(LinexportError, RuntimeError):
    """The verdict is negative: a runtime disagrees, or the model is too coarse and not accepted."""


class AssumedRangeWarning(UserWarning):
    """The range of a feature is not known, and what is said of a model rests on an assumed one."""


class CoarseWarning(UserWarning):
    """A model is used whose rounding is not small beside what it explains."""


class ExtrapolationWarning(UserWarning):
    """Rows are predicted outside the range that the model was trained on."""


class NotWrittenWarning(UserWarning):
    """No bundle was written, as the verdict is negative; one that was in its place stays there."""


def shortened(text: str, most: int = _QUOTATION) -> str:
    """Return what a message repeats of text that may be long, as strangers may send any."""
    return text if len(text) <= most else f"{text[:most]}..."


def _quotation(found: re.Match[str]) -> str:
    option, text = found[1] or "", found[2]
    return f"{option}'{shortened(text, _OPTION if option else _QUOTATION)}'"


def _without_middle(line: str) -> str:
    half = _LONGEST // 2
    return line if len(line) <= _LONGEST else f"{line[:half]} ... {line[-half:]}"
