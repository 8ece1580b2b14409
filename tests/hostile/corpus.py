"""Files that are made to do harm, each with the reason it must be refused; no bytes by chance.

Usage: corpus.py DIRECTORY writes all of them, to be tried by hand.
"""

import hashlib
import io
import json
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

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
    yield Case(_hole(directory / "hole.json"), "bytes; such a file has at most")


def bundles(directory: Path, good: Path) -> Iterator[Case]:
    """Write bundles of which one file is at fault; the manifest tells the new digests."""
    for name, reason, spoil in _SPOILT_BUNDLES:
        path = directory / name
        shutil.copytree(good, path)
        spoil(path)
        yield Case(path, reason)


def tables(directory: Path) -> Iterator[Case]:
    """Write tables that cannot be read."""
    dates = ("no-calendar.parquet", "out-of-range date|'2147483647' .Date. is not", _no_calendar())
    for name, reason, data in (*_TABLES, dates):
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
    yield "empty-lists.json", "at most 16777216", _empty_lists(28_000_000)
    yield "fewer-empty-lists.json", "hold next to nothing", _empty_lists(14_000_000)
    onnx, torchscript = (good / "model.onnx").read_bytes(), (good / "model.pt").read_bytes()
    yield "not-utf8.onnx", "UTF-8", onnx.replace(b"features", b"\xff" * 8)
    yield "opset-9999.onnx", "opset", _of_opset_9999(onnx)
    yield "outside.onnx", "outside.onnx.data|another file", _with_external_data()
    yield "deflated.pt", "is a program", _deflated(torchscript)
    yield "zeros.pt", "larger unpacked", _zeros(2**24)
    yield "names.pt", "is a program", torchscript.replace(b"/data", b"/\xff\xfe\xfda")
    yield "header.safetensors", "header", (2**40).to_bytes(8, "little") + b"{}"
    yield "names.safetensors", "damaged", _header(b'{"\xff\xfe": {}}')
    yield "deep.safetensors", "damaged", _header(b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}")


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


def _header(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text


def _hole(path: Path, size: int = HOLE) -> Path:
    with path.open("ab") as file:
        file.truncate(size)
    return path


def _edited(bundle: Path, change: Callable[[dict[str, object]], object]) -> None:
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_text(json.dumps(manifest))


def _put(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change a file of a bundle, and list what it is now."""

    def spoil(bundle: Path) -> None:
        data = change((bundle / name).read_bytes())
        (bundle / name).write_bytes(data)
        new = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        _edited(bundle, lambda manifest: manifest["files"][name].update(new))

    return spoil


def _with_hole(name: str) -> Callable[[Path], None]:
    """Let a file of a bundle be a hole of 2 GiB, and list it so."""

    def spoil(bundle: Path) -> None:
        _hole(bundle / name)
        _edited(bundle, lambda manifest: manifest["files"][name].update(bytes=HOLE))

    return spoil


def _manifest(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(bundle: Path) -> None:
        path = bundle / "manifest.json"
        path.write_bytes(change(path.read_bytes()))

    return spoil


def _nest(data: bytes, depth: int) -> bytes:
    return data.replace(b"{", b'{"more": ' + b"[" * depth + b"]" * depth + b",", 1)


_SPOILT_BUNDLES = [
    ("card-hole", "gives README.md", _with_hole("README.md")),
    ("certificate-hole", "gives parity.json", _with_hole("parity.json")),
    ("manifest-hole", "manifest.json has", lambda path: _hole(path / "manifest.json")),
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
    (
        "torchscript-names",
        "byte for byte",
        _put("model.pt", lambda d: d.replace(b"/data", b"/\xff\xfe\xfda")),
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


def model_bundles(directory: Path, good: Path) -> Iterator[Case]:
    """Write bundles that are whole by their digests, and hold artifacts that are not."""
    for name, reason, spoil in _MODELS_OF_BUNDLES:
        path = directory / name
        shutil.copytree(good, path)
        spoil(path)
        yield Case(path, reason)


if __name__ == "__main__":
    where = Path(sys.argv[1])
    where.mkdir(parents=True)
    textbook = Path(__file__).parents[2] / "models" / "textbook"
    for case in (
        *model_files(where, textbook),
        *bundles(where, textbook),
        *model_bundles(where, textbook),
        *tables(where),
    ):
        print(case.path)  # noqa: T201
