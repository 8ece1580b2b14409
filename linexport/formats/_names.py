"""Names of artifacts inside a bundle."""

__all__ = ["ONNX_FILE"]

ONNX_FILE = "model.onnx"
