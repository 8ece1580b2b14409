"""TorchScript: `model.pt`, what `torch.jit.load` reads in Python and C++.

PyTorch has deprecated TorchScript in favour of `torch.export`, and warns on each call of
`torch.jit.script`; docs/format.md says so once instead.
"""

import io
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, final

from linexport.errors import ArtifactError, ExportError
from linexport.formats._archive import Archive, extra_files, pack, unpack
from linexport.formats._format import Runtime

if TYPE_CHECKING:
    from linexport.model import LinearModel

__all__ = ["TorchScript"]

_compiler = threading.Lock()
"""Two threads that compile a class at once may leave it with two names, one of them mangled."""


@final
class TorchScript(Archive):
    """What `torch.jit.script` makes of the model's module."""

    name = "torchscript"
    file_name = "model.pt"
    loaded = "torch.jit.load('model.pt')"

    def write(self, model: "LinearModel", metadata: Mapping[str, str]) -> bytes:
        """Return the file; the same model and metadata give the same bytes.

        Raises:
            ExportError: If the environment switches TorchScript off.
        """
        from torch.jit import _recursive, _state

        from linexport.formats._pytorch import to_module

        if not _state._enabled:  # noqa: SLF001 - as torch.jit itself asks
            raise ExportError("PYTORCH_JIT=0 switches TorchScript off; unset it to write model.pt.")
        # What torch.jit.script does with a module, without the warning. Silencing that would need
        # warnings.catch_warnings, which changes the filters of every thread.
        with _compiler:
            script = _recursive.create_script_module(  # type: ignore[no-untyped-call]
                to_module(model), _recursive.infer_methods_to_compile
            )
        data = script.save_to_buffer(_extra_files=extra_files(metadata))
        return pack(unpack(data))

    def open(self, data: bytes, model: "LinearModel", *, ours: bool) -> Iterator[Runtime]:
        """Yield what `torch.jit.load` makes of the file.

        Raises:
            ArtifactError: If it is no TorchScript archive.
        """
        import torch

        from linexport.formats._pytorch import TorchRuntime

        try:
            with warnings.catch_warnings():  # torch.jit is deprecated; docs/format.md says so
                warnings.simplefilter("ignore")
                module = torch.jit.load(  # type: ignore[no-untyped-call]
                    io.BytesIO(data), map_location="cpu"
                ).eval()
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]  # what comes before is its own traceback
            raise ArtifactError(f"PyTorch refuses the TorchScript archive: {reason}") from error
        yield TorchRuntime("torchscript", model, module, stated=ours)
