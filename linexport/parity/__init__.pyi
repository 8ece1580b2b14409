from ._canaries import (
    Canary as Canary,
    canaries as canaries,
)
from ._certificate import (
    DEFAULT_PROBE_ROWS as DEFAULT_PROBE_ROWS,
    CanaryResult as CanaryResult,
    Certificate as Certificate,
    Comparison as Comparison,
    ProbeConfig as ProbeConfig,
    RuntimeResult as RuntimeResult,
    StatementResult as StatementResult,
    Verdict as Verdict,
    decode_certificate as decode_certificate,
    encode_certificate as encode_certificate,
)
from ._check import (
    OpenedCanary as OpenedCanary,
    check as check,
    joined as joined,
)
from ._column_canaries import (
    column_canaries as column_canaries,
)
from ._exact import DoubleReference as DoubleReference
from ._own import OwnReference as OwnReference
from ._statements import (
    compare_coefficients as compare_coefficients,
    compare_statement as compare_statement,
)
