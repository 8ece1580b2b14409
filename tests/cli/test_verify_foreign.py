"""linexport verify on models that other tools exported."""

import io
import json
import warnings

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from safetensors.numpy import save_file
from sklearn.linear_model import LinearRegression

WEIGHT = np.array([[2, -3.4, 0.5], [0.1, 7, -1e-3]], np.float32)
BIAS = np.array([4.2, -0.7], np.float32)
MEAN, SCALE = np.array([10, -20, 0.25], np.float32), np.array([0.5, 0.25, 16], np.float32)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    path = tmp_path_factory.mktemp("reference") / "weights.safetensors"
    save_file({"weight": WEIGHT, "bias": BIAS}, path)
    return path


def onnx_model(nodes, arrays, dtype=np.float32, domains=(("", 13),)):
    """A graph as some other tool writes it, from X to Y."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    num_targets, num_features = WEIGHT.shape
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("X", element, ["N", num_features])],
        [helper.make_tensor_value_info("Y", element, ["N", num_targets])],
        [
            numpy_helper.from_array(np.ascontiguousarray(array, dtype), name)
            for name, array in arrays.items()
        ],
    )
    opsets = [helper.make_opsetid(*domain) for domain in domains]
    return helper.make_model(graph, opset_imports=opsets, ir_version=7)


def matmul_and_add(weight, bias, dtype=np.float32):
    nodes = [
        helper.make_node("MatMul", ["X", "W"], ["XW"]),
        helper.make_node("Add", ["XW", "B"], ["Y"]),
    ]
    return onnx_model(nodes, {"W": weight.T, "B": bias}, dtype)


def transposed_gemm(weight, bias):
    node = helper.make_node("Gemm", ["X", "W", "B"], ["Y"], transB=0)
    return onnx_model([node], {"W": weight.T, "B": bias})


def linear_regressor(weight, bias):
    node = helper.make_node(
        "LinearRegressor", ["X"], ["Y"], domain="ai.onnx.ml", targets=len(weight),
        coefficients=weight.ravel().tolist(), intercepts=bias.tolist(),
    )  # fmt: skip
    return onnx_model([node], {}, domains=(("", 13), ("ai.onnx.ml", 1)))


def module(weight, bias):
    linear = torch.nn.Linear(*weight.T.shape).to(torch.from_numpy(weight).dtype)
    linear.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
    return linear


@pytest.fixture(scope="module")
def dynamo_proto():
    """What torch.onnx.export writes, once: it takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module(WEIGHT, BIAS), (torch.zeros(2, 3),), dynamo=True, verbose=False,
            dynamic_shapes=({0: torch.export.Dim("batch", min=0)},),
        )  # fmt: skip
    return program.model_proto.SerializeToString()


@pytest.fixture(params=["MatMul and Add", "transposed Gemm", "LinearRegressor", "torch.onnx"])
def export(request):
    """One tool: weight and bias in, an ONNX model out."""
    hand_made = {
        "MatMul and Add": matmul_and_add,
        "transposed Gemm": transposed_gemm,
        "LinearRegressor": linear_regressor,
    }
    if request.param in hand_made:
        return hand_made[request.param]
    data = request.getfixturevalue("dynamo_proto")

    def with_numbers(weight, bias):
        proto = onnx.ModelProto.FromString(data)
        for tensor in proto.graph.initializer:
            array = {"weight": weight, "bias": bias}[tensor.name]
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))
        return proto

    return with_numbers


@pytest.fixture
def verify(run, tmp_path):
    """Check an ONNX model, and return the outcome with its document."""

    def check(proto, numbers):
        onnx.save(proto, tmp_path / "foreign.onnx")
        outcome = run(
            "verify", "--json", "--probe-rows", 64, "--reference", numbers,
            tmp_path / "foreign.onnx",
        )  # fmt: skip
        return outcome, json.loads(outcome.output)

    return check


def test_a_model_that_agrees_is_consistent(verify, export, reference):
    outcome, document = verify(export(WEIGHT, BIAS), reference)
    assert (outcome.status, document["verdict"], document["failures"]) == (0, "consistent", [])
    assert len(document["runtimes"]) == 5
    assert {runtime["structure"] for runtime in document["runtimes"]} == {"unknown"}
    assert all(0 < runtime["worst_fraction"] <= 1 for runtime in document["runtimes"])


FAULTS = {
    "two columns swapped": (WEIGHT[:, [1, 0, 2]], BIAS),
    "bias dropped": (WEIGHT, np.zeros_like(BIAS)),
    "targets swapped": (WEIGHT[::-1], BIAS[::-1]),
    "one weight off by an ulp": (
        np.nextafter(WEIGHT, np.where(np.arange(6) == 5, 0, WEIGHT.ravel()).reshape(2, 3)),
        BIAS,
    ),
    "weights through float16": (WEIGHT.astype(np.float16).astype(np.float32), BIAS),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_model_with_a_fault_disagrees_in_every_runtime(verify, export, reference, fault):
    outcome, document = verify(export(*FAULTS[fault]), reference)
    assert (outcome.status, document["verdict"]) == (1, "disagrees")
    assert len(document["runtimes"]) == 5
    assert len(document["failures"]) < 5  # what they have in common is said once
    for runtime in document["runtimes"]:
        assert runtime["worst"]["distance"] > runtime["worst"]["bound"]
        assert runtime["worst"]["target"] in ("y1", "y2")


@pytest.mark.parametrize("batch", [1, 3])
def test_a_batch_frozen_by_the_exporter_disagrees(verify, export, reference, batch):
    proto = export(WEIGHT, BIAS)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    outcome, document = verify(proto, reference)
    assert (outcome.status, document["verdict"]) == (1, "disagrees")
    refused = [runtime for runtime in document["runtimes"] if runtime["verdict"] == "disagrees"]
    assert len(refused) == 4  # onnx's evaluator does not look at shapes
    assert all("onnxruntime refuses a batch of" in runtime["failure"] for runtime in refused)
    said = f"the file takes {batch} at a time and no other number"
    assert all(said in runtime["failure"] for runtime in refused)


def scaled(*, outside):
    """The scaler as nodes before MatMul and Add, or left to the caller."""
    proto = matmul_and_add(WEIGHT, BIAS)
    if outside:
        return proto
    scaler = {"M": MEAN, "S": SCALE}
    proto.graph.initializer.extend(numpy_helper.from_array(scaler[name], name) for name in scaler)
    nodes = [
        helper.make_node("Sub", ["X", "M"], ["centred"]),
        helper.make_node("Mul", ["centred", "S"], ["scaled"]),
        *proto.graph.node,
    ]
    nodes[2].input[0] = "scaled"
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto


@pytest.mark.parametrize("outside", [False, True])
def test_a_scaler_left_outside_disagrees(verify, tmp_path, outside):
    """Powers of two, so that the weight of the reference holds the scale exactly."""
    save_file(
        {"weight": WEIGHT * SCALE, "bias": BIAS, "mean": MEAN}, tmp_path / "centred.safetensors"
    )
    outcome, document = verify(scaled(outside=outside), tmp_path / "centred.safetensors")
    assert document["form"] == ("folded" if outside else "own")
    expected = (1, "disagrees") if outside else (0, "consistent")
    assert (outcome.status, document["verdict"]) == expected


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """scikit-learn's float64 fit: its rounded numbers, and a file that holds them whole."""
    random = np.random.default_rng(5)
    features = random.normal(size=(50, 3))
    target = features @ WEIGHT.T.astype(np.float64) + random.normal(size=(50, 2))
    fit = LinearRegression().fit(features, target)
    path = tmp_path_factory.mktemp("fitted") / "fit.safetensors"
    # safetensors writes the memory as it lies, and this matrix is column-major.
    save_file({"weight": np.ascontiguousarray(fit.coef_), "bias": fit.intercept_}, path)
    return fit.coef_.astype(np.float32), fit.intercept_.astype(np.float32), path


def test_a_float64_reference_is_rounded_for_a_float32_artifact(run, verify, fitted, tmp_path):
    weight, bias, path = fitted
    outcome, document = verify(matmul_and_add(weight, bias), path)
    assert (outcome.status, document["verdict"], document["dtype"]) == (0, "consistent", "float32")
    text = run("verify", "--reference", path, tmp_path / "foreign.onnx")
    assert "  The float64 reference was rounded to float32." in text.output.splitlines()
    # Cut off rather than rounded, as some exporters do it, is another model.
    cut = np.where(np.abs(weight) > 1, np.nextafter(weight, np.float32(0)), weight)
    assert verify(matmul_and_add(cut, bias), path)[0].status == 1


def test_a_float32_reference_is_exact_for_a_float64_artifact(verify, reference):
    right = matmul_and_add(WEIGHT.astype(np.float64), BIAS, np.float64)
    outcome, document = verify(right, reference)
    assert (outcome.status, document["verdict"], document["dtype"]) == (0, "consistent", "float64")
    assert document["notes"] == [
        "The float32 reference was taken as float64, which holds it exactly."
    ]
    wrong = matmul_and_add(WEIGHT.astype(np.float64) * (1 + 2.0**-52), BIAS, np.float64)
    assert verify(wrong, reference)[0].status == 1


def test_a_reference_too_large_for_the_artifact_is_refused(run, tmp_path):
    save_file({"weight": np.full((2, 3), 1e300), "bias": np.zeros(2)}, tmp_path / "f.safetensors")
    onnx.save(matmul_and_add(WEIGHT, BIAS), tmp_path / "foreign.onnx")
    refused = run("verify", "--reference", tmp_path / "f.safetensors", tmp_path / "foreign.onnx")
    assert (refused.status, "too large for float32" in refused.only_error) == (3, True)


def then(operator):
    """The model, and one operator more."""
    proto = matmul_and_add(WEIGHT, BIAS)
    proto.graph.node[-1].output[0] = "Z"
    proto.graph.node.append(helper.make_node(operator, ["Z"], ["Y"]))
    return proto


def test_a_graph_that_is_no_linear_model_is_run_and_disagrees(verify, reference):
    outcome, document = verify(then("Sigmoid"), reference)
    assert (outcome.status, document["verdict"]) == (1, "disagrees")
    assert "one more rounding for each of its 3 operators" in document["notes"][0]


def test_an_operator_that_is_not_run_here_is_not_checked(run, verify, reference, tmp_path):
    outcome, document = verify(then("RandomNormalLike"), reference)
    assert (outcome.status, document["verdict"], document["failures"]) == (3, "not checked", [])
    assert document["not_checked"] == (
        "the ONNX file has the operator RandomNormalLike, which is not run here."
    )
    text = run("verify", "--quiet", "--reference", reference, tmp_path / "foreign.onnx")
    assert (text.status, text.errors) == (3, "")
    assert text.output == f"not checked: {document['not_checked']}\n"


def torchscript(network):
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(network), buffer)
    return buffer.getvalue()


def torch_export(network):
    dtype = next(network.parameters()).dtype
    buffer = io.BytesIO()
    program = torch.export.export(
        network, (torch.zeros(2, 3, dtype=dtype),),
        dynamic_shapes=({0: torch.export.Dim("batch", min=0)},),
    )  # fmt: skip
    torch.export.save(program, buffer)
    return buffer.getvalue()


PROGRAMS = {"foreign.pt": torchscript, "foreign.pt2": torch_export}


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / request.param
    path.write_bytes(PROGRAMS[request.param](module(WEIGHT, BIAS)))
    return path


def test_a_program_by_another_tool_is_loaded_only_with_trust(run, program, reference):
    refused = run("verify", "--reference", reference, program)
    assert refused.status == 3
    assert refused.only_error.startswith(f"error: {program}: ")
    assert "might run other code" in refused.only_error
    assert "--trust" in refused.only_error
    trusted = run("verify", "--json", "--trust", "--reference", reference, program)
    assert (trusted.status, json.loads(trusted.output)["verdict"]) == (0, "consistent")


def test_a_program_is_judged_in_the_precision_that_it_takes(run, fitted, tmp_path, reference):
    """A TorchScript file does not state its dtype: it is asked."""
    weight, bias, in_float64 = fitted
    cases = {
        "rounded to float32": (torchscript(module(weight, bias)), in_float64, "float32"),
        "exactly": (
            torchscript(module(WEIGHT.astype(np.float64), BIAS.astype(np.float64))),
            reference,
            "float64",
        ),
    }
    for said, (data, numbers, dtype) in cases.items():
        (tmp_path / "foreign.pt").write_bytes(data)
        outcome = run(
            "verify", "--json", "--trust", "--reference", numbers, tmp_path / "foreign.pt"
        )
        document = json.loads(outcome.output)
        assert (outcome.status, document["dtype"]) == (0, dtype)
        assert said in document["notes"][0]


class Pair(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return x, x


def test_a_program_that_answers_otherwise_disagrees(run, tmp_path, reference):
    networks = {
        "no tensor": Pair(),
        "of another width": torch.nn.Linear(4, 2),
        "of other targets": torch.nn.Linear(3, 1),
        "other numbers": torch.nn.Linear(3, 2),
    }
    for name, network in networks.items():
        (tmp_path / "foreign.pt").write_bytes(torchscript(network))
        outcome = run("verify", "--trust", "--reference", reference, tmp_path / "foreign.pt")
        assert (outcome.status, outcome.errors) == (1, ""), name
        *_, failure, conclusion = outcome.output.splitlines()
        assert failure.startswith("'torchscript' "), name
        assert conclusion.startswith("disagrees: torchscript"), name


def test_one_of_several_outputs_is_exported_and_verified_by_its_name(run, reference, tmp_path):
    gemm = helper.make_node("Gemm", ["X", "w", "b"], ["Y"], transB=1)
    model = onnx_model([gemm, helper.make_node("Relu", ["Y"], ["bent"])], {"w": WEIGHT, "b": BIAS})
    model.graph.output.add().CopyFrom(model.graph.output[0])
    model.graph.output[1].name = "bent"
    path = tmp_path / "several.onnx"
    onnx.save(model, path)
    said = "the outputs 'Y', 'bent': choose one with --graph-output"
    assert said in run("verify", path, "--reference", reference).only_error
    assert said in run("export", path, "-o", tmp_path / "bundle").only_error
    assert run("verify", path, "--reference", reference, "--graph-output", "Y").status == 0
    refused = run("export", path, "-o", tmp_path / "bundle", "--graph-output", "bent")
    assert refused.status == 3
    assert "Relu 'bent' is not linear in the model's input" in refused.only_error
    assert run("export", path, "-o", tmp_path / "bundle", "--graph-output", "Y").status == 0
