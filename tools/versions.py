"""The lowest and the newest releases that pyproject.toml allows, each in an environment of its own.

    python tools/versions.py [lowest|newest]...

Every direct dependency at its floor, or everything at its newest; then the tests run that train,
export, verify, predict and serve. Needs the network, and 5 GB for each where PyTorch comes with
CUDA; UV_TORCH_BACKEND=cpu spares them where PyTorch's own index is reached.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESOLUTIONS = {"lowest": "lowest-direct", "newest": "highest"}
EXTRAS = "duckdb,excel,report,serve,sklearn"
TOOLS = ("hypothesis", "pandas", "pytest", "pytorch-lightning", "tritonclient[http]")
TESTS = (
    "tests/cli/test_predict.py",
    "tests/cli/test_train_and_export.py",
    "tests/cli/test_verify.py",
    "tests/formats/test_every_runtime.py",
    "tests/formats/test_pt2.py",
    "tests/formats/test_reproduction.py",
    "tests/formats/test_torchscript.py",
    "tests/serving/test_application.py",
    "tests/serving/test_server_process.py",
    "tests/sources/test_checkpoints.py",
    "tests/sources/test_torch_modules.py",
    "tests/tables/test_tables.py",
    "tests/test_sklearn.py",
)


def run(*command: object) -> int:
    """Run a command from the repository's root, and return its exit status."""
    return subprocess.run(list(map(str, command)), cwd=ROOT, check=False).returncode


def passes(which: str, place: Path) -> bool:
    """Install what is allowed into an environment, and run the tests there."""
    python, wanted, resolved = place / "bin" / "python", place / "wanted.in", place / "resolved.txt"
    wanted.write_text(f"linexport[{EXTRAS}] @ {ROOT.as_uri()}")
    resolve = ("--resolution", RESOLUTIONS[which], "--python", python, "--output-file", resolved)
    # What tests need besides must not raise what was resolved.
    tools = ("--requirement", resolved, *TOOLS)
    steps = (
        ("uv", "venv", "--quiet", "--allow-existing", "--python", sys.executable, place),
        ("uv", "pip", "compile", "--quiet", *resolve, wanted),
        ("uv", "pip", "install", "--quiet", "--python", python, *tools),
        ("uv", "pip", "list", "--python", python),
        # A newer release may warn of what a later one will change.
        (python, "-m", "pytest", "--quiet", "-W", "default", "-p", "no:cacheprovider", *TESTS),
    )
    return all(run(*step) == 0 for step in steps)


def main(wanted: list[str]) -> None:
    """Try each end of the range, and fail if one fails."""
    failed = []
    for which in wanted or RESOLUTIONS:
        with tempfile.TemporaryDirectory() as directory:
            if not passes(which, Path(directory)):
                failed.append(which)
    if failed:
        sys.exit(f"Does not work with the {' and the '.join(failed)} releases that are allowed.")


if __name__ == "__main__":
    main(sys.argv[1:])
