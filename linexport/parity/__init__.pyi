from ._canaries import (
    canaries as canaries,
)
from ._certificate import (
    DEFAULT_PROBE_ROWS as DEFAULT_PROBE_ROWS,
)
from ._certificate import CanaryReport as CanaryReport
from ._certificate import Comparison as Comparison
from ._certificate import (
    ParityReport as ParityReport,
)
from ._certificate import (
    ProbeConfig as ProbeConfig,
)
from ._certificate import RuntimeReport as RuntimeReport
from ._certificate import (
    Verdict as Verdict,
)
from ._certificate import (
    decode_certificate as decode_certificate,
)
from ._certificate import (
    encode_certificate as encode_certificate,
)
from ._check import (
    OpenedCanary as OpenedCanary,
)
from ._check import (
    check as check,
)
from ._exact import DoubleReference as DoubleReference
