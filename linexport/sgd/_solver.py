"""Minibatch stochastic gradient descent.

Two ways to train, told apart by whether the features are standardized. *As the textbook*: the
settings are constants, by default batches of 10, learning rate 0.03, 3 epochs. *To arrive*: the
settings follow a schedule made from the data, until every coefficient is within a hundredth of its
standard error of the least-squares optimum. docs/training.md derives the schedule.

N rows, D features, K targets.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from linexport.errors import DataError, UnavailableError
from linexport.fit import Setting
from linexport.least_squares import ARRIVED, Optimum, merge_all, optimum
from linexport.model import LinearModel
from linexport.numerics import precision_of
from linexport.rows import Dataset, TrainingRows
from linexport.sgd._arrays import suited
from linexport.sgd._arrival import Arrival, parameters, regularized
from linexport.sgd._closed_form import ClosedForm
from linexport.sgd._config import SGDConfig
from linexport.sgd._data_parallel import DataParallel, SharedBatches
from linexport.sgd._descent import Descent, descend
from linexport.sgd._devices import resolve_device
from linexport.sgd._progress import OnEpoch
from linexport.sgd._schedule import Curvature, Pace, Schedule
from linexport.sgd._shuffling import ShuffledRows, augment
from linexport.sgd._stepping import Autograd, EpochRunner, LoaderBatches, Scaler, new_module

__all__ = ["SGDFit", "fit_sgd"]

TEXTBOOK = Pace(batch_size=10, learning_rate=0.03, momentum=0.0)
TEXTBOOK_EPOCHS = 3


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SGDFit:
    """What came of the training."""

    model: LinearModel
    """Float64; with a scaler where the features were standardized."""
    module: nn.Linear
    """As trained: where features were standardized, it takes and gives standardized values."""
    gradients: dict[str, Tensor]
    """The last minibatch's, by parameter name."""
    settings: dict[str, Setting]
    """As used."""
    optimum: Optimum
    """Least squares on the same rows."""
    warnings: tuple[str, ...] = ()


def fit_sgd(
    rows: TrainingRows, config: SGDConfig, *, dtype: str, on_epoch: OnEpoch | None
) -> SGDFit:
    """Train on the rows.

    Args:
        rows: From `read_rows`.
        config: Settings.
        dtype: The artifact's, which the textbook's way trains in.
        on_epoch: Called after each epoch.

    Raises:
        TrainingError: If it diverges, or the features are linearly dependent.
        UnavailableError: If there is no such device, or it cannot compute in the dtype.
    """
    standardize = config.standardize
    if standardize is None:
        standardize = rows.dataset.true_weight is None
    device = resolve_device(config.device, rows.ranks)
    precision = _precision(config, device, dtype, standardize=standardize)
    combine = None if rows.ranks.size == 1 else merge_all(rows.ranks.gather)
    best = optimum(rows.dataset, combine=combine)
    training = _Training(rows, config, best, device, precision, on_epoch)
    return _arrive(training) if standardize else _as_textbook(training)


def _precision(config: SGDConfig, device: torch.device, dtype: str, *, standardize: bool) -> str:
    if config.dtype is None and standardize:
        return "float32" if device.type == "mps" else "float64"
    precision = config.dtype or dtype
    if device.type == "mps" and precision == "float64":
        raise UnavailableError("Device mps has no float64. Use --dtype float32 or --device cpu.")
    return precision


@dataclass(frozen=True, slots=True, eq=False)
class _Training:
    """What both ways to train have in common."""

    rows: TrainingRows
    config: SGDConfig
    best: Optimum
    device: torch.device
    precision: str
    on_epoch: OnEpoch | None

    @property
    def batch_size(self) -> int | None:
        """The one that is fixed: by the user, or by the loader."""
        return max(self.rows.batch_sizes, default=None) or self.config.batch_size

    def start(self, scaler: Scaler | None, *, remedy: str) -> Descent:
        """Return where the descent starts, with features and targets scaled."""
        dtype: torch.dtype = getattr(torch, self.precision)
        generator = torch.Generator().manual_seed(self.config.seed)
        dataset, loader = self.rows.dataset, self.rows.loader
        features, targets = (
            torch.tensor(dataset.feature_values),
            torch.tensor(dataset.target_values),
        )
        if scaler is not None:
            features, targets = scaler.apply(features, targets)
        num_features, num_targets = features.shape[1], targets.shape[1]
        table = augment(features, targets, dtype=dtype, device=self.device)
        module = new_module(
            num_features, num_targets, dtype=dtype, device=self.device, generator=generator
        )
        weight_decay = self.config.weight_decay
        runner: EpochRunner
        if loader is not None:
            batches = LoaderBatches(loader, scaler=scaler, dtype=dtype, device=self.device)
            runner = Autograd(module, batches, weight_decay=weight_decay)
        elif self.rows.ranks.size > 1:
            runner = self._data_parallel(module, table, generator)
        else:
            rows = ShuffledRows(suited(table), generator)
            runner = ClosedForm(module, rows, weight_decay=weight_decay)
        return Descent(
            module=module,
            features=table[:, :num_features],
            targets=table[:, num_features + 1 :],
            runner=runner,
            weight_decay=weight_decay,
            remedy=remedy,
            ranks=self.rows.ranks,
        )

    def _data_parallel(
        self, module: nn.Linear, table: Tensor, generator: torch.Generator
    ) -> DataParallel:
        ranks = self.rows.ranks
        counts = ranks.gather(np.array([float(len(table))])).flatten()
        batches = SharedBatches(
            table[:, : module.in_features],
            table[:, module.in_features + 1 :],
            generator,
            first_row=int(counts[: ranks.rank].sum()),
            num_rows=int(counts.sum()),
        )
        return DataParallel(module, batches, ranks, weight_decay=self.config.weight_decay)

    def settings(self, paces: list[Pace], *, standardize: bool) -> dict[str, Setting]:
        """Return what was used."""
        first, last = paces[0]._asdict(), paces[-1]._asdict()
        return {
            "epochs": len(paces),
            **first,
            **{f"last_{name}": value for name, value in last.items() if value != first[name]},
            "weight_decay": self.config.weight_decay,
            "standardize": standardize,
            "seed": self.config.seed,
            "device": str(self.device),
            "dtype": self.precision,
        }


def _as_textbook(training: _Training) -> SGDFit:
    config, dataset = training.config, training.rows.dataset
    pace = Pace(
        batch_size=training.batch_size or TEXTBOOK.batch_size,
        learning_rate=config.learning_rate or TEXTBOOK.learning_rate,
        momentum=config.momentum or TEXTBOOK.momentum,
    )
    epochs = config.epochs or TEXTBOOK_EPOCHS
    descent = training.start(None, remedy="standardize the features (--standardize)")
    paces = descend(
        descent,
        itertools.repeat(pace, epochs),
        expected_epochs=epochs,
        arrived=lambda: False,
        on_epoch=training.on_epoch,
    )
    weight, bias = parameters(descent.module)
    return SGDFit(
        model=LinearModel(
            weight=weight, bias=bias, features=dataset.features, targets=dataset.targets
        ),
        module=descent.module,
        gradients=descent.runner.gradients(),
        settings=training.settings(paces, standardize=False),
        optimum=training.best,
    )


def _check_scales(dataset: Dataset, best: Optimum) -> None:
    """Refuse columns that vary so little that one over it is beyond float64."""
    scales = np.concatenate([best.scale, best.target_scale])
    for column, scale in zip((*dataset.features, *dataset.targets), scales, strict=True):
        if not np.isfinite(scale):
            raise DataError(
                "It varies by less than float64 can divide by; give it in another unit.",
                source=dataset.source,
                column=column.name,
            )


def _arrive(training: _Training) -> SGDFit:
    config, dataset, best = training.config, training.rows.dataset, training.best
    _check_scales(dataset, best)
    moments = (best.mean, best.scale, best.target_mean, best.target_scale)
    descent = training.start(
        Scaler(*map(torch.tensor, moments)),
        remedy="leave it out" if config.learning_rate else "shuffle the rows",
    )
    ridge = config.weight_decay * len(best.bias) / 2
    schedule = _schedule(training, descent, ridge=ridge)
    destination = regularized(best, descent.features, ridge=ridge, ranks=descent.ranks)
    arrival = Arrival(descent.module, destination, best)
    reduction = arrival.reduction()
    paces = descend(
        descent,
        itertools.islice(schedule.paces(), config.epochs or schedule.most_epochs(reduction)),
        expected_epochs=config.epochs or schedule.expected_epochs(reduction),
        arrived=lambda: config.epochs is None and arrival.reached(),
        on_epoch=training.on_epoch,
    )
    weight, bias = parameters(descent.module)
    short = config.epochs is None and not arrival.reached()
    return SGDFit(
        model=LinearModel(
            weight=weight / best.target_scale[:, None],
            bias=bias / best.target_scale + best.target_mean,
            mean=best.mean,
            scale=best.scale,
            features=dataset.features,
            targets=dataset.targets,
        ),
        module=descent.module,
        gradients=descent.runner.gradients(),
        settings=training.settings(paces, standardize=True),
        optimum=best,
        warnings=(_falls_short(arrival, schedule, len(paces), best),) if short else (),
    )


def _schedule(training: _Training, descent: Descent, *, ridge: float) -> Schedule:
    eigenvalues = training.best.gram_eigenvalues
    unit_roundoff = precision_of(training.precision).unit_roundoff
    num_features = descent.features.shape[1]
    # Rounding the features to the precision moves eigenvalues by so much.
    slack = 2 * (num_features + 1) * unit_roundoff
    lengths = torch.linalg.vector_norm(descent.features, dim=1).to("cpu", torch.float64).numpy()
    longest = float(descent.ranks.gather(lengths.max(initial=0.0, keepdims=True)).max())
    sizes = training.rows.batch_sizes
    return Schedule(
        num_rows=descent.num_rows(),
        num_targets=descent.targets.shape[1],
        curvature=Curvature(
            smallest=float(eigenvalues[0]) + ridge,
            largest=(float(eigenvalues[-1]) + ridge) * (1 + slack),
            row=longest**2 + 1 + ridge,
        ),
        unit_roundoff=unit_roundoff,
        batch_size=training.batch_size,
        learning_rate=training.config.learning_rate,
        momentum=training.config.momentum,
        mean_batch_size=len(sizes) / sum(1 / size for size in sizes) if sizes else None,
    )


def _falls_short(arrival: Arrival, schedule: Schedule, epochs: int, best: Optimum) -> str:
    if schedule.keeps_noise:
        remedy = "A batch size and a learning rate that are both fixed keep it there: leave one out"
    elif schedule.decays:
        remedy = f"Batches of {schedule.batch_size} take long to arrive: leave the batch size out"
    elif schedule.learning_rate or schedule.momentum:
        remedy = "Leave learning rate and momentum out: they are then chosen from the data"
    else:
        remedy = (
            f"Some features are nearly linear in others (condition number "
            f"{best.condition_number:.1e}): exclude one"
        )
    distance = arrival.standard_errors()
    where = (
        "has not come to the optimum as close as float64 can, and the data fit exactly"
        if math.isnan(distance)
        else f"is {distance:.2g} standard errors from the optimum, and not within {ARRIVED:g}"
    )
    return f"After {epochs} epochs SGD {where}. {remedy}, or use least squares, which is exact."
