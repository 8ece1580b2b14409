"""A file that torch.save wrote: a state_dict, alone or in a checkpoint, and nothing that could run.

A checkpoint keeps other things beside the state_dict: the epoch, an optimizer's tensors, settings.
What `torch.load(weights_only=True)` takes of these says nothing of the model, and is passed over.
"""

import io
import re
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import torch

from linexport.columns import listed
from linexport.errors import ArtifactError, shortened
from linexport.sources._pickles import is_small
from linexport.sources._reading import EXPORTED
from linexport.sources._registry import STATE_DICTS
from linexport.sources._scaling import scaling_beside

__all__ = ["state_dict_in", "state_dict_of"]

_ZIP_MAGIC = b"PK\x03\x04"
_ZIP_END_MAGIC, _ZIP_END_BYTES = b"PK\x05\x06", 22
"""Where every reader of zip looks first, so that all of them see the same records."""
_NOT_TENSORS = (
    "this is not a file of tensors and plain values alone{holding}, so loading it might run code "
    "or fail: save the state_dict with torch.save(model.state_dict(), ...), or load it in Python, "
    "where you know where it comes from, and call linexport.export(model, ...) there."
)
_TORCHSCRIPT = (
    "a TorchScript archive is a program, and loading it may run code: pass the state_dict of the "
    "module that it was made of, or in Python the module itself."
)


def state_dict_of(data: bytes) -> Mapping[str, torch.Tensor]:
    """Return the state_dict that a file holds.

    Raises:
        ArtifactError: If loading it might run code, or it holds no state_dict.
    """
    _check_archive(data)
    held = _loaded(data)
    if not isinstance(held, Mapping):
        raise ArtifactError(f"it holds a {type(held).__name__}, not a state_dict.")
    state_dict = state_dict_in(held)
    if sum(value.numel() for value in state_dict.values()) > len(data):
        raise ArtifactError("its tensors have more elements than the file has bytes.")
    return state_dict


def _check_archive(data: bytes) -> None:
    """Refuse a zip archive that is a program, or what takes more than its size when it is loaded.

    torch.save stores what it writes as it is. What is no zip is the format before PyTorch 1.6: five
    pickles, then numbers.
    """
    pickled, count = data, 5
    if data.startswith(_ZIP_MAGIC):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            pickled, count = _pickle_in(archive, len(data)), 1
        if not data[-_ZIP_END_BYTES:].startswith(_ZIP_END_MAGIC):
            raise ArtifactError("something follows its end: save it again.")
    if not is_small(pickled, count):
        raise ArtifactError(_NOT_TENSORS.format(holding=""))


def _pickle_in(archive: zipfile.ZipFile, num_bytes: int) -> bytes:
    """Return the one record of an archive that tells what the others are."""
    records = archive.infolist()
    names = {record.filename.rpartition("/")[2] for record in records}
    if names & {"constants.pkl", "archive_format"}:
        raise ArtifactError(EXPORTED if "archive_format" in names else _TORCHSCRIPT)
    if sum(record.file_size for record in records) > num_bytes:
        raise ArtifactError(
            "it is larger unpacked than the file, where torch.save compresses nothing: save the "
            "state_dict with torch.save(model.state_dict(), ...)."
        )
    # PyTorch looks for the name without regard to case.
    found = [each for each in records if each.filename.lower().endswith("/data.pkl")]
    if len(found) != 1:
        raise ArtifactError(_NOT_TENSORS.format(holding=""))
    return archive.read(found[0])


def _loaded(data: bytes) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files that torch.save did not write
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # its unpickler fails in any way, on any bytes
        called = re.search(r"GLOBAL ([\w.]+)", str(error))
    holding = f" (it names {shortened(called[1])})" if called else ""
    # Not `from error`: its words advise to switch weights_only off, which runs what the file holds.
    raise ArtifactError(_NOT_TENSORS.format(holding=holding))


def state_dict_in(thing: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a mapping of tensors, or the one such in a checkpoint.

    Raises:
        ArtifactError: If there is none, or are several, or if numbers that scale are beside it.
    """
    if _is_state_dict(thing):
        return thing
    inside = [name for name in STATE_DICTS if _is_state_dict(thing.get(name))]
    if len(inside) == 1:
        found: Mapping[str, torch.Tensor] = thing[inside[0]]
        if scaling := scaling_beside(thing):
            raise ArtifactError(
                f"{listed(scaling)} beside its {inside[0]} may scale the features or the target, "
                "and names do not say how: pass a module that does it, from Python; or, if nothing "
                f"is to be scaled, torch.save(checkpoint[{inside[0]!r}], 'model.pt'), and that."
            )
        return found
    raise ArtifactError(
        f"it holds {listed([str(name) for name in thing])}, of which {listed(inside) or 'none'} is "
        f"a state_dict; one is needed, called {listed(STATE_DICTS)}: save it by itself, with "
        "torch.save(model.state_dict(), ...)."
    )


def _is_state_dict(thing: Any) -> bool:
    return isinstance(thing, Mapping) and all(isinstance(v, torch.Tensor) for v in thing.values())
