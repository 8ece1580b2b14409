from ._card import model_card as model_card
from ._document import (
    bundle_document as bundle_document,
)
from ._document import (
    onnx_document as onnx_document,
)
from ._document import (
    parity_document as parity_document,
)
from ._document import (
    render as render,
)
from ._document import (
    training_document as training_document,
)
from ._text import (
    bundle_lines as bundle_lines,
)
from ._text import (
    conclusion as conclusion,
)
from ._text import (
    onnx_lines as onnx_lines,
)
from ._text import (
    parity_lines as parity_lines,
)
from ._text import (
    training_lines as training_lines,
)
