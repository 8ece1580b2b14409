"""What a user would write by hand: the textbook's training, both exports, one np.allclose.

The peer of `linexport train-and-export` in main_job.py. Writes into the directory it is given.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.simplefilter("ignore")
output = Path(sys.argv[1])
output.mkdir(parents=True, exist_ok=True)

torch.manual_seed(0)
features = torch.randn(1000, 2)
target = features @ torch.tensor([[2.0], [-3.4]]) + 4.2 + 0.01 * torch.randn(1000, 1)

model = nn.Linear(2, 1)
model.weight.data.normal_(0, 0.01)
model.bias.data.fill_(0)
loss = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
batches = DataLoader(TensorDataset(features, target), batch_size=10, shuffle=True)
for epoch in range(3):
    for batch_features, batch_target in batches:
        optimizer.zero_grad()
        loss(model(batch_features), batch_target).backward()
        optimizer.step()
    with torch.no_grad():
        print(f"epoch {epoch + 1}, loss {loss(model(features), target):f}")

model.eval()
torch.jit.script(model).save(output / "model.pt")  # type: ignore[no-untyped-call]
torch.onnx.export(
    model,
    (features[:2],),
    output / "model.onnx",
    input_names=["features"],
    output_names=["prediction"],
    dynamic_shapes=({0: torch.export.Dim("batch")},),
    dynamo=True,
    verbose=False,
)
session = onnxruntime.InferenceSession(output / "model.onnx")
(prediction,) = session.run(None, {"features": features.numpy()})
with torch.no_grad():
    assert np.allclose(prediction, model(features).numpy(), atol=1e-5)
