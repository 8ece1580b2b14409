"""Which versions of ONNX are written, and which are read."""

import onnx
from onnx import helper

from linexport.errors import ArtifactError, ConfigError, shortened
from linexport.formats.onnx.wire import DEFAULT_IR_VERSION, DEFAULT_OPSET_VERSION

__all__ = ["STANDARD_DOMAIN", "check_versions", "check_versions_of"]

OLDEST_OPSET_VERSION = 9
OLDEST_IR_VERSION = 4
"""Since then an initializer need not be listed as an input too."""
OLDEST_IR_VERSION_READ = 3
"""Since then a file states its opset."""
STANDARD_DOMAIN = "ai.onnx"
"""What "" stands for. onnxruntime takes both; onnx's checker and its reference know "" only."""


def check_versions(
    opset_version: int = DEFAULT_OPSET_VERSION, ir_version: int = DEFAULT_IR_VERSION
) -> None:
    """Refuse versions of which there is no valid file.

    Raises:
        ConfigError: Naming those that there are.
    """
    known = helper.OP_SET_ID_VERSION_MAP  # onnx defines operators of an opset to come, too
    newest_opset = max(version for domain, version in known if domain == STANDARD_DOMAIN)
    if not OLDEST_OPSET_VERSION <= opset_version <= newest_opset:
        raise ConfigError(
            f"Opset {opset_version} is not possible: use {OLDEST_OPSET_VERSION} to {newest_opset} "
            f"(default {DEFAULT_OPSET_VERSION})."
        )
    needed = helper.find_min_ir_version_for([helper.make_opsetid("", opset_version)])
    oldest = max(needed, OLDEST_IR_VERSION)
    if not oldest <= ir_version <= onnx.IR_VERSION:
        raise ConfigError(
            f"IR version {ir_version} is not possible with opset {opset_version}: "
            f"use {oldest} to {onnx.IR_VERSION} (default {DEFAULT_IR_VERSION})."
        )


def check_versions_of(proto: onnx.ModelProto) -> None:
    """Refuse a file of which nobody here can tell what its operators do.

    onnx itself takes, for any version above, the newest definition of an operator that it has.

    Raises:
        ArtifactError: Naming the version that is missing, not known, or stated in two ways.
    """
    _require_known("IR version", proto.ir_version, OLDEST_IR_VERSION_READ, onnx.IR_VERSION)
    newest = {"": onnx.defs.onnx_opset_version(), "ai.onnx.ml": onnx.defs.onnx_ml_opset_version()}
    stated: dict[str, int] = {}
    for opset in proto.opset_import:
        name = f"opset of {_domain(opset)}"
        if opset.version != stated.setdefault(opset.domain, opset.version):
            raise ArtifactError(
                f"The ONNX file states the {name} twice, as {stated[opset.domain]} and as "
                f"{opset.version}: have its exporter write one."
            )
        if opset.domain in newest:
            _require_known(name, opset.version, 1, newest[opset.domain])
    for node in proto.graph.node:
        if node.domain not in stated:
            raise ArtifactError(
                f"The ONNX file does not state the opset of {_domain(node)}, whose "
                f"{shortened(node.op_type)} it has: have its exporter write it."
            )


def _domain(stated: onnx.OperatorSetIdProto | onnx.NodeProto) -> str:
    return shortened(stated.domain or STANDARD_DOMAIN)


def _require_known(what: str, version: int, oldest: int, newest: int) -> None:
    if not oldest <= version <= newest:
        upgrade = ", or upgrade onnx" if version > newest else ""
        raise ArtifactError(
            f"The ONNX file has {what} {version}; onnx {onnx.__version__} knows {oldest} to "
            f"{newest}: have its exporter write one of these{upgrade}."
        )
