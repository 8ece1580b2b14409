"""PyTorch's zip archives: the same records give the same bytes, by which ours are told from others.

What its own writer leaves open is settled here: records are sorted by name and stored without
compression (the output of zlib depends on its version), carry no time, and start at a multiple of
64 bytes, as PyTorch's do, so that tensors can be mapped into memory.
"""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from linexport.formats._format import Format, encoded

if TYPE_CHECKING:
    from linexport.model import LinearModel

__all__ = ["Archive", "extra_files", "pack", "unpack"]

FOLDER = "archive"
"""What PyTorch calls the top folder of a file that it writes to memory."""
METADATA_RECORD = "linexport.json"
"""The extra file that carries the metadata; `torch.jit.load` and `torch.export.load` return it."""
ALIGNMENT = 64
"""Bytes; PyTorch's kFieldAlignment."""

_EXTRA_FOLDER = "extra/"
_LOCAL_HEADER_BYTES = 30
_PADDING_ID = b"FB"
_UNWANTED = (
    ".data/serialization_id",  # a hash over the records, the dropped ones included
    ".debug_pkl",  # where in which file of this machine each line of code stood
)
"""Ends of the names of records that no loader needs."""


class Archive(Format):
    """A format of PyTorch's: an archive, which may run what it holds when it is loaded."""

    runs_code = True
    loaded: str
    """The module in the file, in Python."""

    def is_ours(self, data: bytes, model: "LinearModel") -> bool:
        """Tell whether these are, byte for byte, what `write` writes for the model.

        The metadata are taken from the file itself, which is not unpickled for that.
        """
        metadata = read_metadata(data)
        return metadata is not None and self.write(model, metadata) == data

    def metadata(self, data: bytes) -> Mapping[str, str]:
        """Return what is in the extra file that `write` writes; it is read as a plain zip."""
        return read_metadata(data) or {}

    def example(self, model: "LinearModel") -> list[str]:
        zeros = f"torch.zeros((1, {model.num_features}), dtype=torch.{model.dtype})"
        return ["import torch", "", f"module = {self.loaded}", f"prediction = module({zeros})"]


def extra_files(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return metadata as the extra file that PyTorch's writers take, always written alike."""
    return {METADATA_RECORD: encoded(dict(metadata))}


def unpack(archive: bytes) -> dict[str, bytes]:
    """Return what PyTorch wrote, by name, without the top folder and what no loader needs."""
    import zipfile  # which predicting does without, here as below

    with zipfile.ZipFile(io.BytesIO(archive)) as records:
        return {
            name.partition("/")[2]: records.read(name)
            for name in records.namelist()
            if not name.endswith(_UNWANTED)
        }


def pack(records: Mapping[str, bytes]) -> bytes:
    """Write records into an archive that PyTorch's loaders accept."""
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression=zipfile.ZIP_STORED) as archive:
        for name in sorted(records):
            info = zipfile.ZipInfo(f"{FOLDER}/{name}", date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # Unix, also where Python would say otherwise
            info.external_attr = 0o644 << 16
            info.extra = _padding(buffer.tell() + _LOCAL_HEADER_BYTES + len(info.filename))
            archive.writestr(info, records[name])
    return buffer.getvalue()


def read_metadata(archive: bytes) -> dict[str, str] | None:
    """Return the metadata of a file that `pack` may have written; None if it did not.

    The file may be hostile: it is read as a plain zip, nothing in it is unpickled or unpacked.
    """
    import zipfile

    name = f"{FOLDER}/{_EXTRA_FOLDER}{METADATA_RECORD}"
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as records:
            info = records.getinfo(name)
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > len(archive):
                return None
            return msgspec.json.decode(records.read(info), type=dict[str, str])
    except Exception:  # zipfile raises a dozen kinds on damaged files; none of them matters here
        return None


def _padding(data_start: int) -> bytes:
    """Return the extra field that moves a record's data to the next multiple of ALIGNMENT."""
    header = len(_PADDING_ID) + 2
    length = -(data_start + header) % ALIGNMENT
    return _PADDING_ID + length.to_bytes(2, "little") + b"Z" * length
