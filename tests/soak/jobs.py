"""What writes: commands on small inputs, what lay at their output before, and what must lie there.

A path is one unit, all or nothing: a bundle, a page, a state, a table, a part, a part's record.
"""

import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from stat import S_IMODE
from typing import Any

from running import Ended, load_all_of, run

from linexport.cli._main import COMMANDS
from linexport.reporting import _figures

Snapshot = Mapping[str, tuple[int, bytes | None]]
"""By path below a directory: its mode and content; None for a directory's."""

_BUNDLE = ("--overwrite", "-q", "--probe-rows", "8", "--format", "onnx", "-o", "out/bundle")
_INPUTS = tuple(
    line.replace("NAME", name).split()
    for name in ("new", "old")
    for line in (
        "train-and-export --data NAME.csv --target y -q -o NAME --report NAME.html",
        "state NAME.csv --target y -q -o NAME.state",
        "predict NAME rows.csv -q -o NAME.parquet",
    )
)
"""What the jobs read and, of the last, what loads the rest of what they load."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command that writes below `out`, and the one that made what it replaces."""

    name: str
    arguments: Sequence[str]
    before: Sequence[str]

    @property
    def is_slow(self) -> bool:
        """Whether it takes a second, not a tenth."""
        return self.arguments[0] not in ("predict", "state")


def _job(name: str, *arguments: str) -> Job:
    """Return a job whose old output came of the same command with the other input."""
    before = [argument.replace("new", "old") for argument in arguments]
    return Job(name=name, arguments=arguments, before=before)


JOBS = (
    _job("predict to CSV", "predict", "new", "rows.csv", "-q", "-o", "out/y.csv"),
    _job("predict to Parquet", "predict", "new", "rows.csv", "-q", "-o", "out/y.parquet"),
    _job("predict --resume", "predict", "new", "lake", "-q", "--resume", "-o", "out/parts/"),
    _job("state", "state", "new.csv", "--target", "y", "-q", "-o", "out/rows.state"),
    _job("fit", "fit", "new.state", *_BUNDLE),
    _job("export", "export", "new", *_BUNDLE),
    _job("report", "report", "new", "--data", "new.csv", "-q", "-o", "out/page.html"),
    _job(
        "train --report", "train-and-export", "--data", "new.csv", "--target", "y", *_BUNDLE,
        "--report", "out/page.html",
    ),
)  # fmt: skip


def write_inputs(directory: Path) -> None:
    """Write what the jobs read, and load what they load."""
    directory.mkdir()
    numbers = random.Random(0)
    for name, slope in (("new", 2), ("old", 3)):
        pairs = [(numbers.randrange(99), numbers.randrange(99)) for _ in range(300)]
        lines = [f"{a},{b},{slope * a - b + numbers.random():.3f}\n" for a, b in pairs]
        (directory / f"{name}.csv").write_text("a,b,y\n" + "".join(lines))
    (directory / "lake").mkdir()
    for name in ("rows", "lake/p1", "lake/p2", "lake/p3"):
        lines = [f"{numbers.randrange(99)},{numbers.randrange(99)}\n" for _ in range(2000)]
        (directory / f"{name}.csv").write_text("a,b\n" + "".join(lines))
    for name in COMMANDS:
        import_module(f"linexport.cli.{name.replace('-', '_')}")
    load_all_of(_INPUTS, directory)
    # To draw takes most of a run's time, and calls no file system.
    _figures._svg = lambda figure: f"<svg>{figure.title}</svg>"


def begin(origin: Path, place: Path) -> None:
    """Make a directory anew, as another one is, with one for outputs."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(origin, place)
    (place / "out").mkdir(exist_ok=True)


def snapshot(place: Path) -> Snapshot:
    """Return what lies below a directory."""
    found = {}
    for path in sorted(place.rglob("*")):
        content = None if path.is_dir() else path.read_bytes()
        found[str(path.relative_to(place))] = (S_IMODE(path.lstat().st_mode), content)
    return found


class Place:
    """Where a job runs again and again, each time from the same beginning."""

    def __init__(self, inputs: Path, work: Path, job: Job, *, replaces: bool) -> None:
        """Run the job once as it should be: what it writes is what is expected.

        Args:
            inputs: What `write_inputs` wrote.
            work: A directory to make this one in.
            job: What is run.
            replaces: Whether its output is there before, for its owner alone.
        """
        self.job = job
        self.replaces = replaces
        self.path = work / "place"
        self.names = [argument for argument in job.arguments if (inputs / argument).exists()]
        self.names += ["out/", "place/out"]  # not "/out", which "Input/output error" has
        self._origin = work / "origin"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        begin(inputs, self._origin)
        if replaces:
            assert run(job.before, self._origin).status == 0, job.before
            for path in (self._origin / "out").rglob("*"):
                path.chmod(0o700 if path.is_dir() else 0o600)
        self.old = snapshot(self._origin)
        self.reset()
        self.clean = run(job.arguments, self.path, traced=True)
        self.new = snapshot(self.path)
        assert self.clean.status == 0, self.clean
        calls = enumerate(self.clean.calls, 1)
        self.writing = [at for at, call in calls if "out" in Path(call.path).parts]
        assert not self._strangers(self.new), self._strangers(self.new)
        if replaces:
            kept = {path: mode for path, (mode, _) in self.new.items() if path.startswith("out/")}
            assert set(kept.values()) <= {0o600, 0o700}, kept

    def __str__(self) -> str:
        return f"{self.job.name}, {'replacing' if self.replaces else 'anew'}"

    def run(self, **how: Any) -> Ended:
        """Run the job from its beginning; see `running.run`."""
        self.reset()
        return run(self.job.arguments, self.path, **how)

    def reset(self) -> None:
        """Begin anew."""
        begin(self._origin, self.path)

    def left(self) -> tuple[str, list[str]]:
        """Tell what there is, "old", "new", "some" of several units or "torn", and what is left."""
        found = snapshot(self.path)
        left = self._strangers(found)
        kept = {path: entry for path, entry in found.items() if path not in left}
        if kept == self.new:
            return "new", left
        if kept == self.old:
            return "old", left
        whole = all(
            unit in (_of(unit_of, self.old), _of(unit_of, self.new))
            for unit_of in {_unit(path) for path in {*self.old, *self.new, *kept}}
            for unit in [_of(unit_of, kept)]
        )
        return "some" if whole else "torn", left

    def _strangers(self, found: Snapshot) -> list[str]:
        """Return what a writer made for itself."""
        return [path for path in found if "/." in path]


def _unit(path: str) -> str:
    return "out/bundle" if path.startswith("out/bundle/") else path


def _of(unit: str, entries: Snapshot) -> Snapshot:
    return {path: entry for path, entry in entries.items() if _unit(path) == unit}
