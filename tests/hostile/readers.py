"""Every reader of bytes that a stranger may have made, at its door, with good bytes to begin from.

A reader takes bytes, and returns or raises one of our errors; anything else is a fault of ours.
What is chosen beside a file, as a dialect is, is chosen by the first bytes.
"""

import asyncio
import gzip
import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from hostile.binary_workbooks import xls, xlsb
from hostile.workbooks import small_workbooks
from relisting import put

TESTS = Path(__file__).parents[1]
TEXTBOOK = TESTS.parent / "models" / "textbook"
Read = Callable[[bytes], object]


class Reader(NamedTuple):
    """A door to a parser."""

    read: Read
    seeds: Sequence[bytes]


def _of_file(path: Path, door: Callable[[Path], object]) -> Read:
    def read(data: bytes) -> object:
        path.write_bytes(data)
        return door(path)

    return read


_LARGEST_EXPORTED = 1000
"""Coefficients of what is read; more of them cost the exporter time, which is not the reader's."""


def _model(suffix: str, seeds: Callable[[], list[bytes]]) -> Callable[[Path], Reader]:
    """Return what makes the reader of a model's files. What it reads is exported, and proven."""

    def make(directory: Path) -> Reader:
        from linexport import ExportConfig, export, read_model

        config = ExportConfig(formats=("onnx",))

        def read(path: Path) -> object:
            found = read_model(path)
            if found.model.weight.size <= _LARGEST_EXPORTED:
                bundle = directory / "bundle"
                exported = export(found, bundle, config=config, overwrite=bundle.exists())
                assert exported.certificate.verdict != "disagrees"
            return found

        return Reader(_of_file(directory / f"model{suffix}", read), seeds())

    return make


def _onnx_inspection(directory: Path) -> Reader:
    from linexport import inspect

    def shown(path: Path) -> str:
        return str(inspect(path))

    return Reader(_of_file(directory / "model.onnx", shown), _onnx_seeds())


_ML = {"domain": "ai.onnx.ml"}


def _onnx_seeds() -> list[bytes]:
    """Return what we write, and graphs of others: of their tools, of each operator, of many."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper
    from sources.random_graphs import grown

    def graph(nodes, inputs, **constants) -> bytes:
        made = helper.make_graph(
            [
                helper.make_node(op, given, [out], **attributes)
                for op, given, out, attributes in nodes
            ],
            "g",
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, w]) for n, w in inputs],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, [None, None])],
            [numpy_helper.from_array(np.asarray(c), n) for n, c in constants.items()],
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
        return bytes(helper.make_model(made, opset_imports=opsets).SerializeToString())

    ones, eye = np.ones((2, 1), np.float32), np.eye(2, dtype=np.float32)
    joined = [("Concat", ["a", "b"], "ab", {"axis": 1}), ("MatMul", ["ab", "w"], "out", {})]
    gemm = ("Gemm", ["x", "w"], "h", {"transB": 1, "alpha": 0.5})
    reshaped = [gemm, ("Reshape", ["h", "s"], "r", {}), ("Slice", ["r", "f", "t", "e"], "out", {})]
    scaler = ("Scaler", ["x"], "z", {"offset": [1.0, 2.0], "scale": [2.0, 1.0]} | _ML)
    linear = _ML | {"coefficients": [1.0, 2.0], "intercepts": [3.0], "targets": 1}
    normal = ("BatchNormalization", ["x", "m", "m", "m", "v"], "n", {"epsilon": 1e-5})
    rows = np.array([0, 1])
    many = [grown(seed, curved=False)[0].SerializeToString() for seed in range(24)]
    tools = (TESTS / "sources" / "graphs").glob("*.onnx")
    return [
        (TEXTBOOK / "model.onnx").read_bytes(),
        *(path.read_bytes() for path in sorted(tools)),
        *many,
        graph(joined, [("a", 1), ("b", 1)], w=ones),
        graph(reshaped, [("x", 2)], w=eye, s=np.array([-1, 2]), f=rows[:1], t=rows[1:], e=rows[1:]),
        graph([scaler, ("LinearRegressor", ["z"], "out", linear)], [("x", 2)]),
        graph([normal, ("Transpose", ["n"], "t", {}), ("Transpose", ["t"], "out", {})], [("x", 2)],
              m=ones[:, 0], v=ones[:, 0]),
        graph([("Gather", ["x", "i"], "g", {"axis": 1}), ("ReduceSum", ["g", "i1"], "out", {}),
               ], [("x", 2)], i=rows, i1=rows[1:]),
    ]  # fmt: skip


def _weights(directory: Path) -> Reader:
    """The numbers of a bundle."""
    from linexport._files import parsing
    from linexport.bundle._reader import decode_weights

    def read(data: bytes) -> object:
        with parsing():
            return decode_weights(data)

    return Reader(read, _safetensors_seeds())


def _safetensors_seeds() -> list[bytes]:
    import numpy as np
    from safetensors.numpy import save

    half = {"layer.weight": np.ones((2, 3), np.float16), "layer.bias": np.ones(2, np.float16)}
    wide = {"weight": np.ones((1, 2)), "bias": np.ones(1), "mean": np.ones(2), "scale": np.ones(2)}
    return [(TEXTBOOK / "weights.safetensors").read_bytes(), save(half), save(wide)]


def _bundle(name: str) -> Callable[[Path], Reader]:
    """Return what makes the reader of a file of a bundle, whose manifest lists what it is.

    What is shown is loaded, too, and predicts.
    """

    def make(directory: Path) -> Reader:
        from linexport import inspect, load

        for file in TEXTBOOK.iterdir():
            (directory / file.name).write_bytes(file.read_bytes())

        def read(data: bytes) -> object:
            if name == "manifest.json":
                (directory / name).write_bytes(data)
            else:
                put(directory, name, data)
            str(inspect(directory))  # what is shown of it
            return load(directory).predict([[1.5, 2.0]])

        return Reader(read, [(TEXTBOOK / name).read_bytes()])

    return make


def _coefficients_seeds() -> list[bytes]:
    return [
        b'{"intercept": 4.2, "coefficients": {"x1": 2.0, "x2": -3.4}}',
        b'{"(Intercept)": 4.2, "x1": 2.0, "x2": -3}',
        b'[{"term": "(Intercept)", "estimate": 1.5}, {"term": "x", "estimate": -2e-3}]',
        b'{"weight": [[1, 2]], "bias": [0.5]}',
        b'{"intercept": [1, 2], "coefficients": [[1, 2], [3, 4]]}',
        b'{"a": {"intercept": 1, "coefficients": {"x": 1}}, "b": {"intercept": 0, '
        b'"coefficients": {"x": 2}}}',
    ]  # fmt: skip


def xgboost_seeds() -> list[bytes]:
    stated = {"num_feature": "2", "base_score": "[5E-1]", "num_class": "0"}
    weights = {"weights": [1.5, -2.0, 0.25], "boosted_rounds": 3}
    learner = {
        "learner_model_param": stated,
        "feature_names": ["x1", "x2"],
        "gradient_booster": {"name": "gblinear", "model": weights},
        "objective": {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}},
    }
    return [json.dumps({"learner": learner, "version": [3, 2, 0]}).encode()]


def _state_dict_seeds() -> list[bytes]:
    """Return files of both kinds that torch writes, and a checkpoint."""
    import torch
    from torch import nn

    state = nn.Linear(2, 1).state_dict()
    checkpoint = {"epoch": 3, "state_dict": state, "args": {"lr": 0.1, "on": [True, None]}}
    files = [io.BytesIO() for _ in range(3)]
    torch.save(state, files[0])
    torch.save(state, files[1], _use_new_zipfile_serialization=False)
    torch.save(checkpoint, files[2])
    return [file.getvalue() for file in files]


def _pickle(directory: Path) -> Reader:
    """The pickle in an archive that is whole, whose checksums would refuse nearly all else."""
    from linexport import read_model

    good = [zipfile.ZipFile(io.BytesIO(data)) for data in _state_dict_seeds()[::2]]
    (name,) = (name for name in good[0].namelist() if name.endswith("data.pkl"))
    others = {each: good[0].read(each) for each in good[0].namelist() if each != name}

    def archived(data: bytes) -> object:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(name, data)
            for other, content in others.items():
                archive.writestr(other, content)
        return _of_file(directory / "model.pt", read_model)(file.getvalue())

    pickles = [each.read(name) for each in good]
    return Reader(archived, [*pickles, pickle.dumps({"weight": [1.0, 2], "bias": {"a": None}}, 2)])


_LONGEST_BODY = 1 << 20


def _state(directory: Path) -> Reader:
    """A state's header, and numbers cut or filled up to what it asks for; a model is made of it.

    Lengths and the digest, by which nearly all else is refused, are made anew.
    """
    import msgspec

    from linexport import State
    from linexport._files import parsing
    from linexport.errors import LinexportError
    from linexport.training import _state_bytes

    rows = _of_file(directory / "rows.csv", State(targets=["y"]).update)
    kinds = _of_file(directory / "kinds.csv", State(targets=["y"], categorical=["k"]).update)
    states = [rows(_ROWS), kinds(b"x,k,y\n1,a,2\n2,b,4\n3,a,1\n"), State(targets=["y"])]
    start = len(_state_bytes._MAGIC) + 8

    def read(data: bytes) -> object:
        header, _, body = data.partition(b"\0")
        with suppress(LinexportError), parsing():
            told = msgspec.json.decode(header, type=_state_bytes._Header)
            length = sum(_state_bytes._lengths(told.parts, told.sums)) if told.sums else 0
            body = body.ljust(length, b"\0")[:length] if 0 <= length <= _LONGEST_BODY else body
        content = _state_bytes._MAGIC + len(header).to_bytes(8, "little") + header + body
        return State.from_bytes(content + hashlib.sha256(content).digest()).fit()

    def opened(state: State) -> bytes:
        data = state.to_bytes()
        stop = start + int.from_bytes(data[start - 8 : start], "little")
        return data[start:stop] + b"\0" + data[stop : -_state_bytes._DIGEST_BYTES]

    return Reader(read, [opened(state) for state in states])


_ROWS = b"x1,x2,y\n1,2,3\n2,1,4\n3,5,1\n0,1,1\n"
_TEXTS = [
    _ROWS,
    b'x1,x2,y\n1,2,3\n4.5,"6",7e-3\n,NA,true\n',
    b"x1;x2;y\n1,5;2;3\n# a note\n4;5;6\n",
    '\ufeffname\twhen\n\u00e9\t2024-01-31\n"a\n b"\t\n'.encode(),
]


def _table(path: Path, **choices: object) -> Read:
    """Return what reads a table twice: as any values, and to train on, in one of three ways."""
    from linexport import Dialect, State, describe

    def read(table: Path) -> object:
        dialect = Dialect(**choices) if choices else None
        found = describe(table, dialect=dialect)
        usable = [column.name for column in found.columns if column.is_usable]
        first, last = found.columns[0].name, found.columns[-1].name
        way = table.stat().st_size % 3
        state = State(targets=[first])
        if way == 1 and len(usable) > 1:
            state = State(targets=usable[:1], features=usable[1:], missing="drop")
        elif way == 2 and first != last:
            state = State(targets=[last], categorical=[first])
        return state.update(str(table), dialect=dialect)

    return _of_file(path, read)


def _tables(suffix: str, seeds: Callable[[], list[bytes]]) -> Callable[[Path], Reader]:
    return lambda directory: Reader(_table(directory / f"table{suffix}"), seeds())


_DIALECTS: dict[str, Sequence[object]] = {
    "delimiter": (None, ";", ",", "\t", "whitespace", "|", " "),
    "decimal": (".", ","),
    "thousands": (None, " ", "'", ",", "_", "."),
    "strip": ("", "$,%", "kg", "-"),
    "null_values": (None, ("-",), ("0,NA", "n/a"), ("",)),
    "date_order": (None, "dmy", "mdy"),
    "comment": (None, "#", "//", "1"),
    "skip_rows": (0, 1, 3),
    "skip_rows_after_header": (0, 1),
    "header": (True, False),
}


def _dialects(directory: Path) -> Reader:
    """CSV in a dialect: a byte chooses each of its settings, the rest is the file."""

    def read(data: bytes) -> object:
        chosen = data[: len(_DIALECTS)].ljust(len(_DIALECTS), b"\0")
        choices = {
            name: options[byte % len(options)]
            for (name, options), byte in zip(_DIALECTS.items(), chosen, strict=True)
        }
        return _table(directory / "table.csv", **choices)(data[len(_DIALECTS) :])

    starts = [bytes(9), b"\1\1\0\0\0\1\0\0\0", b"\4\0\0\1\1\0\0\0\0", b"\3\1\5\1\2\0\1\1\1"]
    return Reader(read, [start + text for start in starts for text in _TEXTS])


_ENCODINGS = (
    "utf-16", "cp1252", "utf-8-sig", "utf-16-le", "utf-32", "shift_jis", "gb18030", "utf-7",
    "iso2022_jp", "hz", "big5hkscs", "cp037", "koi8-r", "ascii", "idna", "punycode",
    "unicode_escape", "raw_unicode_escape",
)  # fmt: skip


def _encodings(directory: Path) -> Reader:
    """CSV in an encoding that the first byte chooses."""

    def read(data: bytes) -> object:
        encoding = _ENCODINGS[data[0] % len(_ENCODINGS)] if data else "utf-16"
        return _table(directory / "table.csv", encoding=encoding)(data[1:])

    texts = [text.decode("utf-8-sig") for text in _TEXTS]
    return Reader(
        read,
        [
            bytes([number]) + text.encode(name, "replace")
            for number, name in enumerate(_ENCODINGS[:14])
            for text in texts
        ],
    )


_WORKBOOKS = (".xlsx", ".xls", ".xlsb")


def _workbooks(directory: Path) -> Reader:
    """Workbooks of a kind that the first byte chooses."""

    def read(data: bytes) -> object:
        suffix = _WORKBOOKS[data[0] % len(_WORKBOOKS)] if data else ".xlsx"
        return _table(directory / f"table{suffix}")(data[1:])

    cells = [(row, column, row + column / 2) for row in (1, 2, 3) for column in (0, 1)]
    return Reader(
        read,
        [
            *(b"\0" + each for each in small_workbooks()),
            b"\1" + xls(cells),
            b"\2" + xlsb(cells),
        ],
    )


_COMPRESSED = (".gz", ".zst", ".bz2", ".xz")


def _compressed(directory: Path) -> Reader:
    """Compressed CSV; the first byte chooses by what."""
    import bz2
    import lzma

    from backports import zstd

    def read(data: bytes) -> object:
        suffix = _COMPRESSED[data[0] % len(_COMPRESSED)] if data else ".gz"
        return _table(directory / f"table.csv{suffix}")(data[1:])

    packers = gzip.compress, zstd.compress, bz2.compress, lzma.compress
    seeds = [bytes([number]) + pack(_TEXTS[0]) for number, pack in enumerate(packers)]
    return Reader(read, [*seeds, seeds[0] + gzip.compress(_TEXTS[1])])


def _json_lines_seeds() -> list[bytes]:
    return [
        b'{"x1": 1, "x2": [1, {"a": null}], "y": "2.5"}\n{"x1": true, "y": 1e5}\n',
        b'{"y": 1, "x": 2}\n{"x": 3.5}\n\n{"y": -0, "x": "NA", "z": "\\u00e9"}\n',
    ]


def _frames(method: str, **options: object) -> list[bytes]:
    import datetime as dt

    import polars as pl

    file, small = io.BytesIO(), io.BytesIO()
    days = [dt.date(2024, 1, day) for day in (1, 2, 3)]
    frame = pl.DataFrame(
        {"x1": [1.5, None, 3.0], "name": ["a", "b", "a"], "d": days, "y": [1, 2, 3]}
    )
    nested = frame.with_columns(pl.struct("x1", "y").alias("s"), pl.concat_list("x1").alias("l"))
    getattr(nested.cast({"name": pl.Categorical}), method)(file, **options)
    getattr(frame.select("y", "x1"), method)(small, **options)
    return [file.getvalue(), small.getvalue()]


_ADDRESSES = (
    "/v2/models/plain/infer", "/v2/models/plain/rows", "/v1/models/plain:predict",
    "/v2/models/kinds/infer", "/v2/models/kinds/rows", "/v1/models/kinds:predict",
    "/v2/models/plain/rows?interval=0.9",
)  # fmt: skip


def _requests(directory: Path) -> Reader:
    """A request's body; the first bytes choose the address, compression and the JSON's length."""
    from serving.asking import Exchange, scope_of

    from linexport import Limits, State, load
    from linexport.errors import DataError
    from linexport.serving import ServedModel
    from linexport.serving._application import Application
    from linexport.serving._log import Log
    from linexport.serving._metrics import Metrics

    class Loud(Log):
        def failure(self, path: str, error: BaseException) -> None:
            raise error

    rows = directory / "rows.csv"
    rows.write_text("x,k,y\n1,a,2\n2,b,4\n3,a,1\n5,b,2\n2,a,2\n")
    kinds = State(targets=["y"], categorical=["k"]).update(str(rows)).fit()
    predictors = {"plain": load(TEXTBOOK), "kinds": load(kinds)}
    application = Application(
        [ServedModel(name=name, version="1", predictor=each) for name, each in predictors.items()],
        version="1", limits=Limits(), log=Loud(len), metrics=Metrics(),
    )  # fmt: skip
    loop = asyncio.new_event_loop()

    def read(data: bytes) -> object:
        head, body = data[:3].ljust(3, b"\0"), data[3:]
        headers = [("content-length", len(body))]
        headers += [("content-encoding", ("gzip", "deflate")[head[1] % 2])] * (head[1] % 4 > 1)
        headers += [("inference-header-content-length", head[2])] * bool(head[2])
        exchange = Exchange([body])
        address = _ADDRESSES[head[0] % len(_ADDRESSES)]
        application.loop = loop
        loop.run_until_complete(application.handle(scope_of("POST", address, headers), exchange))
        assert exchange.response is not None
        if exchange.response.status != 200:
            raise DataError(exchange.response.error)
        return exchange.response.json

    return Reader(read, _request_seeds())


def _request_seeds() -> list[bytes]:
    def tensor(**changed: object) -> bytes:
        told = {"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1.5, 2]} | changed
        return json.dumps({"inputs": [told], "id": "a"}).encode()

    binary = tensor(data=[], parameters={"binary_data_size": 8}).replace(b'"data": [], ', b"")
    strings = tensor(name="k", datatype="BYTES", shape=[1, 1], data=["a"])
    return [
        b"\0\0\0" + tensor(),
        b"\0\0\0" + tensor(datatype="INT64", data=[[1, 2]]),
        b"\0\0" + bytes([len(binary)]) + binary + bytes(8),
        b"\0\2\0" + gzip.compress(tensor()),
        b"\1\0\0" + b'[{"x1": 1, "x2": null}, {"x1": NaN, "x2": 2}]',
        b"\2\0\0" + b'{"instances": [[1, 2], {"x1": 3, "x2": 4}]}',
        b"\3\0\0" + strings,
        b"\4\0\0" + b'{"x": 1, "k": "b"}',
        b"\6\0\0" + b'[[1, 2], [3, 1e400]]',
    ]  # fmt: skip


READERS: dict[str, Callable[[Path], Reader]] = {
    "onnx": _model(".onnx", _onnx_seeds),
    "onnx-inspection": _onnx_inspection,
    "safetensors": _model(".safetensors", _safetensors_seeds),
    "weights": _weights,
    "manifest": _bundle("manifest.json"),
    "certificate": _bundle("parity.json"),
    "coefficients": _model(".json", _coefficients_seeds),
    "xgboost": _model(".json", xgboost_seeds),
    "state-dict": _model(".pt", _state_dict_seeds),
    "pickle": _pickle,
    "state": _state,
    "csv": _tables(".csv", lambda: _TEXTS),
    "dialects": _dialects,
    "encodings": _encodings,
    "compressed": _compressed,
    "json-lines": _tables(".jsonl", _json_lines_seeds),
    "excel": _workbooks,
    "parquet": _tables(".parquet", lambda: _frames("write_parquet")),
    "arrow": _tables(
        ".arrow", lambda: _frames("write_ipc") + _frames("write_ipc", compression="lz4")
    ),
    "request": _requests,
}
"""By name, what makes a reader, given a directory for its files. Nothing is loaded before."""
