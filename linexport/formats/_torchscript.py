"""TorchScript: `model.pt`, what `torch.jit.load` reads in Python and C++.

PyTorch has deprecated TorchScript in favour of `torch.export`, and warns on each call of
`torch.jit.script`; docs/format.md says so once instead.
"""

import threading
from collections.abc import Mapping
from typing import ClassVar, final

from torch.jit import _recursive
from torch.jit._state import _enabled

from linexport.errors import ExportError
from linexport.formats import _archive
from linexport.formats._module import to_module
from linexport.model import LinearModel

__all__ = ["TorchScriptExporter"]

_compiler = threading.Lock()
"""Two threads that compile a class at once may leave it with two names, one of them mangled."""


@final
class TorchScriptExporter:
    """Writes what `torch.jit.script` makes of the model's module."""

    format: ClassVar[str] = "torchscript"
    file_name: ClassVar[str] = "model.pt"

    def export(self, model: LinearModel, metadata: Mapping[str, str]) -> bytes:
        """Return the file; the same model and metadata give the same bytes.

        Raises:
            ExportError: If the environment switches TorchScript off.
        """
        if not _enabled:
            raise ExportError("PYTORCH_JIT=0 switches TorchScript off; unset it to write model.pt.")
        # What torch.jit.script does with a module, without the warning. Silencing that would need
        # warnings.catch_warnings, which changes the filters of every thread.
        with _compiler:
            script = _recursive.create_script_module(  # type: ignore[no-untyped-call]
                to_module(model), _recursive.infer_methods_to_compile
            )
        extra_files = {_archive.METADATA_RECORD: _archive.metadata_json(metadata)}
        return _archive.pack(_archive.unpack(script.save_to_buffer(_extra_files=extra_files)))
