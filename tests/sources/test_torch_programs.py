"""Modules with a forward of their own, by the graph of what it does."""

import io
import warnings

import numpy as np
import onnx
import pytest
import torch
from affine_modules import REFUSED, Net, affine, refused
from torch import nn

import linexport
from linexport.errors import ModelError
from linexport.numerics import FLOAT32, OwnForm
from linexport.sources import exact_function

torch.manual_seed(5)
AFFINE = affine()
ROWS = np.random.default_rng(6).normal(size=(7, 3)).astype(np.float32).astype(np.float64)


def predicted(module, rows, dtype=torch.float32):
    with torch.no_grad():
        answer = module(torch.tensor(rows, dtype=dtype))
    answer = answer["predictions"] if isinstance(answer, dict) else answer
    return answer.double().numpy().reshape(len(rows), -1)


@pytest.fixture(scope="module")
def found():
    """What is found of each, once."""
    known = {}

    def find(name):
        if name not in known:
            names = ["a", "b", "c"] if hasattr(AFFINE[name], "known") else []
            known[name] = linexport.read_model(AFFINE[name], features=names)
        return known[name]

    return find


@pytest.mark.parametrize("name", AFFINE)
def test_what_is_affine_is_taken_and_predicts_the_same(found, name):
    model = found(name)
    exact = exact_function(model).evaluate(ROWS).high
    bound = OwnForm(steps=model.values.steps, precision=FLOAT32).bound(ROWS)
    assert (np.abs(exact - predicted(AFFINE[name], ROWS)) <= bound).all()
    assert bound.max() < 1e-4


def onnx_file(module) -> onnx.ModelProto:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(5, 3),), file, dynamo=False, input_names=["x"],
            dynamic_axes={"x": {0: "batch"}},
        )  # fmt: skip
    return onnx.load_from_string(file.getvalue())


NOT_IN_ONNX = {
    "a running sum": "CumSum is not taken",
    "columns by a mask": "NonZero of constants is not folded",
    "constants computed": "Softplus of constants is not folded",
    "expanded": "it computes with the number of rows",
    "inner": "torch.onnx does not write it",
    "written into": "it computes with the number of rows",
}
"""What is taken from the module alone, and why."""


def test_sixty_modules_are_compared_with_their_files():
    assert NOT_IN_ONNX.keys() < AFFINE.keys()
    assert len(AFFINE) - len(NOT_IN_ONNX) >= 60


@pytest.mark.parametrize("name", sorted(AFFINE.keys() - NOT_IN_ONNX))
def test_a_module_and_its_onnx_file_are_the_same_model(found, name):
    ours, theirs = (
        exact_function(each)
        for each in (found(name), linexport.read_model(onnx_file(AFFINE[name])))
    )
    # Both are composed in double-double of the same numbers, but for a BatchNorm's epsilon of 1e-5,
    # which ONNX keeps in float32.
    apart = np.abs(ours.evaluate(ROWS).high - theirs.evaluate(ROWS).high)
    assert (apart <= 1e-5 * FLOAT32.unit_roundoff * (1 + np.abs(ROWS).sum())).all()


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_affine_is_refused_by_its_step(case):
    forward, said = REFUSED[case]
    with pytest.raises(ModelError, match=said) as caught:
        linexport.read_model(refused(forward))
    assert len(str(caught.value)) < 400
    assert "\x1b" not in str(caught.value)


def test_an_exported_program_is_read_as_it_is():
    module = AFFINE["a residual block"]
    free = torch.export.export(
        module, (torch.zeros(5, 3),), dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    frozen = torch.export.export(module, (torch.zeros(4, 3),))
    wanted = exact_function(linexport.read_model(module)).evaluate(ROWS).high
    for program in (free, frozen):
        found = linexport.read_model(program)
        assert found.source == "PyTorch ExportedProgram"
        assert np.array_equal(exact_function(found).evaluate(ROWS).high, wanted)


def test_inputs_of_a_program_name_the_features():
    class Apart(nn.Module):
        def forward(self, area, rooms):
            return area @ torch.tensor([2.0, 3.0]) - rooms

    tensors = torch.zeros(4, 2), torch.zeros(4)
    found = linexport.read_model(torch.export.export(Apart(), tensors))
    assert found.model.feature_names == ("area_1", "area_2", "rooms")
    assert found.model.weight.tolist() == [[2.0, 3.0, -1.0]]
    with pytest.raises(ModelError, match=r"Apart takes area, rooms, .*torch\.export\.export"):
        linexport.read_model(Apart().eval())


def test_a_program_of_no_fixed_width_is_refused():
    free = {0: torch.export.Dim("rows"), 1: torch.export.Dim("columns")}
    program = torch.export.export(
        Net(lambda _, x: x.sum(1)), (torch.zeros(5, 3),), dynamic_shapes=(free,), strict=False
    )
    with pytest.raises(ModelError, match="with a fixed number of features"):
        linexport.read_model(program)


def test_a_program_in_training_mode_is_refused():
    module = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1)).train()
    program = torch.export.export(module, (torch.zeros(4, 3),))
    with pytest.raises(ModelError, match=r"changes its buffer|batch at hand"):
        linexport.read_model(program)


def test_an_onnx_program_is_read_as_it_is():
    layer = nn.Linear(3, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(layer, (torch.zeros(2, 3),), dynamo=True, verbose=False)
    assert linexport.read_model(program).model.same_numbers(linexport.read_model(layer).model)


@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x: x[:, :2] @ s.w,
        lambda s, x: x[:, -2:] @ s.w,
        lambda s, x: x[:, 1:].sum(1) * s.w[0],
    ],
)
def test_a_width_that_the_module_does_not_tell_is_asked_for(forward):
    module = Net(forward, w=torch.tensor([1.0, 2.0])).eval()
    with pytest.raises(ModelError, match="does not tell how many features it takes: give their"):
        linexport.read_model(module)
    found = linexport.read_model(module, features=["a", "b", "c", "d"])
    rows = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    exact = exact_function(found).evaluate(rows.astype(np.float64)).high
    assert np.allclose(exact, predicted(module, rows), rtol=1e-5, atol=1e-5)
    assert found.model.feature_names == ("a", "b", "c", "d")


def test_one_feature_is_one():
    module = Net(lambda s, x: s.fc(x) + 1, fc=nn.Linear(1, 2)).eval()
    assert linexport.read_model(module).model.num_features == 1
    with pytest.raises(ModelError, match="does not tell"):
        linexport.read_model(Net(lambda s, x: s.fc(x[:, :1]), fc=nn.Linear(1, 2)).eval())


def test_what_does_not_fit_the_names_given_says_where():
    module = Net(lambda s, x: s.fc(x), fc=nn.Linear(3, 1)).eval()
    with pytest.raises(
        ModelError, match=r"fails on rows of 2 features: .*test_torch_programs\.py line"
    ):
        linexport.read_model(module, features=["a", "b"])


def test_what_torch_compile_returned_is_read():
    module = AFFINE["a product and a sum"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own, about itself
        compiled = torch.compile(module)
    compiled = linexport.read_model(compiled)
    assert compiled.model.same_numbers(linexport.read_model(module).model)


def test_a_module_with_a_forward_of_its_own_is_exported_and_proven(tmp_path):
    module = AFFINE["a residual block"]
    config = linexport.ExportConfig(formats=("onnx", "torchscript"), probe_rows=8)
    exported = linexport.export(module, tmp_path / "bundle", config=config)
    assert exported.certificate.verdict == "proven"
    assert exported.record.settings["source"] == "PyTorch Sequential"
