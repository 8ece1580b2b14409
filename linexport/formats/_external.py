"""A runtime of the user's own: a command that reads features and writes predictions.

It is given the artifact and the features as files and names a third for its predictions, so it may
be written in any language: .npy files are a line of text before the bare numbers, see
https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.

N rows, D features, K targets.
"""

import os
import re
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from linexport._asked import asked
from linexport._settings import setting, settings
from linexport.errors import ArtifactError, ConfigError, UnavailableError, shortened
from linexport.formats._format import Runtime

if TYPE_CHECKING:
    from linexport._arrays import FloatArray, FloatDType
    from linexport.model import LinearModel

__all__ = ["External", "ExternalConfig"]

MODEL, INPUT, OUTPUT = "{model}", "{input}", "{output}"
_LONGEST = 150
"""Characters of what a process says: the lines of an error message stay readable."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NAMES_AN_ERROR = re.compile(r"(Error|Exception)\b.*: ")


@settings
class ExternalConfig:
    """Runtimes of the user's own, which the parity check asks beside ours."""

    external: tuple[str, ...] | None = setting(
        default=None,
        metavar="COMMAND",
        help="A runtime of your own to prove: a command that reads features from {input} and "
        "writes predictions to {output}, both .npy, by the artifact {model}; run without a shell.",
    )
    external_timeout: float = setting(
        default=60.0,
        above=0,
        help="Seconds that such a command may take at a time: one that waits for ever would keep "
        "the check from ending.",
    )

    def __post_init__(self) -> None:
        self.commands()

    def commands(self) -> list[tuple[str, ...]]:
        """Return the words of each command.

        Raises:
            ConfigError: If one is not to be split into words, or leaves out a file.
        """
        return [_words(command) for command in self.external or ()]


def _words(command: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise ConfigError(f"external: {command!r} is no command: {error}.") from error
    missing = [place for place in (INPUT, OUTPUT) if place not in command]
    if missing:
        raise ConfigError(
            f"external: {command!r} says nothing of {' and '.join(missing)}; write it as "
            f"'python predict.py {MODEL} {INPUT} {OUTPUT}'."
        )
    return words


@final
@dataclass(kw_only=True, slots=True)
class External:
    """One command on one artifact, which is started anew for every batch."""

    words: tuple[str, ...]
    timeout: float
    """In seconds."""
    file_name: str
    data: bytes
    """The artifact: the process gets a copy of what is being checked."""
    takes: "FloatDType"
    """Of the features that it is given."""
    dtype: "FloatDType"
    """Of predictions."""
    num_features: int
    structure: "LinearModel | None"
    version: str = "-"
    """The last line that it printed, for it is asked nothing else."""
    provider = "its own process"
    num_threads = None

    @classmethod
    def open(
        cls,
        words: Sequence[str],
        data: bytes,
        model: "LinearModel",
        *,
        timeout: float,
        file_name: str,
        beside: Runtime,
    ) -> "External":
        """Start a command on one row, to see that it runs.

        Args:
            words: Those of the command, with the places of the files.
            data: The artifact.
            model: What it should hold.
            timeout: In seconds.
            file_name: What the artifact is called; some engines go by its suffix.
            beside: The same artifact in a runtime of ours, which knows what is in it.

        Raises:
            UnavailableError: If the program is not there.
            ArtifactError: If it fails.
        """
        import numpy as np

        # A graph of another tool has inputs of its own types; float64 holds the numbers of each.
        own = {each.dtype for each in getattr(beside, "inputs", ())} or {model.dtype}
        takes = own.pop() if len(own) == 1 else np.dtype(np.float64)
        runtime = cls(
            words=tuple(words), timeout=timeout, file_name=file_name, data=data,
            takes=takes, dtype=model.dtype, num_features=model.num_features,
            structure=beside.structure if any(MODEL in word for word in words) else None,
        )  # fmt: skip
        try:
            runtime.predict(np.zeros((1, model.num_features), takes))
        except ArtifactError as error:
            raise ArtifactError(f"'{runtime.name}', asked for one row, {error}") from error
        return runtime

    @property
    def name(self) -> str:
        """The command without the files that it is given, and without their directories."""
        own = [word for word in self.words if not any(p in word for p in (MODEL, INPUT, OUTPUT))]
        short = " ".join(Path(word).name for word in own).replace(",", " ") or "external"
        return shortened(short, _LONGEST // 3)

    def predict(self, features: "FloatArray") -> "FloatArray":
        """Evaluate (N, D) -> (N, K) in a process that ends with it.

        Raises:
            DataError: If the features are not (N, D) numbers.
            UnavailableError: If the program is not there.
            ArtifactError: If the process fails, takes too long or answers with no numbers.
        """
        import numpy as np

        from linexport._arrays import as_features, as_prediction

        batch = as_features(features, self.takes, self.num_features)
        with tempfile.TemporaryDirectory(prefix="linexport-") as name:
            files = {
                MODEL: Path(name) / self.file_name,
                INPUT: Path(name) / "input.npy",
                OUTPUT: Path(name) / "output.npy",
            }
            files[MODEL].write_bytes(self.data)
            np.save(files[INPUT], batch)
            self._run(files, Path(name))
            try:
                answer = np.load(files[OUTPUT], allow_pickle=False)
            except FileNotFoundError:
                raise ArtifactError(f"ends well, but writes no {OUTPUT}.") from None
            except (ValueError, EOFError) as error:
                raise ArtifactError(f"writes to {OUTPUT} what is no .npy file.") from error
        return as_prediction(answer)

    def _run(self, files: dict[str, Path], directory: Path) -> None:
        words = [_filled(word, files) for word in self.words]
        told, complained = directory / "stdout", directory / "stderr"
        # Files, not pipes: a pipe would be waited for as long as any child of the process lives.
        with told.open("wb") as stdout, complained.open("wb") as stderr:
            try:
                process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                    start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise UnavailableError(
                    f"external: '{words[0]}' cannot be started: {error.strerror}."
                ) from error
            try:
                status = process.wait(self.timeout)
            except subprocess.TimeoutExpired:
                raise ArtifactError(
                    f"takes more than {self.timeout:g} seconds; allow for more with "
                    f"{asked(external_timeout=...)}."
                ) from None
            finally:
                _stop(process)
        if status:
            how = f"fails with exit status {status}" if status > 0 else f"dies of signal {-status}"
            raise ArtifactError(f"{how}: {_reason(complained)}")
        self.version = _lines(told)[-1] if _lines(told) else self.version


def _filled(word: str, files: dict[str, Path]) -> str:
    for place, path in files.items():
        word = word.replace(place, str(path))
    return word


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process and whatever it started, in whichever way it was left."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _reason(complained: Path) -> str:
    """Return the last line that names an error, or else the last: node ends with its version."""
    lines = _lines(complained)
    telling = [line for line in lines if _NAMES_AN_ERROR.search(line)]
    return (telling or lines or ["it does not say why"])[-1]


def _lines(file: Path) -> list[str]:
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - 2**14))
        text = _COLOURS.sub("", stream.read().decode(errors="replace"))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [shortened(line, _LONGEST) for line in lines]
