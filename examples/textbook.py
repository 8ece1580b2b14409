"""The chapter on linear regression of "Dive into Deep Learning", plain PyTorch beside linexport.

    python examples/textbook.py DIRECTORY

Line by line what the chapter does, and what `linexport.train` does of it. Both start from the same
weights and take the same minibatches, so they print the same numbers; both models are exported to
DIRECTORY, each with its proof.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from linexport import SGDConfig, export, load, load_array, synthetic_data, train, verify

SEED = 0


def show(name: str, ours: Tensor, theirs: Tensor) -> None:
    for who, tensor in (("linexport", ours), ("PyTorch", theirs)):
        numbers = ", ".join(f"{value:.6f}" for value in tensor.detach().flatten().tolist())
        print(f"{name}, {who}: {numbers}")


def main() -> None:
    parser = argparse.ArgumentParser(description="The chapter, plain PyTorch beside linexport.")
    parser.add_argument("directory", type=Path)
    directory = parser.parse_args().directory

    # Generating the data: y = X w + b + noise of standard deviation 0.01.
    true_w = torch.tensor([2, -3.4])
    true_b = 4.2
    features, labels = synthetic_data(true_w, true_b, 1000)
    print("features:", features[0], "label:", labels[0])

    # Reading it in minibatches of 10, shuffled anew in each epoch.
    batch_size = 10
    data_iter = load_array((features, labels), batch_size)
    X, y = next(iter(data_iter))
    print("a minibatch:", tuple(X.shape), tuple(y.shape))

    # Defining the model, and initializing it. linexport does so itself, from SGDConfig.seed.
    net = nn.Sequential(nn.Linear(2, 1))
    net[0].weight.data.normal_(0, 0.01, generator=torch.Generator().manual_seed(SEED))
    net[0].bias.data.fill_(0)

    # The loss and the optimizer.
    num_epochs, lr = 3, 0.03
    loss = nn.MSELoss()
    trainer = torch.optim.SGD(net.parameters(), lr=lr)

    # Training, with the loss over all rows after each epoch.
    losses = []
    torch.manual_seed(SEED)  # the loader draws the order of the rows from it
    for _ in range(num_epochs):
        for X, y in data_iter:
            trainer.zero_grad()
            loss(net(X), y).backward()
            trainer.step()
        with torch.no_grad():
            losses.append(loss(net(features), labels))

    # The same in one line: no scaling, the features' own dtype, the loader's minibatches.
    torch.manual_seed(SEED)
    solver = SGDConfig(epochs=num_epochs, learning_rate=lr, seed=SEED)
    result = train(data_iter, solver=solver)

    for epoch, pair in enumerate(zip(torch.tensor(result.losses), losses, strict=True), start=1):
        show(f"epoch {epoch}, loss", *pair)

    # The errors of the estimates. The module is an nn.Linear like the chapter's net[0].
    ours, theirs = result.module, net[0]
    show("error in w", true_w - ours.weight, true_w - theirs.weight)
    show("error in b", true_b - ours.bias, true_b - theirs.bias)

    # The gradients of the last minibatch.
    found = result.gradients
    print(f"gradients of minibatch {found.minibatch} of epoch {found.epoch}, {found.rows} rows")
    show("gradient of w", found.weight, theirs.weight.grad)
    show("gradient of b", found.bias, theirs.bias.grad)

    # Both take the chapter's tensors.
    show("predictions", ours(features[:2]), net(features[:2]))

    # Exporting both, each proven to predict in every runtime what it means.
    seen = {"x1": features[:, 0], "x2": features[:, 1]}
    for name, exported in (
        ("linexport", export(result, directory / "linexport", overwrite=True)),
        ("PyTorch", export(net, directory / "pytorch", ranges=seen, overwrite=True)),
    ):
        print(f"exported, {name}: {exported.certificate.verdict}")
        print(f"verified again, {name}: {verify(exported).verdict}")
    predictions = [
        torch.tensor(load(directory / name).predict(features[:2]))
        for name in ("linexport", "pytorch")
    ]
    show("predictions by onnxruntime", *predictions)


if __name__ == "__main__":
    main()
