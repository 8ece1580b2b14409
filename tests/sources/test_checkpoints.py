"""Checkpoints: the state_dict in them, and nothing that could run."""

import re
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import linexport
from linexport.errors import ArtifactError

LAYER = nn.Linear(3, 2)


def extras(**state):
    optimizer = torch.optim.Adam(LAYER.parameters())
    return state | {
        "epoch": 3,
        "optimizer_state_dict": optimizer.state_dict(),
        "hyper_parameters": {"lr": 0.1, "layers": [1, 2], "name": "linear"},
        "rng": torch.get_rng_state(),
    }


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt"])
@pytest.mark.parametrize("name", ["state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "model.", "_orig_mod."])
def test_the_state_dict_in_a_checkpoint_is_the_model(tmp_path, name, prefix, suffix):
    state = {prefix + key: value for key, value in LAYER.state_dict().items()}
    torch.save(extras(**{name: state}), tmp_path / f"last{suffix}")
    found = linexport.read_model(tmp_path / f"last{suffix}")
    assert found.model.same_numbers(linexport.read_model(LAYER).model)


def test_a_checkpoint_that_was_loaded_in_python_is_read():
    found = linexport.read_model(extras(state_dict=LAYER.state_dict()))
    assert found.model.same_numbers(linexport.read_model(LAYER).model)


SCALING = {
    "mean": torch.ones(3), "x_std": 2.0, "scaler": {"mean_": [1.0], "scale_": [2.0]},
    "target_scaler": [0.0, 1.0], "scaler_state_dict": {"mean": torch.ones(3)},
}  # fmt: skip


@pytest.mark.parametrize("name", SCALING)
def test_what_scales_beside_a_state_dict_is_not_passed_over(tmp_path, name):
    torch.save(extras(state_dict=LAYER.state_dict(), **{name: SCALING[name]}), tmp_path / "a.pt")
    with pytest.raises(ArtifactError, match=f"'{name}' beside its state_dict may scale the feat"):
        linexport.read_model(tmp_path / "a.pt")


def test_what_scales_gradients_or_is_a_metric_is_passed_over():
    scaler = {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 0}
    passed = {"scaler": scaler, "grad_scaler": {}, "mean_loss": 0.5, "normalize": True}
    found = linexport.read_model(extras(state_dict=LAYER.state_dict(), **passed))
    assert found.model.same_numbers(linexport.read_model(LAYER).model)


def test_a_refusal_has_no_advice_of_torch_and_no_colours(tmp_path):
    torch.save(extras(model=LAYER), tmp_path / "last.ckpt")
    with pytest.raises(ArtifactError) as caught:
        linexport.read_model(tmp_path / "last.ckpt")
    error, said = caught.value, ""
    while error is not None:
        said, error = said + str(error), error.__cause__ or error.__context__
    assert "it names torch.nn.modules.linear.Linear" in said
    assert not re.search(r"\x1b|weights_only", said)


@pytest.fixture(scope="module")
def lightning():
    """Import it as it is: it warns of itself, and of the loader's workers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pytorch_lightning

        yield pytorch_lightning


def test_what_lightning_trained_and_kept_is_read(lightning, tmp_path):
    class Trained(lightning.LightningModule):
        def __init__(self, lr=0.1):
            super().__init__()
            self.save_hyperparameters()
            self.head = nn.Linear(3, 1)

        def forward(self, x):
            return self.head(x)

        def training_step(self, batch, _):
            return nn.functional.mse_loss(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)

    module = Trained()
    data = torch.utils.data.TensorDataset(torch.randn(32, 3), torch.randn(32, 1))
    warnings.simplefilter("ignore")
    trainer = lightning.Trainer(
        max_epochs=1, logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=tmp_path, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=8))
    (kept,) = tmp_path.rglob("*.ckpt")
    wanted = linexport.read_model(module.head).model
    assert linexport.read_model(kept).model.same_numbers(wanted)
    found = linexport.read_model(module.eval())
    assert found.source == "PyTorch Trained"
    assert np.array_equal(found.model.weight, wanted.weight)
