"""Files that are made to do harm, each with the reason it must be refused; no bytes by chance.

Usage: python -m hostile.corpus DIRECTORY, which writes all of them, to try by hand.
"""

import hashlib
import io
import json
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hostile.arrow_files import arrow_bombs
from hostile.binary_workbooks import binary_bombs
from hostile.parquet_files import parquet_bombs
from hostile.readers import xgboost_seeds
from hostile.workbooks import workbook_bombs
from relisting import edit, put

if TYPE_CHECKING:
    import numpy as np
    import onnx

HOLE = 2**31 - 2


class Case(NamedTuple):
    """A file or a bundle, and what a message about it must say."""

    path: Path
    reason: str
    """A pattern."""


def model_files(directory: Path, good: Path) -> Iterator[Case]:
    """Write files that are no model.

    Args:
        directory: Where.
        good: A bundle, of which some are made.
    """
    for name, reason, data in _models(good):
        path = directory / name
        path.write_bytes(data)
        yield Case(path, reason)
    (directory / "outside.onnx.data").symlink_to(directory / "opset-9999.onnx")
    yield Case(_hole(directory / "hole.json"), "bytes, more than the")
    for name, head in _HEADS.items():
        path = directory / name
        path.write_bytes(head)
        yield Case(_hole(path), "the disk holds")


def states(directory: Path) -> Iterator[Case]:
    """Write files that are no state."""
    path = directory / "hole.state"
    path.write_bytes(b"linexport state\n")
    yield Case(_hole(path), "the disk holds")


def bundles(directory: Path, good: Path) -> Iterator[Case]:
    """Write bundles of which one file is at fault; the manifest tells the new digests."""
    return _spoilt(directory, good, _SPOILT_BUNDLES)


def _spoilt(
    directory: Path,
    good: Path,
    cases: Iterable[tuple[str, str, Callable[[Path], object]]],
    prefix: str = "",
) -> Iterator[Case]:
    """Write copies of a bundle, each spoilt in a way of its own."""
    for name, reason, spoil in cases:
        path = directory / f"{prefix}{name}"
        shutil.copytree(good, path)
        spoil(path)
        yield Case(path, reason)


def tables(directory: Path) -> Iterator[Case]:
    """Write tables that cannot be read."""
    dates = ("no-calendar.parquet", "out-of-range date|'2147483647' .Date. is not", _no_calendar())
    bombs = (*workbook_bombs(), *binary_bombs(), *arrow_bombs(), *parquet_bombs())
    for name, reason, data in (*_TABLES, dates, *bombs):
        path = directory / name
        path.write_bytes(data)
        yield Case(path, reason)


def _models(good: Path) -> Iterator[tuple[str, str, bytes]]:
    for depth in (500, 700, 900):
        yield f"deep-{depth}.json", "nested", _deep(depth)
    surrogate = b'{"intercept": 0, "coefficients": {"\\ud800": 1}}'
    yield "surrogate-name.json", "no Unicode text", surrogate
    yield "surrogate-field.json", "no part of", _field_of_a_surrogate()
    for part in (b"intercept", b"x1"):
        text = b'{"intercept": 1, "coefficients": {"x1": "two"}}'.replace(part, b"name" * 2000)
        yield f"long-{part.decode()}.json", r"name\.\.\.'", text
    (booster,) = xgboost_seeds()
    yield "long-booster.json", "with trees", booster.replace(b"gblinear", b"name" * 2000)
    yield "long-objective.json", "objective", booster.replace(b"reg:squared", b"name" * 2000)
    yield "empty-lists.json", "the 16777216 allowed", _empty_lists(28_000_000)
    yield "fewer-empty-lists.json", "hold next to nothing", _empty_lists(14_000_000)
    onnx, torchscript = (good / "model.onnx").read_bytes(), (good / "model.pt").read_bytes()
    yield "not-utf8.onnx", "UTF-8", onnx.replace(b"features", b"\xff" * 8)
    yield "opset-9999.onnx", "opset", _of_opset_9999(onnx)
    yield "outside.onnx", "outside.onnx.data|another file", _with_external_data()
    yield "empty-nodes.onnx", "more parts than", _empty_nodes(5_000_000)
    for name, pickled in _PICKLES.items():
        yield f"{name}.pt", "not a file of tensors", _stored(pickled)
        yield f"{name}.bin", "not a file of tensors", _before_zip(pickled)
    yield "deflated.pt", "is a program", _deflated(torchscript)
    yield "zeros.pt", "larger unpacked", _zeros(2**24)
    yield "names.pt", "is a program", torchscript.replace(b"/data", b"/\xff\xfe\xfda")
    yield "header.safetensors", "header", (2**40).to_bytes(8, "little") + b"{}"
    yield "names.safetensors", "damaged", _header(b'{"\xff\xfe": {}}')
    yield "deep.safetensors", "damaged", _header(b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}")


def _header(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text


_NUMBERS = (HOLE - 200) // 4
_TENSOR = '{"weight": {"dtype": "F32", "shape": [1, %d], "data_offsets": [0, %d]}}'
_HEADS = {
    "hole.onnx": b"\x08\x07\x3a\xf0\xff\xff\xff\x07",  # a graph of all that follows
    "hole.safetensors": _header((_TENSOR % (_NUMBERS, 4 * _NUMBERS)).encode()),
    "hole.pt": b"",
    "hole.bin": b"",
}
"""What a file begins with that is a hole of 2 GiB."""
_PICKLES = {
    "bytearray": b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\x00\x94\x35\x77\x00\x85R.",  # of 2 GB
    # A tuple of the one before, twice; a dict asks for its hash, which takes 2**32 steps.
    "tuples": b"\x80\x02}K\x01\x85q\x00"
    + b"".join(b"h%c\x86q%c" % (n, n + 1) for n in range(32))
    + b"K\x01s.",
    "lists": b"\x80\x02(" + b"]" * 2**20 + b"l.",
    "punycode": b"\x80\x02c_codecs\nencode\nX\x40\x9c\x00\x00"
    + "\u0100\u1000".encode() * 8000
    + b"X\x08\x00\x00\x00punycode\x86R.",
}


def _stored(pickled: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3")
    return file.getvalue()


def _before_zip(pickled: bytes) -> bytes:
    """As PyTorch before 1.6 would have written it."""
    sizes = {"short": 2, "int": 4, "long": 4}
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}
    first = (0x1950A86A20F9469CFC6C, 1001, system)
    before, after = (b"".join(pickle.dumps(part, 2) for part in parts) for parts in (first, ([],)))
    return before + pickled + after


def _empty_nodes(size: int) -> bytes:
    """Return an ONNX file whose graph has a node in every two bytes."""
    graph = b"\x0a\0" * (size // 2)
    length = bytes([*(len(graph) >> bits & 127 | 128 for bits in (0, 7, 14)), len(graph) >> 21])
    return b"\x08\x07\x3a" + length + graph + b"\x42\x04\x0a\0\x10\x0d"


def _deep(depth: int) -> bytes:
    inner = b'{"a": ' * depth + b"1" + b"}" * depth
    return b'{"intercept": 0, "coefficients": ' + inner + b"}"


def _field_of_a_surrogate() -> bytes:
    return b'{"\\udfff": 0, "coefficients": {"a": 1}}'


def _empty_lists(size: int) -> bytes:
    return b"[" + b"[]," * (size // 3) + b"[]]"


def _of_opset_9999(data: bytes) -> bytes:
    import onnx

    model = onnx.load_from_string(data)
    model.opset_import[0].version = 9999
    return bytes(model.SerializeToString())


def _with_external_data() -> bytes:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.ones((2, 1), np.float32), "w")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="outside.onnx.data")
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", w]) for n, w in ("x2", "y1"))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weight]
    )
    return bytes(onnx.helper.make_model(graph).SerializeToString())


def _deflated(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        return _archive({name: old.read(name) + bytes(2**16) for name in old.namelist()})


def _zeros(size: int) -> bytes:
    return _archive({"archive/data.pkl": b"\x80\x02}.", "archive/data/0": bytes(size)})


def _archive(records: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, record in records.items():
            archive.writestr(name, record)
    return file.getvalue()


def _hole(path: Path, size: int = HOLE) -> Path:
    with path.open("ab") as file:
        file.truncate(size)
    return path


def _put(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change a file of a bundle, and list what it is now."""

    def spoil(bundle: Path) -> None:
        put(bundle, name, change((bundle / name).read_bytes()))

    return spoil


def _with_hole(name: str) -> Callable[[Path], None]:
    """Let a file of a bundle be a hole of 2 GiB, and list it so."""

    def spoil(bundle: Path) -> None:
        _hole(bundle / name)
        edit(bundle, lambda manifest: manifest["files"][name].update(bytes=HOLE))

    return spoil


def _manifest(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(bundle: Path) -> None:
        path = bundle / "manifest.json"
        path.write_bytes(change(path.read_bytes()))

    return spoil


def _nest(data: bytes, depth: int) -> bytes:
    return data.replace(b"{", b'{"more": ' + b"[" * depth + b"]" * depth + b",", 1)


def _more(data: bytes, value: bytes, size: int) -> bytes:
    """Put a list of a value into a manifest."""
    values = b",".join([value] * (size // len(value)))
    return data.replace(b"{", b'{"more": [' + values + b"],", 1)


def _with_digests(data: bytes) -> bytes:
    """Have a proof speak of very many files."""
    entries = ",".join(f'"{number}":""' for number in range(270_000))
    return data.replace(b'"artifacts": {', b'"artifacts": {' + entries.encode() + b",", 1)


_SPOILT_BUNDLES = [
    ("card-hole", "gives README.md", _with_hole("README.md")),
    ("certificate-hole", "gives parity.json", _with_hole("parity.json")),
    ("manifest-hole", "manifest.json has", lambda path: _hole(path / "manifest.json")),
    ("artifact-hole", "gives model.onnx", _with_hole("model.onnx")),
    ("manifest-long", "more than the 1622016", _manifest(lambda d: _more(d, b'" "', 1_700_000))),
    ("manifest-lists", "more than a model needs", _manifest(lambda d: _more(d, b"[]", 400_000))),
    ("manifest-values", "more than a model needs", _manifest(lambda d: _more(d, b"0", 700_000))),
    (
        "certificate-lists",
        "parity.json holds more",
        _put("parity.json", lambda d: _more(d, b"[]", 90_000)),
    ),
    ("certificate-digests", "parity.json holds more", _put("parity.json", _with_digests)),
    ("weights-hole", "gives weights.safetensors", _with_hole("weights.safetensors")),
    ("deep", "manifest.json is not", _manifest(lambda data: _nest(data, 9000))),
    ("surrogate", "manifest.json is not", _manifest(lambda d: d.replace(b'"x1"', b'"\\ud800"', 1))),
    ("latin", "manifest.json is not", _manifest(lambda d: d.replace(b'"x1"', b'"\xe9"', 1))),
]

_MODELS_OF_BUNDLES = [
    ("onnx-not-utf8", "UTF-8", _put("model.onnx", lambda d: d.replace(b"features", b"\xff" * 8))),
    ("onnx-opset", "opset", _put("model.onnx", _of_opset_9999)),
    ("onnx-empty", "not an ONNX file", _put("model.onnx", lambda _: b"")),
    ("certificate-deep", "parity.json", _put("parity.json", lambda d: _nest(d, 9000))),
    (
        "certificate-latin",
        "parity.json",
        _put("parity.json", lambda d: d.replace(b'"x1"', b'"\xe9"', 1)),
    ),
]

_TABLES = [
    ("nul.csv", "not a text", b"a\0,b\n1,2\n"),
    ("latin.csv", "UTF-8", b"x1,x2,y\n\xe9,2,1\n"),
    ("quote.csv", "quote", b'x1,x2,y\n"1,2,3\n'),
    ("cut.parquet", "footer", b"PAR1" + bytes(8) + b"\xff\xff\xff\x7fPAR1"),
    ("not.parquet", "footer", b"PAR1"),
    ("not.arrow", "cannot be read", b"ARROW1\0\0" + b"\xff" * 64),
    ("not.xlsx", "Zip", b"PK\x03\x04" + bytes(60)),
    ("deep.jsonl", "nested more than 16 deep", b'{"x1": ' + b"[" * 900 + b"]" * 900 + b"}\n"),
    ("cut.csv.gz", "gzip", b"\x1f\x8b\x08" + bytes(20)),
    ("cut.csv.xz", "xz", b"\xfd7zXZ\0" + bytes(30)),
]


def _no_calendar() -> bytes:
    import polars as pl

    last = pl.Series("x1", [2**31 - 1], dtype=pl.Int32).cast(pl.Date)
    file = io.BytesIO()
    pl.DataFrame([last, pl.Series("x2", [2.0]), pl.Series("y", [3.0])]).write_parquet(file)
    return file.getvalue()


def _graph(*nodes: "onnx.NodeProto", **constants: "np.ndarray") -> bytes:
    """Return an ONNX file of nodes behind the product `line`, with what that needs."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    weight = np.array([[2], [-3.4]], np.float32)
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
        for name, width in (("features", 2), ("prediction", 1))
    )
    first = helper.make_node("MatMul", ["features", "weight"], ["line"])
    arrays = {"weight": weight, **constants}
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph([first, *nodes], "g", [x], [y], tensors)
    opset = helper.make_opsetid("", 13)
    return bytes(helper.make_model(graph, opset_imports=[opset], ir_version=7).SerializeToString())


def _large_graphs() -> Iterator[tuple[str, str, bytes]]:
    """Yield graphs of a few hundred bytes that make gigabytes, or take minutes, where they run."""
    import numpy as np
    from onnx.helper import make_node

    wide, largest = np.array([1, 10**9]), make_node("ReduceMax", ["e"], ["prediction"], axes=[1])
    doubled = [make_node("Concat", [f"s{n}"] * 2, [f"s{n + 1}"], axis=0) for n in range(24)]
    lists = [
        make_node("Shape", ["features"], ["s0"]), *doubled,
        make_node("Cast", ["s24"], ["e"], to=1), largest,
    ]  # fmt: skip
    same = [make_node("Concat", [f"c{n}"] * 2, [f"c{n + 1}"], axis=1) for n in range(23)]
    hidden = make_node("Abs", ["wide"], ["shape"])  # onnx does not look through it
    yield "doubled", "numbers of each row", _graph(
        make_node("Identity", ["line"], ["c0"]), *same,
        make_node("ReduceMax", ["c23"], ["prediction"], axes=[1]),
    )  # fmt: skip
    yield "lists", "lists without end", _graph(*lists)
    for operator, given in (("Expand", ["line", "shape"]), ("ConstantOfShape", ["shape"])):
        yield (
            operator.lower(),
            "does not say how many numbers",
            _graph(hidden, make_node(operator, given, ["e"]), largest, wide=wide),
        )
    yield "rows", "combines rows", _graph(
        make_node("Transpose", ["line"], ["turned"]),
        make_node("MatMul", ["line", "turned"], ["e"]), largest,
    )  # fmt: skip
    square = np.eye(400, dtype=np.float32)
    powers = [make_node("MatMul", [f"p{n}", "square"], [f"p{n + 1}"]) for n in range(100)]
    yield "products", "numbers of each row", _graph(
        make_node("MatMul", ["line", "first"], ["p0"]), *powers,
        make_node("MatMul", ["p100", "last"], ["prediction"]),
        first=np.ones((1, 400), np.float32), square=square, last=np.ones((400, 1), np.float32),
    )  # fmt: skip


def graph_bundles(directory: Path, good: Path) -> Iterator[Case]:
    """Write bundles whose graph takes too much; all digests are right, those of the proof too."""
    cases = [
        (name, reason, _forge("model.onnx", lambda _, data=data: data))
        for name, reason, data in _large_graphs()
    ]
    return _spoilt(directory, good, cases, "graph-")


def _forge(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change an artifact of a bundle, and have manifest and proof speak of what it is now."""

    def spoil(bundle: Path) -> None:
        _put(name, change)(bundle)
        proof = json.loads((bundle / "parity.json").read_bytes())
        proof["artifacts"][name] = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
        _put("parity.json", lambda _: json.dumps(proof).encode())(bundle)

    return spoil


def forged_bundles(directory: Path, good: Path) -> Iterator[Case]:
    """Write bundles of which every digest is right, those of the proof too; their ONNX is not."""
    cases = [(name, reason, _forge("model.onnx", change)) for name, reason, change in _FORGED]
    return _spoilt(directory, good, cases, "forged-")


_FORGED = [
    ("not-utf8", "UTF-8", lambda d: d.replace(b"features", b"\xff" * 8)),
    ("names-not-utf8", "UTF-8", lambda d: d.replace(b"x1", b"\xff\xfe")),
    ("opset", "opset", _of_opset_9999),
    ("empty", "not an ONNX file", lambda _: b""),
    ("nodes", "more parts than", lambda _: _empty_nodes(4_000_000)),
]


def told_bundles(directory: Path, good: Path) -> Iterator[Case]:
    """Write bundles of which every digest is right, and what only `verify` asks for is not."""
    return _spoilt(directory, good, _TOLD, "told-")


def _with_features(told: str, data: bytes) -> bytes:
    import onnx

    model = onnx.load_from_string(data)
    for entry in model.metadata_props:
        if entry.key == "linexport.features":
            entry.value = told
    return bytes(model.SerializeToString())


_TOLD = [
    ("deep", "columns are damaged", _forge("model.onnx", partial(_with_features, "[" * 9000))),
    (
        "surrogate",
        "columns are damaged",
        _forge("model.onnx", partial(_with_features, '[{"name": "\\ud800"}]')),
    ),
    (
        "torchscript-names",
        "byte for byte",
        _forge("model.pt", lambda d: d.replace(b"/data", b"/\xff\xfe\xfda")),
    ),
]


def model_bundles(directory: Path, good: Path) -> Iterator[Case]:
    """Write bundles that are whole by their digests, and hold artifacts that are not."""
    return _spoilt(directory, good, _MODELS_OF_BUNDLES)


if __name__ == "__main__":
    where = Path(sys.argv[1])
    where.mkdir(parents=True)
    textbook = Path(__file__).parents[2] / "models" / "textbook"
    for case in (
        *model_files(where, textbook),
        *bundles(where, textbook),
        *model_bundles(where, textbook),
        *graph_bundles(where, textbook),
        *forged_bundles(where, textbook),
        *told_bundles(where, textbook),
        *states(where),
        *tables(where),
    ):
        print(case.path)
