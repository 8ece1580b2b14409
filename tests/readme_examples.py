"""The README's examples, run as a reader would run them.

    python tests/readme_examples.py [PAGE...]  writes what they print today into README.md, or pages

Console blocks are run line by line, Python blocks as one script, all in one directory. Lines that a
console block shows after a command are its output.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """One fenced block: as it stands, and as it would stand if it were run now."""

    shown: str
    printed: str
    failed: bool


def run_examples(
    text: str, directory: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Example]:
    """Run every block of a page, in order, in one directory, with this added to the environment."""
    for match in BLOCK.finditer(text):
        language, body = match.groups()
        if language == "python":
            done = _run([sys.executable, "-c", body], directory, environment)
            yield Example(body, body, done.returncode != 0)
            continue
        printed, failed = "", False
        for line in body.splitlines():
            if line.startswith("$ "):
                command, expected = line[2:], 0
                comment = re.search(r"# exit status (\d)$", command)
                if comment:
                    expected = int(comment[1])
                done = _run(["bash", "-c", command], directory, environment)
                failed |= done.returncode != expected
                printed += f"{line}\n{done.stdout}"
        yield Example(body, printed, failed)


def _run(
    command: list[str], directory: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    tools = str(Path(sys.executable).parent)
    return subprocess.run(
        command,
        cwd=directory,
        env={
            **os.environ,
            **environment,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "COLUMNS": "100",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def main(pages: Sequence[str]) -> None:
    """Rewrite pages, README.md if none is named, with today's output."""
    for page in map(Path, pages or [README]):
        text = page.read_text()
        with tempfile.TemporaryDirectory() as directory:
            for example in run_examples(text, Path(directory)):
                if example.failed:
                    sys.exit(f"{page}: this example fails:\n{example.printed}")
                text = text.replace(f"\n{example.shown}```", f"\n{example.printed}```", 1)
        page.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
