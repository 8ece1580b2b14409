"""The command line as a whole: help, exit status, errors, imports."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import click
import pytest

from linexport import verify
from linexport.cli._main import COMMANDS, linexport
from linexport.errors import DataError, ParityError

TEXTBOOK = Path(__file__).parent.parent.parent / "models" / "textbook"


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_help_lists_every_command_module_and_nothing_else():
    folder = Path(import_module("linexport.cli").__file__).parent
    modules = {path.stem.replace("_", "-") for path in folder.glob("[a-z]*.py")}
    assert modules == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(run, name):
    outcome = run(name, "--help")
    assert outcome.status == 0
    command = linexport.get_command(click.Context(linexport), name)
    for parameter in command.get_params(click.Context(command)):
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts[0]} has no help"
            assert f"{parameter.opts[-1]} " in outcome.output or parameter.hidden


def test_help_lists_options_once_under_what_they_are_for(run):
    text = run("train-and-export", "--help").output
    headings = [line for line in text.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == [
        "Data:", "How CSV is written:", "Fit:", "With --solver lstsq:", "With --solver sgd:",
        "Parity check:", "What is written:", "What is printed:", "Options:",
    ]  # fmt: skip
    flags = re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.MULTILINE)
    assert len(flags) == len(set(flags)) > 30
    assert "Step size.  [default: 0.03; above 0]" in text
    assert "\n  MODEL" not in run("predict", "--help").output.partition("Options:")[2]


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)])
def test_help_opens_with_an_example_and_ends_with_the_exit_statuses(run, arguments):
    lines = run(*arguments, "--help").output.splitlines()
    example = lines[0].removeprefix("Example: ").split()
    assert example[:1] + arguments == example[: len(arguments) + 1]
    last = " ".join(lines[-2:])
    assert re.search(r"Exit status: 0 done, .*2 misuse, 3 could not be done, 130 interrupted", last)
    judging = [
        [],
        *([name] for name in ("evaluate", "export", "fit", "train-and-export", "verify")),
    ]
    assert (", 1 " in last) == (arguments in judging)


def test_the_examples_of_help_are_commands_that_exist(run):
    for name in COMMANDS:
        command = linexport.get_command(click.Context(linexport), name)
        _, called, *arguments = command.example.split()
        assert called == name
        command.make_context(name, arguments)  # raises if an option or argument is not there


def test_without_a_command_it_says_in_ten_lines_what_to_do_first(run):
    outcome = run()
    assert (outcome.status, outcome.errors) == (0, "")
    lines = outcome.output.splitlines()
    assert len(lines) == 10
    called = [line.split()[1] for line in lines if line.startswith("  linexport ")]
    assert set(called) <= set(COMMANDS)
    assert called[0] == "train-and-export"


@pytest.mark.parametrize(
    ("name", "meant"), [("verfy", "verify"), ("train", "train-and-export"), ("zzz", None)]
)
def test_a_command_that_is_misspelt_is_asked_after(run, name, meant):
    last = run(name).errors.splitlines()[-1]
    question = f" Did you mean {meant}?" if meant else ""
    assert last == f"Error: No such command '{name}'.{question}"


def completed(directory, line):
    """What Bash is offered after a line, whose last word may be empty."""
    words = line.split(" ")
    done = subprocess.run(
        [sys.executable, "-c", "from linexport.cli import main; main()"],
        cwd=directory,
        env={
            **os.environ,
            "_LINEXPORT_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_a_shell_completes_commands_files_and_columns(tmp_path):
    (tmp_path / "flats.csv").write_text("area,age,rent\n1,2,3\n")
    train = "linexport train-and-export --data"
    assert completed(tmp_path, "linexport pre") == ["plain,predict"]
    assert completed(tmp_path, f"{train} fla") == ["file,fla"]
    assert completed(tmp_path, "linexport describe fla") == ["file,fla"]
    columns = ["plain,area", "plain,age", "plain,rent"]
    assert completed(tmp_path, f"{train} flats.csv --target ") == columns
    assert completed(tmp_path, f"{train} flats.csv --target r") == columns[2:]
    assert completed(tmp_path, f"{train} flats.csv --features rent,a") == [
        "plain,rent,area",
        "plain,rent,age",
    ]
    assert completed(tmp_path, f"{train} flats.csv --weights ag") == columns[1:2]
    assert completed(tmp_path, "linexport predict model flats.csv --keep a") == columns[:2]
    assert completed(tmp_path, f"{train} nothing.csv --target ") == []
    assert completed(tmp_path, f"{train} - --target ") == []


@pytest.mark.parametrize("arguments", [["no-such-command"], ["verify"], ["predict", "--no-such"]])
def test_misuse_is_status_2(run, arguments):
    outcome = run(*arguments)
    assert outcome.status == 2
    assert "Usage:" in outcome.errors


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (DataError("It is empty.", source="a.csv", row=3), 3, "error: a.csv, row 3: It is empty."),
        (ParityError("It disagrees."), 1, "error: It disagrees."),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_become_a_line_and_a_status(run, monkeypatch, error, status, line):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(click.Group, "invoke", fail)
    outcome = run("inspect", "anything")
    assert (outcome.status, outcome.errors.strip(), outcome.output) == (status, line, "")


@pytest.mark.parametrize("error", [RuntimeError("no\nway"), BaseException("panic")])
def test_a_fault_of_our_own_is_no_negative_verdict(run, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(click.Group, "invoke", fail)
    outcome = run("inspect", "anything")
    assert (outcome.status, outcome.output) == (70, "")
    assert outcome.errors.startswith(
        "error: This is a fault of linexport, not yours: "
        f"{type(error).__name__} in test_main.py, line "
    )
    assert outcome.errors.endswith("Please report it with the command that you gave.\n")
    assert outcome.errors.count("\n") == 1


@pytest.mark.parametrize("error", [ImportError("initialization failed"), BaseException("panic")])
def test_an_interrupt_that_a_package_turns_into_another_error_is_one(monkeypatch, run, error):
    def fail(*_, **__):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
        except KeyboardInterrupt:
            raise error from None

    monkeypatch.setattr(click.Group, "invoke", fail)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        outcome = run("inspect", "anything")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (outcome.status, outcome.errors.strip(), outcome.output) == (130, "interrupted", "")


def test_a_reader_that_goes_away_is_no_traceback():
    writer = f"{sys.executable} -m linexport synthesize --num-rows 100000"
    done = subprocess.run(
        ["bash", "-c", f"{writer} | head -n 1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "x1,x2,y\n", "")


@pytest.mark.parametrize("command", ["inspect models/textbook", "verify models/textbook"])
def test_a_report_that_nobody_reads_is_no_negative_verdict(command):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "linexport", *command.split()],
            cwd=TEXTBOOK.parents[1],
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("lines", [0, 1])
def test_work_is_finished_though_nobody_reads_the_report(tmp_path, lines):
    writer = f"{sys.executable} -m linexport train-and-export --output {tmp_path / 'bundle'}"
    done = subprocess.run(
        ["bash", "-c", f"{writer} | head -n {lines}; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if not line.startswith("warning: ")] == []
    assert verify(tmp_path / "bundle").verdict == "proven"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train-and-export", "--help"],
        ["verify", "--help"],
        ["export", "--help"],
        ["predict", "--help"],
        ["serve", "--help"],
    ],
)
def test_help_imports_no_engine(arguments):
    code = (
        "import sys, linexport.cli\n"
        "try: linexport.cli.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'onnx', 'onnxruntime', 'polars', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


TRAIN = ["train-and-export", "--data", "rows.csv", "--target", "y"]
EARLY = [
    (["train-and-export", "--opset", "99"], 2, "Opset 99 is not possible"),
    (["train-and-export", "--opset", "3"], 2, "Opset 3 is not possible"),
    (["train-and-export", "--opset", "21", "--ir-version", "7"], 2, "IR version 7 is not possible"),
    (["train-and-export", "--learning-rate", "nan"], 2, "'--learning-rate': learning_rate must be"),
    (["train-and-export", "--probe-rows", "0"], 2, "'--probe-rows': probe_rows must be"),
    (["train-and-export", "--device", "gpu"], 2, "device must be"),
    (["train-and-export", "--format", "onxx"], 2, "'onxx' is not one of"),
    (["train-and-export", "--target", "y"], 2, "pass --data too"),
    (["train-and-export", "-o", "taken"], 3, "taken"),
    ([*TRAIN, "--solver", "sgd", "-o", "taken"], 3, "taken"),
    ([*TRAIN, "--epochs", "3"], 2, "--epochs is for --solver sgd, not lstsq"),
    ([*TRAIN, "--target", "nobody"], 3, "no column 'nobody'"),
    (["train-and-export", "--data", "rows.csv"], 2, "name the column to predict"),
    (["train-and-export", "--data", "missing.csv", "--target", "y"], 3, "missing.csv"),
    (["export", "nothing.onnx", "-o", "out", "--opset", "99"], 2, "Opset 99 is not possible"),
    (["export", "nothing.onnx", "-o", "out"], 3, "nothing.onnx"),
    (["export", str(TEXTBOOK), "-o", "taken"], 3, "taken"),
    (["verify", "nothing"], 3, "nothing: there is no bundle here"),
    (["verify", str(TEXTBOOK), "--reference", "rows.csv"], 2, "has its own reference"),
    (["serve", "nothing", "--max-rows", "0"], 2, "'--max-rows': rows must be"),
    (["predict", "nothing", "rows.csv", "--interval", "1.5"], 2, "'--interval': interval must be"),
    (["predict", "nothing", "rows.csv", "--threads", "0"], 2, "'--threads': num_threads must be"),
]


def test_what_cannot_be_is_said_before_torch_is_loaded(tmp_path):
    """All in one process, so that the first one that loads it is seen."""
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("mine")
    (tmp_path / "rows.csv").write_text("a,y\n1,2\n3,4\n5,7\n")
    code = (
        "import contextlib, io, json, os, sys, linexport.cli\n"
        f"os.chdir({str(tmp_path)!r})\n"
        f"for arguments, *_ in json.loads({json.dumps(json.dumps(EARLY))}):\n"
        "    with contextlib.redirect_stderr(io.StringIO()) as errors:\n"
        "        try: linexport.cli.main(arguments)\n"
        "        except SystemExit as request: status = request.code\n"
        "    print(json.dumps([status, errors.getvalue(), 'torch' in sys.modules]))"
    )
    done = run_python(code)
    ended = [json.loads(line) for line in done.stdout.splitlines()]
    for (arguments, status, said), (ended_with, errors, loaded) in zip(EARLY, ended, strict=True):
        assert (ended_with, loaded) == (status, False), arguments
        assert said in errors, arguments
        if status == 2:
            assert errors.startswith(("Usage: linexport", "error: ")), arguments
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "taken"]


def test_predict_and_inspect_do_not_import_torch(textbook, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text("x2,x1\n1.0,2.0\n")
    code = (
        "import sys, linexport.cli\n"
        "def call(*arguments):\n"
        "    try: linexport.cli.main(arguments)\n"
        "    except SystemExit as request: assert not request.code, request.code\n"
        f"call('predict', {str(textbook)!r}, {str(table)!r})\n"
        f"call('predict', {str(textbook / 'model.onnx')!r}, {str(table)!r})\n"
        f"call('inspect', {str(textbook)!r})\n"
        "print('torch' in sys.modules)"
    )
    done = run_python(code)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "False"


def test_the_main_job_runs_without_a_warning_of_python(tmp_path):
    code = (
        "import linexport.cli; linexport.cli.main("
        f"['train-and-export', '--quiet', '--output', {str(tmp_path / 'bundle')!r}])"
    )
    done = run_python(code)
    assert done.returncode == 0
    (ours,) = done.stderr.splitlines()
    assert ours.startswith("warning: The fit of 'y' ended")


def test_the_main_job_loads_neither_dynamo_nor_torch_onnx(tmp_path):
    code = (
        "import sys, linexport.cli\n"
        "try: linexport.cli.main(['train-and-export', '-q', '-o', "
        f"{str(tmp_path / 'bundle')!r}])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch._dynamo', 'torch.onnx', 'polars', 'scipy')"
        " if name in sys.modules])"
    )
    assert run_python(code).stdout.splitlines()[-1] == "[]"


def on_a_terminal(*arguments, **environment):
    """What a command prints on a pseudo-terminal."""
    pytest.importorskip("pty", reason="a pseudo-terminal needs POSIX")
    command = [sys.executable, "-m", "linexport", *map(str, arguments)]
    code = f"import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn({command!r})))"
    return run_python(code, **{"TERM": "xterm-256color", "NO_COLOR": "", **environment}).stdout


def test_colour_is_for_terminals_that_want_it(textbook):
    """On a terminal the verdict is coloured, unless NO_COLOR or a dumb terminal says otherwise."""
    assert "\x1b[32m" in on_a_terminal("verify", "--quiet", textbook)
    assert "\x1b[" not in on_a_terminal("verify", textbook, NO_COLOR="1")
    assert "\x1b[" not in on_a_terminal("verify", textbook, TERM="dumb")


def test_tables_are_drawn_on_a_terminal_and_plain_text_elsewhere(run, textbook):
    assert "\u2500\u2500\u2500" in on_a_terminal("verify", textbook)
    assert "\u2500\u2500\u2500" in on_a_terminal("verify", textbook, NO_COLOR="1")
    plain = run("verify", textbook).output
    assert on_a_terminal("verify", textbook, TERM="dumb").replace("\r\n", "\n") == plain
    assert plain.isascii()


def test_rich_is_loaded_by_nobody_but_a_terminal(textbook, tmp_path):
    (tmp_path / "rows.csv").write_text("x2,x1\n1.0,2.0\n")
    code = (
        "import sys, linexport.cli\n"
        "def call(*arguments):\n"
        "    try: linexport.cli.main(arguments)\n"
        "    except SystemExit as request: assert not request.code, request.code\n"
        f"call('predict', {str(textbook)!r}, {str(tmp_path / 'rows.csv')!r})\n"
        f"call('verify', {str(textbook)!r})\n"
        f"call('verify', '--json', {str(textbook)!r})\n"
        "call('--help')\n"
        "print('rich' in sys.modules)"
    )
    assert run_python(code).stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("own", [{}, {"OPENBLAS_THREAD_TIMEOUT": "20"}])
def test_threads_of_blas_without_work_soon_sleep(monkeypatch, own):
    """They would spin for 30 ms after each product; who sets it otherwise has it so."""
    monkeypatch.delenv("OPENBLAS_THREAD_TIMEOUT", raising=False)
    code = (
        "import os; from linexport.cli import main\n"
        "try: main(['--version'])\n"
        "finally: print(os.environ['OPENBLAS_THREAD_TIMEOUT'])"
    )
    said = run_python(code, **own).stdout
    assert said.splitlines()[-1] == own.get("OPENBLAS_THREAD_TIMEOUT", "16")
