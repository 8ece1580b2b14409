"""The proof: probes, canaries, verdict. Its outcome is a linexport.certificate.ParityReport."""

from linexport.parity.canaries import Canary, canaries
from linexport.parity.check import DEFAULT_PROBE_ROWS, OpenedCanary, check

__all__ = ["DEFAULT_PROBE_ROWS", "Canary", "OpenedCanary", "canaries", "check"]
