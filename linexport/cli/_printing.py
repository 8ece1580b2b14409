"""What a command found, printed: lines and tables, the proof of an export, and the exit status.

Tables are drawn by rich on a terminal, which alone loads it, and are plain text everywhere else.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from linexport.cli._failing import DISAGREES, FAILED
from linexport.cli._terminal import echo, has_colors, is_terminal, one_line

if TYPE_CHECKING:
    from linexport.fit import Coefficients
    from linexport.parity import Certificate, Verdict
    from linexport.pipeline import Exported
    from linexport.reporting import Block, Table

COLORS: "dict[Verdict, str]" = {
    "proven": "green", "consistent": "yellow", "too coarse": "red", "not checked": "yellow",
    "disagrees": "red",
}  # fmt: skip


def echo_blocks(blocks: "Iterable[Block]") -> None:
    """Print lines and tables on standard output."""
    drawn = is_terminal()
    for block in blocks:
        if isinstance(block, str):
            echo(one_line(block))
        elif drawn:
            _draw(block)
        else:
            for line in block.lines():
                echo(one_line(line))


def echo_verdict(certificate: "Certificate") -> None:
    """Print its verdict in a sentence, in colour where the terminal has any."""
    from linexport.reporting import conclusion

    verdict, rest = one_line(conclusion(certificate)).split(":", 1)
    echo(click.style(verdict, fg=COLORS[certificate.verdict], bold=True) + ":" + rest)


def exit_by_verdict(certificate: "Certificate") -> None:
    """Exit with the status that says so if a runtime disagrees, or could not be asked."""
    if not certificate.passed:
        status = FAILED if certificate.verdict == "not checked" else DISAGREES
        click.get_current_context().exit(status)


def echo_exported(
    exported: "Exported",
    *,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    before: Sequence[str] = (),
    truth: "Mapping[str, Coefficients] | None" = None,
) -> None:
    """Print what was exported, and exit by its verdict.

    Args:
        exported: The bundle and its proof.
        as_json: Print one document.
        quiet: Print the verdict alone, and what is wrong.
        verbose: Print all that is known.
        before: Lines that come first, where all is printed.
        truth: The true coefficients, where they are known.
    """
    from linexport import reporting

    for warning in exported.warnings:
        click.echo(f"warning: {warning}", err=True)
    certificate = exported.certificate
    bundle = None if exported.path is None else str(exported.path)
    found = (exported.stated, certificate)
    if as_json:
        document = reporting.training_document(
            bundle, *found, exported.precision, exported.warnings
        )
        echo(reporting.render(document))
    elif quiet:
        echo_blocks(certificate.failures)
        echo_verdict(certificate)
    else:
        if verbose:
            blocks = [*before, *reporting.training_blocks(*found, exported.precision, truth)]
        else:
            blocks = reporting.short_blocks(*found, truth)
        echo_blocks(blocks)
        echo_verdict(certificate)
        echo_blocks(reporting.bundle_lines(bundle))
    exit_by_verdict(certificate)


def _draw(table: "Table") -> None:
    """Draw a table as wide as the terminal allows."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for name, numeric in zip(table.header, table.numeric, strict=True):
        drawn.add_column(Text(one_line(name)), justify="right" if numeric else "left")
    for row in table.rows:
        drawn.add_row(*(Text(one_line(cell)) for cell in row))
    Console(color_system="auto" if has_colors() else None).print(drawn)
