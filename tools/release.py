"""What is released: the sdist, the wheel, and the bill of materials of what the wheel runs with.

    python tools/release.py  writes dist/

Everything is built twice, from the tree and from the sdist unpacked elsewhere, and must be the same
bytes. The wheel is installed with the pins of constraints.txt into an environment of its own, where
it trains and exports. What that environment holds is the bill of materials: CycloneDX, in JSON.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

Files = dict[str, bytes]
"""What was built, by name."""


def run(*command: object, cwd: Path = ROOT) -> str:
    """Run a command and return what it prints, without a date of the caller's for what it makes."""
    environment = {name: text for name, text in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    done = subprocess.run(
        list(map(str, command)),
        check=True,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def build(source: Path, output: Path) -> Files:
    """Build the sdist and the wheel of a source tree into a directory."""
    kinds = ("--sdist", "--wheel")
    run(sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", output, source)
    return {path.name: path.read_bytes() for path in sorted(output.iterdir())}


def builds(scratch: Path) -> tuple[Files, Files]:
    """Build from the tree, and from the sdist of that, unpacked elsewhere."""
    first = build(ROOT, scratch / "first")
    (sdist,) = (scratch / "first").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(scratch)  # noqa: S202 - built just now; filters are of 3.11.4
    return first, build(scratch / sdist.name.removesuffix(".tar.gz"), scratch / "second")


def environment_with(wheel: Path, place: Path) -> Path:
    """Install a wheel and what it needs, as pinned, into a new environment; return its Python."""
    run(sys.executable, "-m", "venv", "--without-pip", place)
    python = place / "bin" / "python"
    pinned = ("--quiet", "--constraint", ROOT / "constraints.txt")
    run(sys.executable, "-m", "pip", "--python", python, "install", *pinned, wheel)
    return python


def bill_of_materials(python: Path) -> str:
    """List what an environment holds, as CycloneDX JSON that holds to its schema."""
    described = ("--pyproject", ROOT / "pyproject.toml", "--mc-type", "library")
    options = ("--output-reproducible", "--validate", "--of", "JSON")
    return run(sys.executable, "-m", "cyclonedx_py", "environment", *described, *options, python)


def main() -> None:
    """Build, compare, install, try, list; write dist/ only if all of that went well."""
    if run("git", "status", "--porcelain"):
        sys.exit("A release is made of a commit; commit or remove what `git status` lists.")
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        first, second = builds(scratch)
        if first != second:
            sys.exit("The sdist builds other bytes than the tree; compare the two with diffoscope.")
        (wheel,) = (scratch / "first").glob("*.whl")
        python = environment_with(wheel, scratch / "environment")
        run(python, "-m", "linexport", "train-and-export", "-o", "bundle", cwd=scratch)
        materials = bill_of_materials(python)
        if "file:" in materials or directory in materials:
            sys.exit("The bill of materials names a path of this machine.")
        dist = ROOT / "dist"
        shutil.rmtree(dist, ignore_errors=True)
        shutil.copytree(scratch / "first", dist)
        (dist / f"{wheel.stem}.cdx.json").write_text(materials)
    for path in sorted(dist.iterdir()):
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
