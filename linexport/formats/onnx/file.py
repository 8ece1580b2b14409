"""What model an ONNX file states that may be anything.

A file that linexport wrote is recognised by its bytes. Any other is checked with the onnx package,
which is loaded only then.
"""

from linexport.formats.onnx import wire as onnx_wire
from linexport.model import LinearModel

__all__ = ["read", "read_named"]


def read(data: bytes) -> LinearModel | None:
    """Check a file and return the model that it states, or None if linexport writes no such graph.

    Raises:
        ArtifactError: As `onnx_graph.check`.
    """
    written = onnx_wire.read(data)
    if written is not None:
        return written.model
    from linexport.formats.onnx import graph as onnx_graph

    return onnx_graph.read(onnx_graph.check(data))


def read_named(data: bytes) -> LinearModel | None:
    """As `read`, under the names that the file carries.

    Raises:
        ArtifactError: As `onnx_graph.check` and `onnx_graph.read_named`.
    """
    written = onnx_wire.read(data)
    if written is not None:
        return onnx_wire.named(*written)
    from linexport.formats.onnx import graph as onnx_graph

    return onnx_graph.read_named(onnx_graph.check(data))
