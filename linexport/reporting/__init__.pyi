from ._card import model_card as model_card
from ._certificate import (
    certificate_blocks as certificate_blocks,
    conclusion as conclusion,
    runtime_blocks as runtime_blocks,
)
from ._document import (
    StateDocument as StateDocument,
    bundle_document as bundle_document,
    certificate_document as certificate_document,
    onnx_document as onnx_document,
    render as render,
    state_document as state_document,
    training_document as training_document,
)
from ._drawings import (
    ReportData as ReportData,
    draw_all as draw_all,
    figures_of_fit as figures_of_fit,
    figures_of_proof as figures_of_proof,
)
from ._encoding import encoding_blocks as encoding_blocks
from ._evaluation import evaluation_blocks as evaluation_blocks
from ._figures import Sampled as Sampled
from ._fit import (
    estimates as estimates,
    fit_blocks as fit_blocks,
)
from ._inspection import (
    bundle_blocks as bundle_blocks,
    column_blocks as column_blocks,
    onnx_blocks as onnx_blocks,
)
from ._look import look_blocks as look_blocks
from ._page import (
    report_page as report_page,
    require_report_tools as require_report_tools,
)
from ._table import (
    Block as Block,
    Table as Table,
    plain_lines as plain_lines,
)
from ._text import Text as Text
from ._training import (
    bundle_lines as bundle_lines,
    short_blocks as short_blocks,
    short_fit_blocks as short_fit_blocks,
    training_blocks as training_blocks,
)
