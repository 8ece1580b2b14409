"""Which runtimes compute in what they state: engines times forms, each held to its proven bound.

    python benchmarks/runtimes.py [--write]

Prints the table of docs/runtimes.md, or writes it there. The figures are each engine's largest
error as a part of what rounding explains, over all probes of one model. An engine that is not here
is left out, with what it needs. Fails if one disagrees that is known to keep its precision.
"""

import argparse
import datetime as dt
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import linexport
from linexport.errors import ArtifactError
from linexport.parity import Certificate, RuntimeResult

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "runtimes"
LIBTORCH = ROOT / "build" / "libtorch"
PAGE = ROOT / "docs" / "runtimes.md"
BEGIN, END = "<!-- written by benchmarks/runtimes.py -->\n", "<!-- until here -->\n"
NODE = 20
"""playwright-core asks for it."""

FORMS: Mapping[str, Mapping[str, Any]] = {
    "float32, folded": {"dtype": "float32", "accumulate": "float32", "form": "folded"},
    "float32, centred": {"dtype": "float32", "accumulate": "float32", "form": "centred"},
    "sum in float64": {"dtype": "float32", "accumulate": "float64", "form": "folded"},
    "float64, folded": {"dtype": "float64", "form": "folded"},
    "float64, centred": {"dtype": "float64", "form": "centred"},
}


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A runtime that is not ours, by the command that predicts with it."""

    command: str
    missing: Callable[[], str]
    """Says what is not here that it needs; empty if nothing."""
    file_name: str = "model.onnx"
    keeps: tuple[str, ...] = tuple(FORMS)
    """The forms that it computes in what they state."""


def missing_node(package: str) -> str:
    if shutil.which("node") is None:
        return f"Node.js {NODE} or later"
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(said.removeprefix("v").split(".")[0]) < NODE:
        return f"Node.js {NODE} or later, this is {said.strip()}"
    return "" if (EXAMPLES / "node_modules" / package).is_dir() else "`make runtimes`, with npm"


def missing_browser() -> str:
    program = os.environ.get("CHROMIUM", "chromium")
    return missing_node("onnxruntime-web") or ("" if shutil.which(program) else "Chromium")


def missing_package(package: str) -> str:
    return "" if find_spec(package) else f"`pip install {package}`"


def missing_compiler() -> str:
    tools = [tool for tool in ("cmake", "c++") if shutil.which(tool) is None]
    return " and ".join(tools)


def python(script: str, *options: str) -> str:
    words = [f"'{sys.executable}' '{EXAMPLES / script}' {{model}} {{input}} {{output}}", *options]
    return " ".join(words)


FLOAT32 = ("float32, folded", "float32, centred")
ENGINES: Mapping[str, Engine] = {
    "onnxruntime-node": Engine(
        command=f"node '{EXAMPLES / 'onnxruntime_node.mjs'}' {{model}} {{input}} {{output}}",
        missing=partial(missing_node, "onnxruntime-node"),
    ),
    "onnxruntime-web": Engine(
        command=f"node '{EXAMPLES / 'onnxruntime_web.mjs'}' {{model}} {{input}} {{output}}",
        missing=missing_browser,
    ),
    "libtorch": Engine(
        command=f"'{LIBTORCH / 'predict'}' {{model}} {{input}} {{output}}",
        missing=missing_compiler,
        file_name="model.pt",
    ),
    "OpenVINO, f32": Engine(
        command=python("openvino_predict.py", "--precision", "f32"),
        missing=partial(missing_package, "openvino"),
        keeps=FLOAT32,
    ),
    "OpenVINO": Engine(
        command=python("openvino_predict.py"),
        missing=partial(missing_package, "openvino"),
        keeps=(),  # that is the processor's affair
    ),
    "tract": Engine(
        command=python("tract_predict.py"),
        missing=partial(missing_package, "tract"),
        keeps=FLOAT32,  # 0.23 refuses a Gemm in float64
    ),
}


def build_libtorch() -> None:
    """Compile the example in C++ against the torch that is installed; seconds if it is there."""
    import torch

    steps = [
        ["cmake", "-S", str(EXAMPLES / "libtorch"), "-B", str(LIBTORCH),
         f"-DCMAKE_PREFIX_PATH={torch.utils.cmake_prefix_path}"],
        ["cmake", "--build", str(LIBTORCH)],
    ]  # fmt: skip
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(step)}:\n{done.stdout}{done.stderr}")


def proof(engine: Engine, bundle: Path) -> Certificate:
    """Return what the check finds; the engine's result is the last.

    Raises:
        ArtifactError: If the engine does not run the file.
    """
    if engine.file_name == "model.pt":
        build_libtorch()
    return linexport.verify(bundle / engine.file_name, reference=bundle, external=engine.command)


Found = RuntimeResult | str
"""What the check says of an engine, or why that does not run the file."""


def asked(engine: Engine, bundle: Path) -> Found:
    try:
        return proof(engine, bundle).runtimes[-1]
    except ArtifactError as error:
        return str(error)


def is_proven(found: Found) -> bool:
    return isinstance(found, RuntimeResult) and found.verdict == "proven"


def write_bundles(directory: Path, forms: Iterable[str] = FORMS) -> dict[str, Path]:
    """Fit one model, and export it in every form: 20 features whose sizes differ, 2 targets."""
    random = np.random.default_rng(11)
    scale = 10.0 ** random.uniform(-2, 3, 20)
    features = scale * random.normal(3, 1, (2000, 20))
    targets = features @ (random.normal(size=(20, 2)) / scale[:, None]) + [50, -3]
    names = [f"x{number}" for number in range(20)], ["first", "second"]
    table = pl.DataFrame(
        np.hstack([features, targets + random.normal(size=targets.shape)]), names[0] + names[1]
    )
    rows = linexport.read_data(table, targets=names[1])
    bundles = {}
    for form in forms:
        bundles[form] = directory / form.replace(", ", "-").replace(" ", "-")
        config = linexport.ExportConfig(**FORMS[form], accept_coarse=True)
        linexport.train_and_export(rows, bundles[form], solver="lstsq", config=config)
    return bundles


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="into docs/runtimes.md")
    given = parser.parse_args()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        bundles = write_bundles(Path(directory))
        rows = [*ours(bundles)]
        for name, engine in ENGINES.items():
            if missing := engine.missing():
                print(f"{name} is left out: it needs {missing}.", file=sys.stderr)
                continue
            found = {form: asked(engine, path) for form, path in bundles.items()}
            rows.append([name, *row(list(found.values()))])
            wrong += [f"{name}, {form}: {found[form]}" for form in engine.keeps
                      if not is_proven(found[form])]  # fmt: skip
    text = table(rows)
    if given.write:
        head, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}{text}{END}{rest.partition(END)[2]}")
    print(text, end="")
    if wrong:
        sys.exit("\n".join(wrong))


def ours(bundles: Mapping[str, Path]) -> Iterator[list[str]]:
    """Yield a row for each runtime that is asked without `--external`."""
    found = [linexport.verify(path).runtimes for path in bundles.values()]
    for name in dict.fromkeys(result.name.split(",")[0] for result in found[0]):
        own = [[r for r in results if r.name.split(",")[0] == name] for results in found]
        yield [name, *row([max(results, key=lambda r: r.worst_fraction) for results in own])]


def row(found: Sequence[Found]) -> list[str]:
    version = next(each.version for each in found if isinstance(each, RuntimeResult))
    return [version, *map(cell, found)]


def cell(found: Found) -> str:
    if isinstance(found, str):
        return "not run"
    if found.failed_by != "answer":
        return found.failed_by or f"{found.worst_fraction:.2f}"
    return f"**{found.worst_fraction:.3g}**" if found.worst_fraction > 1 else "**NaN, infinity**"


def table(rows: Sequence[Sequence[str]]) -> str:
    lines = [
        f"`python benchmarks/runtimes.py --write`, {dt.date.today():%Y-%m-%d}, {processor()}.",
        "",
        "| engine | version | " + " | ".join(FORMS) + " |",
        "|---|---|" + "---:|" * len(FORMS),
        *("| " + " | ".join(each) + " |" for each in rows),
        "",
        "",
    ]
    return "\n".join(lines)


def processor() -> str:
    """Say what kind of processor this is, and which narrow arithmetic it has."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    known = [word for word in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if word in flags]
    return f"on {platform.machine()}" + (f" with {', '.join(known)}" if known else "")


if __name__ == "__main__":
    main()
