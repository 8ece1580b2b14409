"""torch.export: `model.pt2`, what `torch.export.load` reads."""

import io
import json
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, final

from linexport.errors import ArtifactError
from linexport.formats._archive import Archive, extra_files, pack, unpack
from linexport.formats._format import Runtime

if TYPE_CHECKING:
    from linexport.model import LinearModel

__all__ = ["Pt2"]

_PROGRAM_RECORD = "models/model.json"

_tracer = threading.Lock()
"""torch.export keeps its state in the process, not in the thread."""


@final
class Pt2(Archive):
    """What `torch.export.export` makes of the model's module."""

    name = "pt2"
    file_name = "model.pt2"
    loaded = "torch.export.load('model.pt2').module()"

    def write(self, model: "LinearModel", metadata: Mapping[str, str]) -> bytes:
        import torch

        from linexport.formats._pytorch import to_module

        # Two rows: torch.export takes a batch of 0 or 1 in the example for a constant.
        example = torch.zeros(
            (2, model.num_features), dtype=getattr(torch, model.dtype.name), device="cpu"
        )
        batch = torch.export.Dim("batch", min=0)
        buffer = io.BytesIO()
        with _tracer:
            program = torch.export.export(
                to_module(model),
                (example,),
                dynamic_shapes={"features": {0: batch}},
                strict=False,
            )
            program.example_inputs = None  # they would be saved as a pickle
            torch.export.save(program, buffer, extra_files=extra_files(metadata))
        records = unpack(buffer.getvalue())
        records[_PROGRAM_RECORD] = _without_provenance(records[_PROGRAM_RECORD])
        return pack(records)

    def open(self, data: bytes, model: "LinearModel", *, ours: bool) -> Iterator[Runtime]:
        """Yield what `torch.export.load` makes of the file.

        Raises:
            ArtifactError: If it is no torch.export archive.
        """
        import torch

        from linexport.formats._pytorch import TorchRuntime

        try:
            module = torch.export.load(io.BytesIO(data)).module()
        except Exception as error:  # it tries several readers, the last of them pickle
            raise ArtifactError("PyTorch refuses the torch.export archive.") from error
        yield TorchRuntime("torch.export", model, module, stated=ours)


def _without_provenance(program: bytes) -> bytes:
    """Drop where the traced code stood and which build of PyTorch traced it."""
    fields = json.loads(program)
    for node in fields["graph_module"]["graph"]["nodes"]:
        node["metadata"] = {}
    # 2.13.0+cpu and 2.13.0+cu130 trace a linear model alike.
    fields["torch_version"] = fields["torch_version"].partition("+")[0]
    return json.dumps(fields).encode()
