"""linexport verify --external: a runtime of the user's own, in a process."""

import json
import os
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import linexport

NUMBERS = {"weight": np.array([[3.1, -0.8, 0.3], [1e-3, 7.0, 2.0]]), "bias": np.array([40.0, -1.0])}
OTHERS = "pytorch, torchscript, onnxruntime, onnx reference"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("external") / "bundle"
    linexport.export(linexport.LinearModel.from_arrays(NUMBERS), path)
    return path


@pytest.fixture
def program(tmp_path):
    """A runtime in a file: evaluates the model's initializers, and does more or something else."""

    def write(*, before="", after="", name="my runtime.py"):
        script = tmp_path / name
        lines = ["import sys", "from pathlib import Path", "import numpy as np",
                 "model, given, wanted = map(Path, sys.argv[1:])", "x = np.load(given)",
                 f"log = Path({str(tmp_path / 'calls')!r}).open('a')",
                 "print(len(x), x.dtype, model.name, file=log, flush=True)"]  # fmt: skip
        predict = (
            "import onnxruntime\n"
            "session = onnxruntime.InferenceSession(str(model))\n"
            "y = session.run(None, {session.get_inputs()[0].name: x})[0]"
        )
        parts = ["\n".join(lines), textwrap.dedent(before), predict, textwrap.dedent(after)]
        script.write_text("\n".join([*parts, "np.save(wanted, y)"]))
        return f"'{sys.executable}' '{script}' {{model}} {{input}} {{output}}"

    return write


@pytest.fixture
def calls(tmp_path):
    """What each call was given: rows, dtype, and the artifact's name."""
    return lambda: [line.split() for line in (tmp_path / "calls").read_text().splitlines()]


def its(document):
    *_, last = document["runtimes"]
    assert last["provider"] == "its own process"
    return last


def test_a_runtime_of_ones_own_is_proven_over_all_probes_in_four_calls(run, bundle, program, calls):
    outcome = run("verify", bundle, "--external", program(after="print('mine 1.2')"))
    assert (outcome.status, outcome.errors) == (0, "")
    name = f"{Path(sys.executable).name} my runtime.py"
    row = next(line for line in outcome.output.splitlines() if name in line)
    assert row.split()[-4:] == ["mine", "1.2", "1", "proven"]
    assert outcome.output.splitlines()[-1].startswith("proven: 5 runtimes, ")
    rows = [int(rows) for rows, *_ in calls()]
    assert sorted(rows)[:3] == [0, 1, 1]  # one to see that it runs, one to be judged
    assert len(rows) == 4
    assert {(dtype, file) for _, dtype, file in calls()} == {("float32", "model.onnx")}


def test_it_is_asked_as_many_rows_as_the_others(run, bundle, program):
    outcome = run("verify", "--json", bundle, "--external", program())
    document = json.loads(outcome.output)
    own, others = its(document), document["runtimes"][:-1]
    assert {runtime["rows"] for runtime in others} == {own["rows"]}
    assert own["batch_sizes"] == [0, 1, own["rows"] - 1]
    assert (own["structure"], own["verdict"]) == ("matches", "proven")
    assert own["worst_fraction"] > 0


@pytest.mark.parametrize(
    "after",
    [
        "y = y.astype(np.float16).astype(np.float32)",
        "y[len(y) // 2 :] = np.roll(y[len(y) // 2 :], 1, axis=0)",
        "y = np.nan_to_num(y, nan=0.0)",
        "y[:, 0] += np.float32(1e-3)",
    ],
    ids=["half precision", "rows of the second half shifted", "NaN hidden", "an offset"],
)
def test_a_runtime_with_a_fault_disagrees_alone(run, bundle, program, after):
    outcome = run("verify", "--quiet", bundle, "--external", program(after=after))
    assert (outcome.status, outcome.errors) == (1, "")
    failure, last = outcome.output.splitlines()
    name = f"{Path(sys.executable).name} my runtime.py"
    assert failure.startswith(f"'{name}' disagrees with the reference model at row ")
    assert last.startswith(f"disagrees: {name}; proven: {OTHERS}")


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ("y = y.astype(np.float64)", "with float64 of shape"),
        ("y = y[:, :1]", "with float32 of shape (0, 1), not float32 of shape (0, 2)"),
        ("y = np.concatenate([y, y])", "with float32 of shape"),
    ],
    ids=["another type", "a target short", "too many rows"],
)
def test_answers_of_another_shape_or_type_disagree(run, bundle, program, after, said):
    outcome = run("verify", "--quiet", bundle, "--external", program(after=after))
    assert outcome.status == 1
    assert said in outcome.output.splitlines()[0]


def test_a_runtime_that_stops_on_many_rows_disagrees(run, bundle, program):
    before = "assert len(x) < 100, 'no more than 100 rows'"
    outcome = run("verify", "--quiet", bundle, "--external", program(before=before))
    assert outcome.status == 1
    assert (
        "fails on the probe 'all together': fails with exit status 1: AssertionError: "
        in (outcome.output.splitlines()[0])
    )


def test_to_refuse_a_batch_without_rows_is_not_held_against_it(run, bundle, program):
    command = program(before="assert len(x), 'no rows'")
    outcome = run("verify", "--json", bundle, "--external", command)
    document = json.loads(outcome.output)
    assert (outcome.status, its(document)["verdict"]) == (0, "proven")
    assert its(document)["batch_sizes"][0] == 1
    (note,) = document["notes"]
    assert note.endswith("fails on a batch without rows, which is not held against it.")


def test_what_is_not_given_the_artifact_is_consistent_at_most(run, bundle, tmp_path):
    script = tmp_path / "service.py"
    script.write_text(
        "import sys, numpy as np, onnxruntime\n"
        f"session = onnxruntime.InferenceSession({str(bundle / 'model.onnx')!r})\n"
        "y = session.run(None, {'features': np.load(sys.argv[1])})[0]\n"
        "np.save(sys.argv[2], y)\n"
    )
    command = f"{sys.executable} {script} {{input}} {{output}}"
    document = json.loads(run("verify", "--json", bundle, "--external", command).output)
    assert (document["verdict"], its(document)["structure"]) == ("consistent", "unknown")


FAILING = {
    "python {model}": ("says nothing of {input} and {output}; write it as 'python", 2),
    "python {input} '{output}": ("is no command: No closing quotation.", 2),
    "no-such-program {input} {output}": ("external: 'no-such-program' cannot be started: No ", 3),
    "true {input} {output}": ("'true', asked for one row, ends well, but writes no {output}.", 3),
    "cp {model} {output} # {input}": ("fails with exit status 1", 3),
    "sh -c 'cp $0 $1' {model} {output} {input}": ("writes to {output} what is no .npy file", 3),
    "sh -c 'kill -9 $$' {input} {output}": ("dies of signal 9: it does not say why", 3),
    "sh -c 'echo a; echo b >&2; exit 7' {input} {output}": ("fails with exit status 7: b", 3),
    "sh -c 'cat $0 >&2; exit 1' tail.txt {input} {output}": ("status 1: \u00e9: Error: no such", 3),
}  # fmt: skip


@pytest.mark.parametrize("command", FAILING)
def test_a_command_that_cannot_predict_is_one_line(run, bundle, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tail.txt").write_bytes(b"\x1b[31m\xc3\xa9: Error: no such\x1b[0m\n at \xff\nNode.js v1\n")
    said, status = FAILING[command]
    refused = run("verify", bundle, "--external", command)
    assert (refused.status, said in refused.only_error) == (status, True), refused.only_error
    assert len(refused.only_error) < 400
    assert refused.only_error.isprintable()


def test_what_waits_for_ever_is_stopped_with_all_that_it_started(run, bundle, tmp_path):
    script = tmp_path / "hangs.sh"
    script.write_text(f"sleep 600 & echo $! > {tmp_path}/child; wait\n")
    refused = run(
        "verify", bundle, "--external-timeout", 0.5,
        "--external", f"sh {script} {{model}} {{input}} {{output}}",
    )  # fmt: skip
    assert refused.status == 3
    assert "takes more than 0.5 seconds; allow for more with --external-timeout" in (
        refused.only_error
    )
    child = int((tmp_path / "child").read_text())
    for _ in range(100):  # it is a zombie until whoever adopts it looks
        if not is_running(child):
            break
        time.sleep(0.05)
    assert not is_running(child)


def is_running(process):
    try:
        os.kill(process, 0)
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_several_are_asked_from_python_too(bundle, program):
    commands = [program(name="a.py"), program(name="b.py", after="y += 1")]
    certificate = linexport.verify(bundle, probe_rows=8, external=commands)
    *_, right, wrong = certificate.runtimes
    assert (right.verdict, wrong.verdict) == ("proven", "disagrees")
    assert (right.name[-4:], wrong.name[-4:]) == ("a.py", "b.py")
    assert linexport.verify(bundle, probe_rows=8, external=commands[0]).verdict == "proven"


def test_a_bundle_without_onnx_hands_on_what_it_has(program, calls, tmp_path):
    model = linexport.LinearModel.from_arrays(NUMBERS)
    linexport.export(
        model, tmp_path / "bundle", config=linexport.ExportConfig(formats=("torchscript",))
    )
    before = """
        import torch, onnxruntime
        class onnxruntime:
            class InferenceSession:
                def __init__(self, path): self.module = torch.jit.load(path)
                def get_inputs(self): return [type('Input', (), {'name': 'x'})]
                def run(self, _, given): return [self.module(torch.from_numpy(given['x'])).numpy()]
        sys.modules['onnxruntime'] = onnxruntime
    """
    certificate = linexport.verify(
        tmp_path / "bundle", probe_rows=8, external=program(before=before)
    )
    assert certificate.verdict == "proven"
    assert {file for *_, file in calls()} == {"model.pt"}


def test_a_file_that_takes_a_tables_columns_has_no_features_to_hand_on(run, tmp_path):
    model = linexport.LinearModel.from_arrays(NUMBERS)
    path, config = tmp_path / "bundle", linexport.ExportConfig(formats=("onnx-columns",))
    linexport.export(model, path, config=config)
    refused = run("verify", path, "--external", "python x.py {model} {input} {output}")
    assert refused.status == 2
    assert "takes a table's columns; export the model with --format onnx too" in refused.only_error


def test_inputs_of_several_types_are_given_as_float64_that_holds_them_all(
    run, bundle, program, calls, tmp_path
):
    """A graph of three inputs, of which one takes whole numbers."""
    types = {"a": "FLOAT", "b": "INT64", "c": "FLOAT"}
    nodes = [
        helper.make_node("Cast", ["b"], ["b_"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Concat", ["a", "b_", "c"], ["x"], axis=1),
        helper.make_node("Gemm", ["x", "W", "B"], ["y"], transB=1),
    ]
    arrays = {"W": NUMBERS["weight"], "B": NUMBERS["bias"]}
    graph = helper.make_graph(
        nodes, "several",
        [helper.make_tensor_value_info(n, getattr(onnx.TensorProto, t), ["N", 1])
         for n, t in types.items()],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(a.astype(np.float32), n) for n, a in arrays.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "several.onnx")
    before = """
        columns = {'a': x[:, :1].astype('f4'), 'b': x[:, 1:2].astype('i8'), 'c': x[:, 2:].astype('f4')}
        import onnxruntime
        class Session(onnxruntime.InferenceSession):
            def run(self, names, given): return super().run(names, columns)
        onnxruntime.InferenceSession = Session
    """  # noqa: E501 - a line of the script
    outcome = run(
        "verify", "--json", "--probe-rows", 64, "--reference", bundle,
        "--external", program(before=before), tmp_path / "several.onnx",
    )  # fmt: skip
    document = json.loads(outcome.output)
    assert (outcome.status, its(document)["verdict"]) == (0, "consistent"), document["failures"]
    assert {(dtype, file) for _, dtype, file in calls()} == {("float64", "model.onnx")}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_file_of_another_exporter_is_held_to_its_source_in_both(program, calls, tmp_path, dtype):
    """skl2onnx keeps the scaler in the graph; the source is the pipeline as it was fitted."""
    random = np.random.default_rng(8)
    features = random.normal(5, 3, (200, 4))
    targets = features @ random.normal(size=(4, 2)) + random.normal(size=(200, 2))
    pipeline = make_pipeline(StandardScaler(), Ridge()).fit(features, targets)
    path = tmp_path / "pipeline.onnx"
    path.write_bytes(to_onnx(pipeline, features[:1].astype(dtype)).SerializeToString())
    right = linexport.verify(path, reference=pipeline, external=program())
    assert right.verdict == right.runtimes[-1].verdict == "consistent", right.failures
    assert {given for _, given, _ in calls()} == {np.dtype(dtype).name}
    pipeline[-1].intercept_ += 1e-3
    wrong = linexport.verify(path, reference=pipeline, external=program())
    assert {runtime.verdict for runtime in wrong.runtimes} == {"disagrees"}


def test_many_features_are_asked_in_several_calls(bundle, program, calls, tmp_path):
    random = np.random.default_rng(3)
    model = linexport.LinearModel.from_arrays(
        {"weight": random.normal(size=(1, 2500)), "bias": np.ones(1)}
    )
    linexport.export(model, tmp_path / "wide")
    certificate = linexport.verify(tmp_path / "wide", probe_rows=64, external=program())
    assert certificate.verdict == "proven"
    assert certificate.runtimes[-1].rows == certificate.runtimes[0].rows
    sizes = [int(rows) for rows, *_ in calls()]
    assert len(sizes) > 4
    assert max(sizes) * 2500 < 2**23
