"""The proof: probes, canaries, verdict."""
