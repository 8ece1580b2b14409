"""Copies of the ONNX artifact that takes columns, with one fault of its encoding each.

Faults of the numbers behind it are planted in the artifact that takes features: its nodes are those
of this one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import msgspec
import onnx

from linexport.encoding import CategoryColumn, Codes, Encoding, NumberColumn, codes_of
from linexport.formats import stating
from linexport.formats.onnx import columns as onnx_columns
from linexport.formats.onnx.wire import METADATA_PREFIX
from linexport.model import LinearModel
from linexport.parity._canaries import Canary
from linexport.parity._columns import features_of
from linexport.parity._exact import DoubleReference, Expectation, Meaning
from linexport.parity._probes import Probe

__all__ = ["column_canaries"]


def column_canaries(model: LinearModel, encoding: Encoding) -> Iterator[Canary]:
    """Yield every fault, in a graph that is drawn for the model.

    Args:
        model: What the artifact should hold.
        encoding: What should make its features.
    """
    categories = [c for c in encoding.columns if isinstance(c, CategoryColumn)]
    filled = [c for c in encoding.columns if isinstance(c, NumberColumn) and c.fill is not None]
    for name, fault in _CODE_FAULTS.items():
        changed = _first(categories, fault)
        if isinstance(changed, str):
            yield Canary(name=name, skipped=changed)
        else:
            yield _with_codes(name, model, encoding, *changed)
    if filled:
        yield _unfilled(model, encoding, filled[0])
    else:
        yield Canary(name="a fill forgotten", skipped="No column is filled.")
    yield _levels_renamed(model, encoding, categories)


def _first(
    categories: list[CategoryColumn], fault: Callable[[CategoryColumn, Codes], Codes | str]
) -> tuple[CategoryColumn, Codes] | str:
    """Return the first column that a fault makes a difference to, or why there is none."""
    reason = "No column is a category."
    for column in categories:
        codes = codes_of(column)
        changed = fault(column, codes)
        if isinstance(changed, str):
            reason = changed
        elif changed == codes:
            reason = "It changes no answer of this encoding."
        else:
            return column, changed
    return reason


def _levels_swapped(column: CategoryColumn, codes: Codes) -> Codes | str:
    """Of two levels, each with all its spellings."""
    if len(column.levels) == 1:
        return "No column has two levels."
    first, second = (codes.known[level] for level in column.levels[:2])
    other = {first: second, second: first}
    levels = column.spellings()
    known = {
        text: code if levels[text] is None else other.get(code, code)
        for text, code in codes.known.items()
    }
    return codes._replace(known=known)


def _unknown_as_first(_: CategoryColumn, codes: Codes) -> Codes | str:
    return codes._replace(unknown=0)


def _missing_as_unknown(column: CategoryColumn, codes: Codes) -> Codes | str:
    levels = column.spellings()
    known = {
        text: codes.unknown if levels[text] is None else code for text, code in codes.known.items()
    }
    return codes._replace(known=known, missing=codes.unknown)


_CODE_FAULTS: dict[str, Callable[[CategoryColumn, Codes], Codes | str]] = {
    "two levels swapped": _levels_swapped,
    "unknown taken as the first level": _unknown_as_first,
    "missing taken as unknown": _missing_as_unknown,
}


def _with_codes(
    name: str, model: LinearModel, encoding: Encoding, column: CategoryColumn, codes: Codes
) -> Canary:
    proto = _drawn(model, encoding)
    (encoder,) = (node for node in proto.graph.node if column.name in node.input)
    changed = {"values_int64s": list(codes.known.values()), "default_int64": codes.unknown}
    for attribute in encoder.attribute:
        if attribute.name in changed:
            value = changed[attribute.name]
            attribute.CopyFrom(onnx.helper.make_attribute(attribute.name, value))
    return Canary(
        name=name,
        artifact=proto.SerializeToString(),
        meaning=_meaning(encoding, codes={column.name: codes}),
    )


def _unfilled(model: LinearModel, encoding: Encoding, column: NumberColumn) -> Canary:
    proto = _drawn(model, encoding)
    for node in proto.graph.node:
        if node.op_type == "Where" and column.name in node.input:
            node.input[1] = column.name
    return Canary(
        name="a fill forgotten",
        artifact=proto.SerializeToString(),
        meaning=_meaning(encoding, unfilled=column.name),
    )


def _levels_renamed(
    model: LinearModel, encoding: Encoding, categories: list[CategoryColumn]
) -> Canary:
    """Swap the first levels of a column in what the file says of itself."""
    name = "two levels swapped in what is said"
    found = next((column for column in categories if len(column.levels) > 1), None)
    if found is None:
        return Canary(name=name, skipped="No column has two levels.")
    first, second, *others = found.levels
    renamed = msgspec.structs.replace(found, levels=(second, first, *others))
    said = Encoding(columns=tuple(renamed if c is found else c for c in encoding.columns))
    proto = _drawn(model, encoding)
    del proto.metadata_props[:]
    onnx.helper.set_model_props(
        proto, {METADATA_PREFIX + key: value for key, value in stating(model, said).items()}
    )
    return Canary(name=name, artifact=proto.SerializeToString())


def _drawn(model: LinearModel, encoding: Encoding) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    proto.ParseFromString(onnx_columns.write(model, encoding))
    return proto


def _meaning(
    encoding: Encoding, *, codes: Mapping[str, Codes] | None = None, unfilled: str | None = None
) -> Meaning:
    def meaning(reference: DoubleReference, probe: Probe) -> Expectation:
        assert probe.columns is not None
        dtype = reference.model.dtype
        features = features_of(encoding, probe.columns, dtype, codes=codes, unfilled=unfilled)
        return reference.expect(replace(probe, features=features))

    return meaning
