"""Runtimes of the user's own, opened beside ours on the artifact that they are about."""

from collections.abc import Iterator

from linexport import formats
from linexport._asked import asked
from linexport.bundle import Bundle
from linexport.errors import ConfigError
from linexport.formats import External, ExternalConfig, Format, Runtime
from linexport.model import LinearModel
from linexport.pipeline._judging import Opener
from linexport.pipeline._opening import Artifact, artifacts_of

__all__ = ["with_external"]


def with_external(opener: Opener, found: Bundle | Artifact, own: ExternalConfig) -> Opener:
    """Have commands opened, too, by what opens an artifact in our runtimes.

    Raises:
        ConfigError: If they could not be given what the artifact takes.
    """
    if own.external is None:
        return opener
    about = _about(found)

    def opened(kind: Format, data: bytes, model: LinearModel) -> Iterator[Runtime]:
        ours = opener(kind, data, model)
        first = next(ours)
        yield first
        yield from ours
        for words in own.commands() if kind.name == about.name else ():
            yield External.open(
                words, data, model,
                timeout=own.external_timeout, file_name=about.file_name, beside=first,
            )  # fmt: skip

    return opened


def _about(found: Bundle | Artifact) -> Format:
    """Return the format of the artifact that commands are given."""
    if isinstance(found, Bundle):
        kinds = [formats.of_path(name) for name in artifacts_of(found.contents)]
    else:
        kinds = [found.format]
    kinds = sorted((each for each in kinds if not each.takes_columns), key=lambda k: not k.predicts)
    if not kinds:
        raise ConfigError(
            f"{found.path}: external is given features as numbers, and this takes a table's "
            f"columns; export the model with {asked(formats=['onnx'])} too, and name that bundle."
        )
    return kinds[0]
