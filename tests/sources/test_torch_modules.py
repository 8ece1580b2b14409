"""Modules and state_dicts of PyTorch: what is taken, and what could compute anything."""

import warnings

import numpy as np
import pytest
import torch
from agreement import assert_agrees, export
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import prune

import linexport
from linexport import LinearModel
from linexport.errors import ArtifactError, ModelError
from linexport.formats._pytorch import to_module
from linexport.numerics._bounds import FLOAT32, FLOAT64

DTYPES = {"float32": (torch.float32, FLOAT32), "float64": (torch.float64, FLOAT64)}


def linear(num_targets=2, **settings) -> nn.Linear:
    torch.manual_seed(3)
    return nn.Linear(3, num_targets, **settings)


def trained(rows, dtype, **settings) -> nn.Sequential:
    """A BatchNorm1d that has seen the rows, and scales and shifts by numbers of its own."""
    torch.manual_seed(4)
    module = nn.Sequential(nn.BatchNorm1d(3, **settings), nn.Linear(3, 2)).to(dtype)
    with torch.no_grad():
        for parameter in module[0].parameters():
            parameter.copy_(torch.rand(3) + 0.5)
        for _ in range(60):
            module(torch.tensor(rows, dtype=dtype))
    return module.eval()


def predicted(module, rows, dtype):
    with torch.no_grad():
        return module(torch.tensor(rows, dtype=dtype)).numpy()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_linear_layer_keeps_its_bits(rows, tmp_path, dtype, bias):
    kind, precision = DTYPES[dtype]
    module = linear(bias=bias, dtype=kind)
    exported = assert_agrees(
        module,
        predicted(module, rows, kind),
        rows,
        tmp_path / "b",
        dtype=dtype,
        precision=precision,
    )
    assert exported.record.settings["source"] == "PyTorch Linear"
    assert np.array_equal(exported.model.weight, module.weight.detach().numpy())
    assert np.array_equal(
        exported.model.bias, module.bias.detach().numpy() if bias else np.zeros(2)
    )


@pytest.mark.parametrize("settings", [{}, {"affine": False}, {"eps": 0.25}], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_normalising_layer_is_a_scaler(rows, tmp_path, dtype, settings):
    kind, precision = DTYPES[dtype]
    module = trained(rows, kind, **settings)
    shift = module[0].bias
    weight = np.abs(module[1].weight.detach().numpy())
    # Its shift is in the model's bias, where it may cancel.
    sizes = 0.0 if shift is None else weight @ np.abs(shift.detach().numpy())
    exported = assert_agrees(
        module, predicted(module, rows, kind), rows, tmp_path / "b",
        dtype=dtype, precision=precision, sizes=sizes,
    )  # fmt: skip
    assert exported.record.settings["source"] == "PyTorch Sequential of BatchNorm1d, Linear"
    model = linexport.read_model(module).model
    assert np.array_equal(model.mean, module[0].running_mean.numpy())


def test_layers_that_change_nothing_are_passed_over(rows):
    plain = linear()
    wrapped = nn.Sequential(
        nn.Flatten(), nn.Identity(), nn.Sequential(nn.Dropout(0.5), plain)
    ).eval()
    assert linexport.read_model(wrapped).model.same_numbers(linexport.read_model(plain).model)


def test_a_parametrized_weight_is_what_it_computes():
    module = nn.utils.parametrizations.weight_norm(linear())
    model = linexport.read_model(module).model
    assert np.array_equal(model.weight, module.weight.detach().numpy())


def test_a_wrapper_is_what_it_was_given():
    module = linear()
    wrapped = nn.DataParallel(nn.DataParallel(module))
    assert linexport.read_model(wrapped).model.same_numbers(linexport.read_model(module).model)


def test_a_weight_that_training_changes_is_taken_in_evaluation_alone():
    module = nn.utils.parametrizations.spectral_norm(linear())
    assert not torch.equal(module.weight, module.weight)
    with pytest.raises(ModelError, match=r"may change at each call: call \.eval\(\)"):
        linexport.read_model(module)
    model = linexport.read_model(module.eval()).model
    assert np.array_equal(model.weight, module.weight.detach().numpy())


def test_a_layer_may_keep_more_than_tensors(rows):
    module = Remembering().eval()
    model = linexport.read_model(module).model
    assert np.array_equal(model.weight, module.head.weight.detach().numpy())


def test_two_linear_layers_are_one(tmp_path):
    first, second = nn.Linear(3, 4), nn.Linear(4, 2)
    with torch.no_grad():
        for parameter in (*first.parameters(), *second.parameters()):
            parameter.copy_(torch.randint(-8, 9, parameter.shape) / 4)  # their products are exact
    model = linexport.read_model(nn.Sequential(first, second)).model
    w1, b1, w2, b2 = (p.detach().numpy() for p in (*first.parameters(), *second.parameters()))
    assert np.array_equal(model.weight, w2 @ w1)
    assert np.array_equal(model.bias, w2 @ b1 + b2)


@pytest.mark.parametrize("mean", [None, np.array([1.0, 2.0])], ids=["folded", "centred"])
def test_our_own_modules_are_models(mean):
    model = LinearModel(weight=np.array([[1.0, -2.0]]), bias=np.array([0.5]), mean=mean)
    assert linexport.read_model(to_module(model)).model.same_numbers(model)


def test_what_sgd_trained_is_a_model(tmp_path):
    result = linexport.train(linexport.read_data(seed=1))
    exported = export(result.module, tmp_path / "bundle")
    assert np.array_equal(exported.model.weight, result.module.weight.detach().numpy())


@pytest.mark.parametrize("prefix", ["", "linear.", "module.net.0."])
def test_a_state_dict_is_taken_under_any_prefix(prefix):
    module = linear()
    state = {prefix + name: tensor for name, tensor in module.state_dict().items()}
    found = linexport.read_model(state)
    assert found.source == "PyTorch state_dict"
    assert found.model.same_numbers(linexport.read_model(module).model)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_numbers_are_taken_exactly(dtype):
    module = linear().to(dtype)
    model = linexport.read_model(module).model
    assert np.array_equal(model.weight, module.weight.detach().to(torch.float64).numpy())


def test_a_view_that_negates_is_taken_for_what_it_shows():
    weight = torch.tensor([[2j, -3j]], dtype=torch.complex128).conj().imag
    assert linexport.read_model({"weight": weight}).model.weight.tolist() == [[-2.0, 3.0]]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 1)

    def forward(self, x):
        return self.head(x)


class Remembering(Net):
    def get_extra_state(self):
        return {"epoch": 3}


def pruned():
    module = nn.Linear(3, 1)
    return prune.l1_unstructured(module, "weight", amount=1)


def normalized():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(nn.Linear(3, 1))


def quantized():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch moves these elsewhere
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(3, 1)))


def hooked(module):
    module.register_forward_hook(lambda *_: None)
    return module


def replaced(module):
    module.forward = lambda x: x
    return module


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (
            nn.Sequential(nn.Linear(3, 2), nn.ReLU()),
            r"relu \(layer 1, a ReLU\) is not known to be affine",
        ),
        (
            nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 1)),
            "normalises each row by its own deviation",
        ),
        (nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1)), "depends on its neighbours"),
        (
            nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False), nn.Linear(3, 1)).eval(),
            "depends on its neighbours",
        ),
        (nn.Sequential(nn.Dropout(), nn.Linear(3, 1)), "training mode and drops values"),
        (nn.Sequential(nn.Linear(3, 2), nn.Flatten(0)), "computes with the number of rows"),
        (nn.Sequential(nn.Linear(3, 2), nn.Linear(3, 2)), "takes 3 values, but is given 2"),
        (nn.Conv1d(3, 1, 1), "by the number of rows"),
        (Net(), r"Net is in training mode, .*: call \.eval\(\)"),
        (nn.LazyLinear(1), "the module is not initialised: call it on a batch"),
        (nn.Sequential(nn.LazyLinear(1)), r"layer 0 \(LazyLinear\) is not initialised"),
        (hooked(nn.Linear(3, 1)), r"the module has a hook \(<lambda>\)"),
        (nn.Sequential(hooked(Net())).eval(), r"layer 0 \(Net\) has a hook"),
        (pruned(), r"with torch\.nn\.utils\.prune\.remove\(layer, 'weight'\)"),
        (normalized(), r"\(WeightNorm\), .*utils\.remove_weight_norm\(layer, 'weight'\)"),
        (quantized(), r"layer 0 \(Linear\) is quantized, so it rounds"),
        (nn.Sequential(replaced(nn.Linear(3, 1))), "does not tell how many features"),
        (torch.zeros(3), "A torch Tensor is not a model"),
        (
            nn.ModuleDict({"head": nn.Linear(3, 1)}),
            "ModuleDict has no forward, and so computes nothing: pass the layer in it",
        ),
        (
            nn.Sequential(nn.Linear(3, 2), nn.ModuleList([nn.Linear(2, 1)])),
            r"layer 1 \(ModuleList\) has no forward, and so computes nothing",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_not_known_to_be_linear_is_refused(module, said):
    with pytest.raises(ModelError, match=said):
        linexport.read_model(module)


def test_a_scripted_module_is_a_program():
    with pytest.warns((DeprecationWarning, FutureWarning), match="torch.jit.script"):
        scripted = torch.jit.script(nn.Linear(3, 1))
    with pytest.raises(ModelError, match="TorchScript module is a program"):
        linexport.read_model(scripted)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1)).state_dict(), "whose epsilon is not"),
        (nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1)).state_dict(), "that of one nn.Linear"),
        (nn.Conv1d(3, 1, 1).state_dict(), r"must have shape \(targets, features\)"),
        ({"weight": torch.ones(1, 2, dtype=torch.int64)}, "real numbers are needed"),
        ({"weight": torch.ones(1, 2, device="meta")}, "meta device, which holds no numbers"),
        ({"weight": torch.ones(1, 1).expand(1, 10**12)}, "a view that repeats"),
        ({"weight": torch.full((1, 2), float("nan"))}, "it must be finite"),
        ({"weight": torch.ones(1, 2), "variance": torch.ones(2)}, "Found variance, weight"),
        ({"weight": torch.ones(1, 2), "scale": torch.ones(2)}, "is done with scale; a module"),
        (nn.RMSNorm(3).state_dict(), r"weight has shape \(3,\), where nn\.Linear has"),
        (nn.PReLU(3).state_dict(), "the names do not say what another layer does with it"),
        (nn.LazyLinear(1).state_dict(), "weight is not initialised: call its module on a batch"),
    ],
)
def test_tensors_that_are_not_one_linear_layer_are_refused(state, said):
    with pytest.raises(ModelError, match=said):
        linexport.read_model(state)


class Divided(nn.Linear):
    """What keeps a scaler's numbers as scikit-learn does, whose scale divides."""

    def __init__(self):
        super().__init__(2, 1)
        self.register_buffer("mean", torch.tensor([50.0, 5.0]))
        self.register_buffer("scale", torch.tensor([10.0, 2.0]))

    def forward(self, x):
        return super().forward((x - self.mean) / self.scale)


def in_python(module, path):
    return module.state_dict()


def in_a_file(module, path):
    torch.save(module.state_dict(), path / "net.pt")
    return path / "net.pt"


def in_a_checkpoint(module, path):
    state = {f"net.{name}": tensor for name, tensor in module.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 1}, path / "last.ckpt")
    return path / "last.ckpt"


def in_safetensors(module, path):
    save_file(module.state_dict(), path / "net.safetensors")
    return path / "net.safetensors"


@pytest.mark.parametrize("kept", [in_python, in_a_file, in_a_checkpoint, in_safetensors])
def test_a_scaler_in_a_state_dict_is_not_guessed_at(kept, tmp_path):
    source = kept(Divided().eval(), tmp_path)
    with pytest.raises(
        (ArtifactError, ModelError), match=r"do not say what is done with mean and scale; .* itself"
    ):
        linexport.read_model(source)


def test_a_module_that_divides_by_its_scale_is_read(tmp_path):
    module, rows = Divided().eval(), np.array([[70.0, 9.0], [50.0, 5.0]])
    expected = module(torch.tensor(rows, dtype=torch.float32)).detach().numpy()
    assert_agrees(module, expected, rows, tmp_path / "bundle", precision=FLOAT32)


def with_a_hook(module):
    module.register_forward_hook(lambda _, __, made: made.exp())
    return module


def with_a_forward(module):
    module.forward = lambda x: x.exp()
    return module


def compiled(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what torch imports
        return torch.compile(module)


@pytest.mark.parametrize("wrap", [nn.DataParallel, compiled])
def test_a_wrapper_that_computes_otherwise_is_refused(wrap):
    with pytest.raises(ModelError, match=r"the (DataParallel|OptimizedModule) has a hook"):
        linexport.read_model(with_a_hook(wrap(nn.Linear(2, 1))))
    with pytest.raises(ModelError, match=r"has a forward of its own, .*: pass that module"):
        linexport.read_model(with_a_forward(wrap(nn.Linear(2, 1))))


def test_a_module_of_ours_that_computes_otherwise_is_refused(tiny):
    with pytest.raises(ModelError, match="the module has a hook"):
        linexport.read_model(with_a_hook(to_module(tiny)))
    with pytest.raises(ModelError, match="exp is not known to be affine"):
        linexport.read_model(with_a_forward(to_module(tiny)), features=["a", "b"])
