from ._card import model_card as model_card
from ._document import (
    bundle_document as bundle_document,
    certificate_document as certificate_document,
    onnx_document as onnx_document,
    render as render,
    training_document as training_document,
)
from ._encoding import encoding_lines as encoding_lines
from ._inspection import (
    bundle_lines as bundle_lines,
    onnx_lines as onnx_lines,
)
from ._look import look_lines as look_lines
from ._text import (
    certificate_lines as certificate_lines,
    conclusion as conclusion,
    training_lines as training_lines,
)
