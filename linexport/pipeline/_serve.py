"""Bundles at work behind HTTP."""

import os
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np

from linexport import bundle, parity
from linexport._files import naming
from linexport.bundle import CERTIFICATE_FILE, MANIFEST_FILE, Bundle
from linexport.errors import ArtifactError, ConfigError, ModelError, UnavailableError
from linexport.formats import Runtime
from linexport.model import LinearModel
from linexport.parity import DoubleReference, decode_certificate
from linexport.pipeline._opening import check_covered, digest_of, predicting_artifact
from linexport.predicting import Predictor, Spread
from linexport.serving import Limits, ServeConfig, ServedModel

__all__ = ["serve"]

VERSION_DIGITS = 16
"""Of a SHA-256: enough that no two versions of a model meet, short enough to read out."""
MOST_FEATURES_ASKED = 2048
"""Up to so many the parity check is repeated before serving: 0.01 s at 100 features, 0.1 s at
1,000, but 3 s at 10,000, because one-hot rows grow with the square."""
PROBE_ROWS = 64


def serve(
    paths: Sequence[str | Path],
    *,
    config: ServeConfig | None = None,
    limits: Limits | None = None,
) -> None:
    """Serve bundles over HTTP, with onnxruntime and without loading PyTorch, until SIGTERM.

    docs/serving.md describes the addresses. Every bundle is verified before it is served, also when
    it is loaded anew: on SIGHUP, or with `watch` once its files change. One that fails then leaves
    the model before in place. Log lines are JSON on standard error.

    Args:
        paths: Of bundles, or of directories of bundles, as they are when serving begins; the name
            of a bundle's directory is the name of its model.
        config: Where and how to serve.
        limits: What each worker takes on.

    Raises:
        ConfigError: If there is no bundle, or two have the same name.
        ArtifactError: If a bundle is damaged, hostile or not proven.
        ParityError: If a bundle's certificate or the model that is to serve disagrees.
        UnavailableError: If the port is taken, or the server's packages are not installed.
    """
    config = config or ServeConfig()
    places = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - a link to a bundle gives it the link's name
    sources = [_Source(path, config) for place in places for path in _bundles_at(place)]
    _require_names(sources)
    try:
        from linexport.serving import run
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"Serving needs {error.name}: pip install 'linexport[serve]'."
        ) from error
    run(sources, config, limits or Limits(), version=version("linexport"))


@dataclass(frozen=True, slots=True)
class _Source:
    """A bundle's directory."""

    path: Path
    config: ServeConfig

    @property
    def name(self) -> str:
        """The directory's name."""
        return self.path.name

    def load(self) -> ServedModel:
        """Read the bundle, and prove the session that is to serve.

        Raises:
            ArtifactError: If it is damaged, hostile or not proven.
            ParityError: If it disagrees.
        """
        opened = bundle.read_bundle(self.path)
        kind, artifact = predicting_artifact(opened)
        with naming(self.path):
            _require_certificate(opened)
            runtime = kind.engine(artifact, num_threads=1)  # requests run beside each other
            _require_structure(opened, runtime)
            _require_parity(opened, runtime)
        encoding = opened.manifest.encoding
        if encoding is not None:
            import_module("linexport._polars")  # not while the first request waits for it
        spread = Spread(opened.manifest.record, opened.model.target_names)
        _prepare(spread, opened.model)
        return ServedModel(
            name=self.name,
            version=digest_of(artifact, encoding)[:VERSION_DIGITS],
            predictor=Predictor(
                runtime,
                opened.model.features,
                opened.model.targets,
                self.config.check_range,
                encoding,
                spread,
            ),
            missing=self.config.missing,
            coarse=opened.manifest.coarse,
        )

    def fingerprint(self) -> Hashable:
        """Return each file's name, size, inode and time of change; None without a directory."""
        try:
            with os.scandir(self.path) as entries:
                found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
        except OSError:
            return None
        return frozenset(
            (name, status.st_size, status.st_ino, status.st_ctime_ns) for name, status in found
        )


def _prepare(spread: Spread, model: LinearModel) -> None:
    """Make an interval where they are known: the first loads scipy, and all requests would wait."""
    with suppress(ModelError):
        spread.around(np.zeros((1, model.num_targets)), np.zeros((1, model.num_features)), 0.95)


def _bundles_at(place: Path) -> list[Path]:
    """Return a bundle, or the bundles in a directory that is none."""
    if (place / MANIFEST_FILE).exists() or not place.is_dir():
        return [place]
    return sorted(found.parent for found in place.glob(f"*/{MANIFEST_FILE}")) or [place]


def _require_names(sources: Sequence[_Source]) -> None:
    if not sources:
        raise ConfigError("There is no bundle to serve.")
    by_name: dict[str, Path] = {}
    for source in sources:
        if not source.name.isprintable():  # nor is a name that is not text in UTF-8
            raise ConfigError(f"{source.name!r} cannot be a model's name; rename the directory.")
        if source.name in by_name:
            raise ConfigError(
                f"{by_name[source.name]} and {source.path} would both be served as "
                f"'{source.name}'; rename one."
            )
        by_name[source.name] = source.path


def _require_certificate(opened: Bundle) -> None:
    certificate = decode_certificate(opened.read(CERTIFICATE_FILE))
    check_covered(opened.manifest, certificate)
    certificate.require()


def _require_structure(opened: Bundle, runtime: Runtime) -> None:
    structure = runtime.structure
    if structure is None or not structure.same_function(opened.model):
        raise ArtifactError(
            "the graph of model.onnx is not, bit for bit, the model of weights.safetensors, so its "
            "predictions are not proven; run `linexport verify`, and export the model again."
        )


def _require_parity(opened: Bundle, runtime: Runtime) -> None:
    """Have the very session that is to serve say what it says now and here."""
    if opened.model.num_features <= MOST_FEATURES_ASKED:
        parity.check(DoubleReference(opened.model), [runtime], probe_rows=PROBE_ROWS).require()
