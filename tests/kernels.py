"""Other processors' arithmetic, as far as this one can show it.

One sum has as many last bits as there are kernels that compute it. NumPy, its BLAS, PyTorch and its
BLAS each pick theirs by the processor they find; environment variables have them pick an older one.
onnxruntime has no such switch: its kernels differ here by threads and by graph only.
"""

import platform
from dataclasses import dataclass

import numpy as np
import pytest


@dataclass(frozen=True)
class Kernels:
    """What makes libraries compute as they would on another processor."""

    machine: str
    """As Linux names it: on another it cannot be shown. (macOS computes with Accelerate.)"""
    environment: dict[str, str]
    numpy: tuple[str, ...]
    """Features of the processor that NumPy may use beyond those it was built for."""
    capability: str
    """As PyTorch calls it, once it computes so."""
    blas: tuple[str, ...]
    """As NumPy's BLAS calls itself, once it computes so."""


KERNELS = {
    "SSE2": Kernels(
        "x86_64",
        {
            "ATEN_CPU_CAPABILITY": "default",
            # MKL heeds the first on Intel's processors, the second on others too.
            "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
            "MKL_CBWR": "COMPATIBLE",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "OPENBLAS_CORETYPE": "Prescott",
        },
        numpy=(),
        capability="DEFAULT",
        blas=("Prescott", "Katmai"),
    ),
    "AVX2": Kernels(
        "x86_64",
        {
            "ATEN_CPU_CAPABILITY": "avx2",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
            "MKL_CBWR": "AVX2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "OPENBLAS_CORETYPE": "Haswell",
        },
        numpy=("X86_V3", "AVX2", "FMA3", "AVX", "F16C"),
        capability="AVX2",
        blas=("Haswell",),
    ),
    "plain NEON": Kernels(
        "aarch64",
        {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "ARMV8"},
        numpy=(),
        capability="DEFAULT",
        blas=("armv8",),
    ),
}


def _missing(name: str) -> str | None:
    """Say why this processor cannot show a set of kernels; None if it can."""
    if platform.machine() != KERNELS[name].machine:
        return f"no {name} kernels on {platform.machine()}"
    if name == "AVX2" and not {"X86_V3", "AVX2"} & set(_numpy_found()):
        return "this processor has no AVX2"
    return None


def environment(name: str) -> dict[str, str]:
    """Return what to set in the environment of a process, for these kernels on one thread.

    Where this processor has no such kernels, the test that asks is skipped.
    """
    reason = _missing(name)
    if reason is not None:
        pytest.skip(reason)
    kernels = KERNELS[name]
    unused = [feature for feature in _numpy_found() if feature not in kernels.numpy]
    return {
        "NPY_DISABLE_CPU_FEATURES": " ".join(unused),
        "OMP_NUM_THREADS": "1",
        **kernels.environment,
    }


def _numpy_found() -> list[str]:
    return list(np.show_config(mode="dicts")["SIMD Extensions"]["found"])
