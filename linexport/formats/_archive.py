"""PyTorch's zip archives, written so that the same records give the same bytes.

What PyTorch's own writer leaves open is settled here: records are sorted by name and stored without
compression (the output of zlib depends on its version), carry no time, and start at a multiple of
64 bytes, as PyTorch's do, so that tensors can be mapped into memory.
"""

import io
import zipfile
from collections.abc import Mapping

import msgspec

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


def metadata_json(metadata: Mapping[str, str]) -> str:
    """Write metadata in the one way that `read_metadata` is followed by."""
    return msgspec.json.encode(dict(metadata), order="deterministic").decode()


def unpack(archive: bytes) -> dict[str, bytes]:
    """Return what PyTorch wrote, by name, without the top folder and what no loader needs."""
    with zipfile.ZipFile(io.BytesIO(archive)) as records:
        return {
            name.partition("/")[2]: records.read(name)
            for name in records.namelist()
            if not name.endswith(_UNWANTED)
        }


def pack(records: Mapping[str, bytes]) -> bytes:
    """Write records into an archive that PyTorch's loaders accept."""
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
