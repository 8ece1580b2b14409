"""The figures of a report, as SVG that takes its colours from the page around it.

matplotlib draws, in the colours of its style. For a page that style has placeholders, which become
names of CSS variables, so that one drawing is right by day and by night. Points are strokes of no
length with round ends: the smallest that SVG can say.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from linexport._arrays import Float64Array
from linexport._files import first_line
from linexport.errors import ModelError, shortened
from linexport.fit import TargetStatistics
from linexport.reporting._certificate import base_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from linexport.bundle import ErrorBudget
    from linexport.parity import Certificate

_COLOURS = {"ink": "#010101", "grid": "#020202", "first": "#030303", "second": "#040404",
            "third": "#050505", "fourth": "#060606", "paper": "#070707"}  # fmt: skip
_INK, _GRID, *_CYCLE, _PAPER = _COLOURS.values()
_FIRST, _SECOND, _THIRD, _FOURTH = "C0", "C1", "C2", "C3"
_BY_PART = (_FIRST, _SECOND)
MOST_BARS = 30


@dataclass(frozen=True, slots=True)
class Figure:
    """One drawing, and what it shows in words."""

    title: str
    says: str
    """A sentence for whoever cannot see it, and for whoever can."""
    draw: "Callable[[Axes], None]"
    """In whatever style matplotlib has."""
    height: float = 3.6
    """Inches, of a width of 6.4."""

    @property
    def svg(self) -> str:
        """The drawing in the page's colours.

        Raises:
            UnavailableError: If matplotlib is not installed.
            ModelError: If the numbers are on no scale, as where one is 1e308.
        """
        try:
            return _svg(self)
        except (OverflowError, ValueError) as error:  # of matplotlib's ticks
            raise ModelError(
                f"The figure '{shortened(self.title)}' cannot be drawn: its numbers are on no "
                f"scale ({first_line(error)})."
            ) from error


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sampled:
    """Some rows of one part of the data, of one target."""

    part: str
    truth: Float64Array
    """Shape (n,), target units."""
    prediction: Float64Array
    """Shape (n,), target units."""
    leverage: Float64Array | None
    """Shape (n,), from 0 to 1: how much a row's own value draws its prediction; None if unknown."""


def coefficient_figure(
    statistics: TargetStatistics,
    deviations: Mapping[str, float],
    confidence: float,
    unit: str,
    of: str,
) -> Figure:
    """Draw each coefficient, times its feature's standard deviation, with its interval."""
    known = {n: s for n, s in statistics.features.items() if deviations.get(n)}
    effects = {n: s.estimate * deviations[n] for n, s in known.items()}
    names = sorted(effects, key=lambda name: -abs(effects[name]))[:MOST_BARS]

    def draw(axes: "Axes") -> None:
        axes.axvline(0, color=_ink(), linewidth=1)
        for place, name in enumerate(reversed(names)):
            each, scale = known[name], deviations[name]
            if each.lower is not None and each.upper is not None:
                ends = [each.lower * scale, each.upper * scale]
                axes.plot(ends, [place, place], color=_FIRST, linewidth=2)
            axes.plot([effects[name]], [place], "o", color=_FIRST, markersize=5)
        axes.set_yticks(range(len(names)), [_short(name) for name in reversed(names)])
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_xlabel(_with_unit("change of the prediction", unit))

    left = f"; the {len(names)} largest of {len(effects)}" if len(effects) > len(names) else ""
    return Figure(
        f"What each feature does{of}",
        f"The change of the prediction for one standard deviation of each feature, with its "
        f"{100 * confidence:.3g} % interval{left}.",
        draw,
        height=0.9 + 0.28 * len(names),
    )


def loss_figure(losses: Sequence[float], first_epoch: int, optimum: float | None) -> Figure:
    """Draw the loss after each epoch, and the least possible."""
    epochs = range(first_epoch, first_epoch + len(losses))

    def draw(axes: "Axes") -> None:
        axes.plot(epochs, losses, "o-", color=_FIRST, markersize=4)
        if optimum is not None:
            axes.axhline(optimum, color=_SECOND, linestyle="--", label="least possible")
            axes.legend()
        if min(losses) > 0 and max(losses) > 20 * min(losses):
            axes.set_yscale("log")
        axes.locator_params("x", integer=True)
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss, mean squared error")

    least = "" if optimum is None else f"; the least possible is {optimum:.4g}"
    return Figure("Training", f"The loss after each epoch ended at {losses[-1]:.4g}{least}.", draw)


def fit_figures(parts: Sequence[Sampled], unit: str, of: str) -> list[Figure]:
    """Draw predictions against the truth, residuals, their distribution, and leverage.

    `of` ends each title, where there are several targets.
    """
    figures = [
        Figure(
            f"Predicted against actual{of}",
            "Each point is a row; on the line the prediction is right.",
            lambda axes: _against_truth(axes, parts, unit),
        ),
        Figure(
            f"Residuals against predictions{of}",
            "A band around zero without a shape is good; a curve or a funnel says that the linear "
            "model misses something.",
            lambda axes: _residuals(axes, parts, unit),
        ),
        Figure(
            f"Normal quantiles of the residuals{of}",
            "On the line where errors are normally distributed, which the intervals assume.",
            lambda axes: _quantiles(axes, parts),
        ),
    ]
    if all(part.leverage is not None for part in parts):
        figures.append(
            Figure(
                f"Leverage{of}",
                "Rows far to the right have unusual features and draw the fit towards themselves; "
                "those far from zero too decide it.",
                lambda axes: _leverage(axes, parts),
            )
        )
    return figures


def certificate_figure(certificate: "Certificate") -> Figure:
    """Draw each runtime's largest distance beside what rounding explains."""
    worst: dict[str, float] = {}
    for runtime in certificate.runtimes:
        name = base_name(runtime)
        worst[name] = max(worst.get(name, 0.0), runtime.worst_fraction)

    def draw(axes: "Axes") -> None:
        names = list(reversed(worst))
        axes.barh(range(len(names)), [worst[name] for name in names], color=_FIRST, height=0.6)
        axes.axvline(1, color=_SECOND, linewidth=2, label="what rounding explains")
        axes.set_yticks(range(len(names)), names)
        if max(worst.values()) > 20:
            axes.set_xscale("symlog")
        axes.set_xlabel("largest distance from the exact prediction, as a part of its bound")
        axes.legend()

    return Figure(
        "The proof",
        "The largest distance of any answer from the exact one, in each runtime: at most "
        f"{max(worst.values()):.3g} of what rounding explains.",
        draw,
        height=1.3 + 0.3 * len(worst),
    )


def budget_figure(budgets: Mapping[str, "ErrorBudget"]) -> Figure:
    """Draw the parts of each target's error budget."""
    parts = {
        "fit: from the optimum": ([b.fit or 0.0 for b in budgets.values()], _FIRST),
        "export: numbers rounded": ([b.export for b in budgets.values()], _SECOND),
        "inputs rounded": ([b.inputs for b in budgets.values()], _THIRD),
        "runtime: while predicting": ([b.runtime for b in budgets.values()], _FOURTH),
    }
    totals = [budget.total or 1.0 for budget in budgets.values()]

    def draw(axes: "Axes") -> None:
        left = np.zeros(len(totals))
        for label, (values, colour) in parts.items():
            share = np.divide(values, totals) * 100
            axes.barh(range(len(totals)), share, left=left, color=colour, label=label, height=0.6)
            left += share
        axes.set_yticks(range(len(totals)), [_short(name) for name in budgets])
        axes.set_xlabel("percent of the budget")
        axes.figure.legend(loc="outside lower center", ncols=2)

    sums = ", ".join(f"{b.total:.2g} for {name}" for name, b in list(budgets.items())[:3])
    return Figure(
        "The error budget",
        f"What the most that a prediction can be off by is made of; together {sums}.",
        draw,
        height=1.9 + 0.3 * len(totals),
    )


def _against_truth(axes: "Axes", parts: Sequence[Sampled], unit: str) -> None:
    for part, colour in zip(parts, _BY_PART, strict=False):
        _points(axes, part.truth, part.prediction, colour, part.part)
    ends = np.array([axes.get_xlim(), axes.get_ylim()])
    line = [ends.min(), ends.max()]
    axes.plot(line, line, color=_ink(), linewidth=1)
    axes.set_xlabel(_with_unit("actual", unit))
    axes.set_ylabel(_with_unit("predicted", unit))
    _legend(axes, parts)


def _residuals(axes: "Axes", parts: Sequence[Sampled], unit: str) -> None:
    for part, colour in zip(parts, _BY_PART, strict=False):
        _points(axes, part.prediction, part.truth - part.prediction, colour, part.part)
    axes.axhline(0, color=_ink(), linewidth=1)
    axes.set_xlabel(_with_unit("predicted", unit))
    axes.set_ylabel(_with_unit("actual - predicted", unit))
    _legend(axes, parts)


def _quantiles(axes: "Axes", parts: Sequence[Sampled]) -> None:
    from scipy.special import ndtri

    most = 2.0
    for part, colour in zip(parts, _BY_PART, strict=False):
        residuals = np.sort(part.truth - part.prediction)
        spread = residuals.std() or 1.0
        normal = ndtri((np.arange(len(residuals)) + 0.5) / len(residuals))
        most = max(most, float(np.abs(normal).max()))
        _points(axes, normal, (residuals - residuals.mean()) / spread, colour, part.part)
    axes.plot([-most, most], [-most, most], color=_ink(), linewidth=1)
    axes.set_xlabel("normal quantile")
    axes.set_ylabel("residual, in standard deviations")
    _legend(axes, parts)


def _leverage(axes: "Axes", parts: Sequence[Sampled]) -> None:
    for part, colour in zip(parts, _BY_PART, strict=False):
        residuals = part.truth - part.prediction
        spread = residuals.std() or 1.0
        assert part.leverage is not None
        _points(axes, part.leverage, residuals / spread, colour, part.part)
    axes.axhline(0, color=_ink(), linewidth=1)
    axes.set_xlabel("leverage")
    axes.set_ylabel("residual, in standard deviations")
    _legend(axes, parts)


def _points(axes: "Axes", x: Float64Array, y: Float64Array, colour: str, label: str) -> None:
    """Draw points as one path: a stroke of nearly no length has round ends, and is a disc."""
    gap = np.full(len(x), np.nan)
    ends = x + 1e-4 * (np.ptp(x) or 1.0)  # none at all would be no stroke for some backends
    path = (np.column_stack([*part, gap]).ravel() for part in ((x, ends), (y, y)))
    width = 6 if len(x) < 100 else 3.5
    (line,) = axes.plot(*path, color=colour, linewidth=width, solid_capstyle="round", label=label)
    line.set_snap(False)
    line.get_path().should_simplify = False


def _legend(axes: "Axes", parts: Sequence[Sampled]) -> None:
    if len(parts) > 1:
        axes.legend()


def _ink() -> Any:
    """Return the colour of text in the style in use."""
    import matplotlib as mpl

    return mpl.rcParams["text.color"]


def _svg(figure: Figure) -> str:
    import matplotlib as mpl
    from cycler import cycler
    from matplotlib.figure import Figure as Drawing

    style: Any = {
        "svg.fonttype": "none", "svg.hashsalt": figure.title, "font.family": "sans-serif",
        "font.size": 11, "axes.prop_cycle": cycler(color=_CYCLE),
        "text.color": _INK, "axes.labelcolor": _INK, "axes.edgecolor": _GRID, "xtick.color": _INK,
        "ytick.color": _INK, "axes.grid": True, "grid.color": _GRID, "grid.linewidth": 0.6,
        "axes.axisbelow": True, "axes.facecolor": "none", "figure.facecolor": "none",
        "legend.facecolor": _PAPER, "legend.edgecolor": _GRID, "legend.framealpha": 1.0,
        "axes.spines.top": False, "axes.spines.right": False, "text.parse_math": False,
    }  # fmt: skip
    with mpl.rc_context(style):
        drawing = Drawing(figsize=(6.4, figure.height), layout="constrained")
        figure.draw(drawing.add_subplot())
        written = io.StringIO()
        drawing.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return _for_page(written.getvalue(), figure.title, figure.says)


def _for_page(svg: str, title: str, says: str) -> str:
    """Return the drawing alone, named for screen readers, in the page's colours and size."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<svg [^>]*viewBox="([^"]*)"[^>]*>', _opening(title, says), svg, count=1)
    for name, colour in _COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    svg = svg.replace("font-family: sans-serif", "font-family: inherit")
    # Parts of one drawing refer to each other by name; all drawings are on one page.
    mark = re.sub(r"\W", "", title)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{mark}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{mark}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{mark}-\1)", svg)
    # A hundredth of a point is less than a screen shows.
    return re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), svg)


def _opening(title: str, says: str) -> Callable[[re.Match[str]], str]:
    label = escape(f"{title}. {says}", quote=True)
    return lambda found: (
        f'<svg role="img" aria-label="{label}" viewBox="{found[1]}" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:22]}..."


def _with_unit(text: str, unit: str) -> str:
    return f"{text}, {unit}" if unit else text
