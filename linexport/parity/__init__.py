"""The proof: probes, canaries, verdict."""

from linexport.parity.canaries import Canary, canaries
from linexport.parity.check import DEFAULT_PROBE_ROWS, OpenedCanary, check
from linexport.parity.report import (
    CanaryReport,
    Comparison,
    ParityReport,
    RuntimeReport,
    Verdict,
    decode,
    encode,
)

__all__ = [
    "DEFAULT_PROBE_ROWS",
    "Canary",
    "CanaryReport",
    "Comparison",
    "OpenedCanary",
    "ParityReport",
    "RuntimeReport",
    "Verdict",
    "canaries",
    "check",
    "decode",
    "encode",
]
