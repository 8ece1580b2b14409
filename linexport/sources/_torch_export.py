"""A module whose forward is anybody's code, as a program of torch.export.

torch.export runs the forward once, on a tensor that has a shape and no numbers, and writes down
what was done to it. What a forward does by the numbers, torch refuses. The number of rows is left
open.
"""

import contextlib
import inspect
import io
import logging
import re
import traceback
import warnings
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from linexport.errors import ModelError, shortened
from linexport.sources._torch_program import fixed_size

__all__ = ["exported"]

_MOST_SHOWN = 120
_ANY_NUMBER = 2**31 - 1


class _Failed(Exception):  # noqa: N818 - it says what torch said of one width; others may do
    """A forward failed, on a width that may not be that of its input."""


def exported(module: nn.Module, num_features: int) -> ExportedProgram:
    """Return what a module's forward does, to any number of rows.

    Args:
        module: In evaluation mode, without hooks.
        num_features: D; 0 where the module is to tell.

    Raises:
        ModelError: If torch cannot follow it, it does not tell the number of features, or does one
            thing or another by the number of rows.
    """
    kind = type(module).__name__
    _require_one_input(module, kind)
    if not num_features:
        program, num_features = _of_own_width(module, kind)
    else:
        try:
            program = _exported(module, num_features, Dim.STATIC)
        except _Failed as error:
            raise ModelError(f"{kind} fails on rows of {num_features} features: {error}") from None
    _require_any_rows(program, module, num_features)
    return program


def _of_own_width(module: nn.Module, kind: str) -> tuple[ExportedProgram, int]:
    """Find the width that the module asks for: one that fits, where no other does."""
    failures = []
    for width in _widths(module):
        try:
            program = _exported(module, width, Dim.AUTO)
        except _Failed as error:
            failures.append(f" It fails on rows of {width}: {error}")
            continue
        failures = [""]
        # Torch takes a width to be fixed where it is one, or the end of a slice.
        if fixed_size(_input_shape(program)[1]) and not _takes(module, width + 1):
            return program, width
        break
    raise ModelError(
        f"{kind} does not tell how many features it takes: give their names, "
        f'features=["a", "b", ...].{(failures or [""])[0]}'
    )


def _takes(module: nn.Module, width: int) -> bool:
    try:
        _exported(module, width, Dim.AUTO)
    except _Failed:
        return False
    return True


def _widths(module: nn.Module) -> list[int]:
    """Return how many features there may be, likely ones first."""
    layers = [
        getattr(layer, "in_features", getattr(layer, "num_features", None))
        for layer in module.modules()
    ]
    sizes = [size for tensor in _tensors(module) for size in tensor.shape]
    found = [size for size in layers if isinstance(size, int)]
    # One column may be repeated to as many as there are weights: it is tried last.
    return sorted(dict.fromkeys([*found, *sorted(sizes, reverse=True)]), key=lambda size: size == 1)


def _tensors(module: nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _exported(
    module: nn.Module, width: int, dimension: Any, length: int | None = None
) -> ExportedProgram:
    """Follow a forward, for any number of rows unless one is given."""
    like = next((t for t in _tensors(module) if t.is_floating_point()), torch.zeros(()))
    # Two dimensions of the same length would be taken for one.
    rows = torch.zeros(length or width + 2, width, dtype=like.dtype, device=like.device)
    try:
        with _quiet():
            return torch.export.export(
                module, (rows,), dynamic_shapes=(({0: Dim.AUTO, 1: dimension},)), strict=False
            )
    except GuardOnDataDependentSymNode as error:
        raise ModelError(
            f"{type(module).__name__} does one thing or another as the input's values are, which "
            f"is not linear{_place(error)}."
        ) from None
    except Exception as error:
        raise _Failed(f"{_first_sentence(error)}{_place(error)}.") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from printing graphs and advice; what is of use is in our messages."""
    level = logging.root.manager.disable
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(level)


def _first_sentence(error: Exception) -> str:
    plain = re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip() or type(error).__name__
    return shortened(plain.splitlines()[0].rstrip("."), _MOST_SHOWN)


def _place(error: Exception) -> str:
    """Say on which line of the caller's code it came up."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not {"torch", "linexport"} & {*PurePath(frame.filename).parts}
    ]
    if not frames:
        return ""
    return f" ({PurePath(frames[-1].filename).name} line {frames[-1].lineno}: `{frames[-1].line}`)"


def _require_one_input(module: nn.Module, kind: str) -> None:
    parameters = inspect.signature(module.forward).parameters.values()
    needed = [
        each.name
        for each in parameters
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if len(needed) > 1:
        listed = ", ".join(needed)
        raise ModelError(
            f"{kind} takes {listed}, and the shapes of these are not known: pass "
            f"torch.export.export(model.eval(), ({listed})), with tensors of some rows."
        )


def _input_shape(program: ExportedProgram) -> Any:
    (name,) = program.graph_signature.user_inputs
    return next(n for n in program.graph.nodes if n.name == name).meta["val"].shape


def _require_any_rows(program: ExportedProgram, module: nn.Module, width: int) -> None:
    rows = _input_shape(program)[0]
    is_open = fixed_size(rows) is None
    limits = program.range_constraints[rows.node.expr] if is_open else None
    known = "" if limits else f"always {rows}; ask for x.shape[0], not for len(x)"
    if limits and (limits.lower > 2 or limits.upper < _ANY_NUMBER):
        known = f"as written, {limits.lower} to {limits.upper}"
    if not known and not _does_the_same(program, module, width):
        known = "one, or several"  # which torch does not tell apart
    if known:
        raise ModelError(
            f"{type(module).__name__} does one thing or another by the number of rows ({known}): "
            "take that out of its forward."
        )


def _does_the_same(program: ExportedProgram, module: nn.Module, width: int) -> bool:
    """Tell whether one row is treated as several are."""
    try:
        alone = _exported(module, width, Dim.STATIC, length=1)
    except _Failed:
        return False
    return _operations(alone) == _operations(program)


def _operations(program: ExportedProgram) -> list[str]:
    """Return what is done to tensors, apart from sizes, and slices, which may be of all rows."""
    names = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    passed_over = re.compile(r"aten\.(sym_|slice|_assert)")
    return [name for name in names if name.startswith("aten.") and not passed_over.match(name)]
