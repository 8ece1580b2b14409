"""Modules with a forward of their own: sixty that are affine, and some that are not.

Each is a forward and what it uses; three features unless it says otherwise.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody calls it
from torch import nn


class Net(nn.Module):
    """Modules, parameters and buffers by name, and what is done with them."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.does = forward
        for name, part in parts.items():
            if isinstance(part, torch.Tensor) and not part.is_floating_point():
                self.register_buffer(name, part)
            else:
                setattr(self, name, nn.Parameter(part) if isinstance(part, torch.Tensor) else part)

    def forward(self, x):
        return self.does(self, x)


class Residual(nn.Module):
    """A block that people write."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.inner = nn.Linear(width, width)

    def forward(self, x):
        return x + self.inner(self.norm(x))


class Doubled(nn.Linear):
    """A class derived from a layer."""

    def forward(self, x):
        return 2 * super().forward(x)


class Named(nn.Linear):
    """A class derived from a layer that changes nothing."""


def normalising(width=3, **settings) -> nn.BatchNorm1d:
    layer = nn.BatchNorm1d(width, **settings)
    for tensor in (layer.running_mean, layer.running_var):
        tensor.copy_(torch.rand(width) + 0.5)
    if layer.affine:
        nn.init.uniform_(layer.weight)
        nn.init.uniform_(layer.bias)
    return layer


def filled(_, x):
    h = x.clone()
    h[:, 0] = 0
    h[:, 1] += 2
    return h


def grown(s, x):
    total = torch.zeros(x.shape[0], 1)
    for column in range(3):
        total = total + x[:, column : column + 1] * s.w[column]
    return total


def quiet(s, x):
    with torch.no_grad():
        return s.fc(x)


def linear(outputs=1):
    return {"fc": nn.Linear(3, outputs)}


def affine() -> dict[str, nn.Module]:
    """Return them in evaluation mode, with the numbers of the seed that was set."""
    w, wide, ix = torch.randn(3), torch.randn(3, 4), torch.tensor([2, 0])
    mask = torch.tensor([True, False, True])
    two = {"a": nn.Linear(3, 4), "b": nn.Linear(4, 2)}
    cases = {
        "a layer": Net(lambda s, x: s.fc(x), **linear()),
        "several targets": Net(lambda s, x: s.fc(x), **linear(2)),
        "two layers": Net(lambda s, x: s.b(s.a(x)), **two),
        "a list of layers": Net(lambda s, x: s.of[1](s.of[0](x)), of=nn.ModuleList(two.values())),
        "a Sequential inside": Net(lambda s, x: s.of(x), of=nn.Sequential(*two.values())),
        "a Sequential of it": nn.Sequential(Doubled(3, 2), nn.Linear(2, 1)),
        "a derived layer": Doubled(3, 1),
        "a derived layer like its kind": Named(3, 1),
        "no bias": Net(lambda s, x: s.fc(x), fc=nn.Linear(3, 1, bias=False)),
        "a parameter": Net(lambda s, x: x @ s.w, w=w),
        "a matrix": Net(lambda s, x: x @ s.w, w=wide),
        "a matrix in a line": Net(lambda s, x: x.matmul(s.w).add(s.b), w=wide, b=torch.randn(4)),
        "mm": Net(lambda s, x: torch.mm(x, s.w), w=wide),
        "addmm": Net(
            lambda s, x: torch.addmm(s.b, x, s.w, beta=2, alpha=0.5), w=wide, b=torch.randn(4)
        ),
        "einsum": Net(lambda s, x: torch.einsum("nc,co->no", x, s.w), w=wide),
        "einsum to a line": Net(lambda s, x: torch.einsum("nc,c->n", x, s.w), w=w),
        "einsum turned": Net(lambda s, x: torch.einsum("co,nc->no", s.w, x), w=wide),
        "tensordot": Net(lambda s, x: torch.tensordot(x, s.w, dims=1), w=wide),
        "inner": Net(lambda s, x: torch.inner(x, s.w), w=w),
        "mv": Net(lambda s, x: x.mv(s.w), w=w),
        "bmm": Net(lambda s, x: torch.bmm(s.w[None], x.T[None])[0].T, w=wide.T),
        "a product and a sum": Net(lambda s, x: (x * s.w).sum(1), w=w),
        "a sum that stays": Net(lambda s, x: (x * s.w).sum(-1, keepdim=True), w=w),
        "a mean": Net(lambda s, x: (x * s.w).mean(dim=1), w=w),
        "a running sum": Net(lambda s, x: x.cumsum(1) @ s.w, w=w),
        "less its mean": Net(lambda s, x: (x - x.mean(1, keepdim=True)) @ s.w, w=w),
        "functional": Net(lambda s, x: F.linear(x, s.w[None], s.b), w=w, b=torch.randn(1)),
        "transposed": Net(lambda s, x: (s.w[None] @ x.T).T, w=w),
        "columns": Net(lambda s, x: s.fc(x)[:, :1] - s.fc(x)[:, 1:2], **linear(2)),
        "one column": Net(lambda s, x: s.fc(x)[:, 1], **linear(2)),
        "columns by number": Net(lambda s, x: s.fc(x)[:, s.ix], ix=ix, **linear(3)),
        "columns by a list": Net(lambda s, x: s.fc(x)[:, [2, 0]], **linear(3)),
        "columns by a mask": Net(
            lambda s, x: s.fc(x[:, s.mask] @ s.v), mask=mask, v=wide[:2, :3], **linear()
        ),
        "index_select": Net(lambda s, x: s.fc(x).index_select(1, s.ix), ix=ix, **linear(3)),
        "flipped": Net(lambda s, x: s.fc(x.flip(1)), **linear()),
        "rolled": Net(lambda s, x: s.fc(x.roll(1, dims=1)), **linear()),
        "narrow": Net(lambda s, x: s.fc(x).narrow(1, 1, 2), **linear(3)),
        "split": Net(lambda s, x: sum(s.fc(x).split(1, dim=1)), **linear(3)),
        "chunks": Net(lambda s, x: torch.stack(s.fc(x).chunk(2, 1)).sum(0), **linear(4)),
        "unbound": Net(lambda s, x: s.fc(x).unbind(1)[1], **linear(3)),
        "cat": Net(lambda s, x: s.fc(torch.cat([x[:, 1:], x[:, :1]], dim=1)), **linear()),
        "a column of ones": Net(
            lambda s, x: torch.cat([x, torch.ones(x.shape[0], 1)], 1) @ s.w4 + x @ s.w,
            w=w, w4=torch.randn(4),
        ),
        "stack": Net(lambda s, x: torch.stack([s.fc(x)[:, 0], x[:, 2]], dim=1), **linear()),
        "repeated": Net(lambda s, x: x.repeat(1, 2) @ torch.cat([s.w, s.w]) + x @ s.w, w=w),
        "expanded": Net(lambda s, x: (s.w.expand(x.shape[0], 3) * x).sum(1), w=w),
        "padded": Net(lambda s, x: F.pad(s.fc(x), (1, 0), value=3.0), **linear()),
        "squeezed": Net(lambda s, x: s.fc(x).squeeze(-1), **linear()),
        "squeezed whole": Net(lambda s, x: s.fc(x).squeeze(), **linear()),
        "flattened": Net(lambda s, x: s.fc(torch.flatten(x, 1)), **linear()),
        "view": Net(lambda s, x: s.fc(x).view(-1), **linear()),
        "a view and back": Net(
            lambda s, x: (s.fc(x).view(x.size(0), 2, 2) * s.k).reshape(x.size(0), -1),
            k=torch.randn(2, 2), **linear(4),
        ),
        "BatchNorm": Net(lambda s, x: s.fc(s.bn(x)), bn=normalising(), **linear()),
        "BatchNorm after": Net(lambda s, x: s.bn(s.fc(x)), bn=normalising(2), **linear(2)),
        "BatchNorm without affine": Net(
            lambda s, x: s.fc(s.bn(x)), bn=normalising(affine=False), **linear()
        ),
        "a residual block": nn.Sequential(Residual(3), Residual(3), nn.Linear(3, 1)),
        "Dropout": Net(lambda s, x: s.fc(s.drop(x)), drop=nn.Dropout(0.5), **linear()),
        "standardised": Net(
            lambda s, x: s.fc((x - s.w) / s.s), w=w, s=torch.rand(3) + 0.5, **linear()
        ),
        "numbers of Python": Net(lambda s, x: 3 - s.fc(x) * 0.1 / 7, **linear()),
        "constants in the code": Net(lambda s, x: s.fc(x) + torch.tensor([1.5, 2.5]), **linear(2)),
        "constants computed": Net(lambda s, x: x @ F.softplus(s.w), w=w),
        "addcmul": Net(lambda s, x: torch.addcmul(s.b, x, s.w, value=0.5), w=w, b=torch.randn(3)),
        "a choice by constants": Net(
            lambda s, x: torch.where(s.mask, x, 2 * x) @ s.w, mask=mask, w=w
        ),
        "masked": Net(lambda s, x: s.fc(x.masked_fill(s.mask, 0.5)), mask=mask, **linear()),
        "written into": Net(lambda s, x: s.fc(filled(s, x)), **linear()),
        "grown in a loop": Net(grown, w=w, known=torch.empty(3)),
        "in float64 within": Net(lambda s, x: s.fc(x).double() * 3, **linear()),
        "without gradients": Net(quiet, **linear()),
        "a convolution": Net(
            lambda s, x: s.fc(s.by(s.conv(x[:, None])).flatten(1)),
            conv=nn.Conv1d(1, 2, 2, padding=1), by=nn.Conv1d(2, 2, 1, groups=2),
            fc=nn.Linear(8, 1), known=torch.empty(3),
        ),
        "a dictionary": Net(lambda s, x: {"predictions": s.fc(x)}, **linear()),
    }  # fmt: skip
    return {name: module.eval() for name, module in cases.items()}


def branching(s, x):
    return s.fc(x) if x.sum() > 0 else -s.fc(x)


def counting(s, x):
    s.n += 1
    return s.fc(x)


REFUSED = {
    "relu": (lambda s, x: s.fc(x).relu(), r"relu \(affine_modules.py line \d+: .*\) is not known"),
    "a layer": (lambda s, x: s.act(s.fc(x)), r"relu \(layer act, a ReLU; .*\) is not known"),
    "sigmoid": (lambda s, x: torch.sigmoid(s.fc(x)), "sigmoid"),
    "tanh": (lambda s, x: s.fc(x).tanh(), "tanh"),
    "exp": (lambda s, x: s.fc(x).exp(), "exp"),
    "log1p": (lambda s, x: s.fc(x).log1p(), "log1p"),
    "abs": (lambda s, x: s.fc(x).abs(), "abs"),
    "clamp": (lambda s, x: s.fc(x).clamp(min=0), "clamp"),
    "round": (lambda s, x: s.fc(x).round(), "round"),
    "floor": (lambda s, x: s.fc(x) // 2, "rounds to whole numbers|floor"),
    "sign": (lambda s, x: s.fc(x).sign(), "sign"),
    "gelu": (lambda s, x: F.gelu(s.fc(x)), "gelu"),
    "softmax": (lambda s, x: s.fc(x).softmax(1), "softmax"),
    "a square": (lambda s, x: s.fc(x) ** 2, "pow|multiplies values"),
    "a product": (lambda s, x: s.fc(x) * x.sum(1, keepdim=True), "mul .*multiplies values"),
    "an einsum": (lambda s, x: torch.einsum("nc,nc->n", x, s.fc(x) + x), "multiplies values"),
    "a quotient": (lambda s, x: s.fc(x) / (x.sum(1, keepdim=True) + 1), "div .*divides by what"),
    "a norm": (lambda s, x: s.fc(F.normalize(x)), "linalg_vector_norm|pow"),
    "LayerNorm": (lambda s, x: s.ln(s.fc(x) + x), "normalises each row by its own deviation"),
    "the largest": (lambda s, x: s.fc(x).expand(-1, 2).amax(1), "amax"),
    "sorted": (lambda s, x: s.fc(x.sort(1).values), "sort"),
    "a threshold": (lambda s, x: torch.where(x > 0, s.fc(x), 2 * s.fc(x)), "gt .*is not known"),
    "whole numbers": (lambda s, x: s.fc(x).int().float(), "_to_copy .*makes whole numbers"),
    "random": (lambda s, x: s.fc(x) + torch.rand(1), "rand .*draws random numbers"),
    "dropping": (lambda s, x: s.fc(F.dropout(x, 0.5, True)), "native_dropout .*drops values"),
    "across rows": (lambda s, x: s.fc(x) - s.fc(x).mean(), "mean .*adds up rows"),
    "rows joined": (lambda s, x: s.fc(x).view(1, -1) * 2, "does not return one row of predictions"),
    "the first row": (lambda s, x: s.fc(x) + s.fc(x)[0], "chooses rows"),
    "rows turned": (lambda s, x: s.fc(x.flip(0)), "turns round the rows"),
    "the number of rows": (lambda s, x: s.fc(x) * x.shape[0], "computes with the number of rows"),
    "a number taken out": (lambda s, x: s.fc(x) + x[0, 0].item(), "chooses rows|takes a number"),
    "a branch": (branching, r"does one thing or another as the input's values are.*line \d+: `"),
    "cond": (
        lambda s, x: torch.cond(x.sum() > 0, lambda h: s.fc(h), lambda h: -s.fc(h), (x,)),
        "adds up rows",
    ),
    "some rows": (lambda s, x: s.fc(x) if x.shape[0] > 4 else -s.fc(x), "by the number of rows"),
    "one row": (lambda s, x: s.fc(x) if x.shape[0] > 1 else -s.fc(x), "one, or several"),
    "len": (lambda s, x: s.fc(x).view(len(x)), r"ask for x\.shape\[0\], not for len\(x\)"),
    "a count": (counting, "changes its buffer 'n' when it predicts"),
    "two results": (lambda s, x: (s.fc(x), x), "returns 2 things"),
    "no forward": (lambda s, x: s.missing(x), "has no attribute 'missing'"),
    "NumPy": (lambda _, x: torch.tensor(x.numpy()), r"numpy\(\) is not supported"),
}  # fmt: skip


def refused(forward) -> nn.Module:
    return Net(
        forward, act=nn.ReLU(), ln=nn.LayerNorm(3), n=torch.tensor(0), fc=nn.Linear(3, 1)
    ).eval()
