"""Where models come from, and taking in those that have changed."""

import asyncio
from collections.abc import Hashable, Sequence
from typing import Protocol

from linexport.errors import LinexportError
from linexport.serving._application import Application
from linexport.serving._models import ServedModel

WATCH_SECONDS = 1.0
"""Between two looks at the files, which take a few system calls for each model. Unlike the system's
notifications, looking works on network file systems and for directories that are renamed too."""


class ModelSource(Protocol):
    """Where a model comes from, now and after it was changed."""

    @property
    def name(self) -> str:
        """Under which it is served."""
        ...

    def load(self) -> ServedModel:
        """Open and verify the model as it is now.

        Raises:
            LinexportError: If it must not be served.
        """
        ...

    def fingerprint(self) -> Hashable:
        """Return something that differs once the model may have changed; it costs little."""
        ...


class Reloader:
    """Loads and verifies models aside, and swaps in those that pass."""

    def __init__(self, sources: Sequence[ModelSource]) -> None:
        """Take where the models come from."""
        self._sources = sources
        self._seen: dict[str, Hashable] = {}
        """Fingerprints, as they were before a model was last loaded."""
        self._one_at_a_time = asyncio.Lock()
        self._asked = asyncio.Event()

    def load_all(self) -> list[ServedModel]:
        """Load every model for the first time.

        Raises:
            LinexportError: If one of them must not be served.
        """
        return [self._load(source) for source in self._sources]

    def ask(self, *_: object) -> None:
        """Have every model loaded anew; what is asked before that begins is asked once."""
        self._asked.set()

    async def reload_when_asked(self, application: Application) -> None:
        """Load every model anew each time when that has been asked, for ever."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self.reload(application)

    async def reload(self, application: Application) -> None:
        """Load every model anew."""
        await self._replace(application, self._sources)

    async def watch(self, application: Application) -> None:
        """Load a model anew whenever its files change, for ever."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            await self.reload_changed(application)

    async def reload_changed(self, application: Application) -> None:
        """Load those models anew whose files have changed since they were last loaded."""
        changed = [s for s in self._sources if s.fingerprint() != self._seen.get(s.name)]
        await self._replace(application, changed)

    async def _replace(self, application: Application, sources: Sequence[ModelSource]) -> None:
        async with self._one_at_a_time:
            for source in sources:
                try:
                    model = await asyncio.to_thread(self._load, source)
                    application.require_same_signature(model)
                except LinexportError as error:
                    application.log.event("refused", model=source.name, reason=str(error))
                    application.metrics.loaded(source.name, str(error))
                except Exception as error:  # a mistake of ours; what serves goes on serving
                    application.log.failure(f"loading {source.name}", error)
                    application.metrics.loaded(source.name, "a fault of the server; see its log")
                else:
                    application.serve_from_now_on([model])
                    application.log.event("loaded", model=model.name, version=model.version)
                    application.metrics.loaded(source.name)

    def _load(self, source: ModelSource) -> ServedModel:
        self._seen[source.name] = source.fingerprint()  # first: it may change while it is loaded
        return source.load()
