from ._card import model_card as model_card
from ._document import (
    bundle_document as bundle_document,
    onnx_document as onnx_document,
    parity_document as parity_document,
    render as render,
    training_document as training_document,
)
from ._text import (
    bundle_lines as bundle_lines,
    conclusion as conclusion,
    onnx_lines as onnx_lines,
    parity_lines as parity_lines,
    training_lines as training_lines,
)
