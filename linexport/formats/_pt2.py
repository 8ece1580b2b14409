"""torch.export: `model.pt2`, what `torch.export.load` reads."""

import io
import json
import threading
from collections.abc import Mapping
from typing import ClassVar, final

import torch

from linexport.formats import _archive
from linexport.formats._module import to_module
from linexport.model import LinearModel

__all__ = ["Pt2Exporter"]

_PROGRAM_RECORD = "models/model.json"

_tracer = threading.Lock()
"""torch.export keeps its state in the process, not in the thread."""


@final
class Pt2Exporter:
    """Writes what `torch.export.export` makes of the model's module."""

    format: ClassVar[str] = "pt2"
    file_name: ClassVar[str] = "model.pt2"

    def export(self, model: LinearModel, metadata: Mapping[str, str]) -> bytes:
        """Return the file; the same model and metadata give the same bytes."""
        # Two rows: torch.export takes a batch of 0 or 1 in the example for a constant.
        example = torch.zeros(
            (2, model.num_features), dtype=getattr(torch, model.dtype.name), device="cpu"
        )
        batch = torch.export.Dim("batch", min=0)
        buffer = io.BytesIO()
        with _tracer:
            program = torch.export.export(
                to_module(model), (example,), dynamic_shapes={"features": {0: batch}}, strict=False
            )
            program.example_inputs = None  # they would be saved as a pickle
            extra_files = {_archive.METADATA_RECORD: _archive.metadata_json(metadata)}
            torch.export.save(program, buffer, extra_files=extra_files)
        records = _archive.unpack(buffer.getvalue())
        records[_PROGRAM_RECORD] = _without_provenance(records[_PROGRAM_RECORD])
        return _archive.pack(records)


def _without_provenance(program: bytes) -> bytes:
    """Drop where the traced code stood and which build of PyTorch traced it."""
    fields = json.loads(program)
    for node in fields["graph_module"]["graph"]["nodes"]:
        node["metadata"] = {}
    # 2.13.0+cpu and 2.13.0+cu130 trace a linear model alike.
    fields["torch_version"] = fields["torch_version"].partition("+")[0]
    return json.dumps(fields).encode()
