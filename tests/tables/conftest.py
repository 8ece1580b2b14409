from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linexport._asked import asking_for_options
from linexport.tables import _records


@pytest.fixture
def write(tmp_path, monkeypatch) -> Callable[..., str]:
    """Write a file into the current directory, so that messages name it shortly."""
    monkeypatch.chdir(tmp_path)

    def write_file(content: str | bytes, name: str = "t.csv") -> str:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    return write_file


@pytest.fixture(params=[None, 7, 64], ids=["whole", "blocks of 7", "blocks of 64"])
def block_bytes(request, monkeypatch) -> None:
    """Cut the file at awkward places too."""
    if request.param:
        monkeypatch.setattr(_records, "_BLOCK_BYTES", request.param)


@pytest.fixture(autouse=True)
def _command() -> Iterator[None]:
    """Have messages name options, as those of a command do."""
    with asking_for_options():
        yield
