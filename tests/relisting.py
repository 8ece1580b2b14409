"""Bundles that were changed, whose manifest lists what is there now: digests alone do not tell."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def edit(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the parsed manifest."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_text(json.dumps(manifest))


def put(bundle: Path, name: str, data: bytes) -> None:
    """Replace a file and list the new one, so that only its content is at fault."""
    (bundle / name).write_bytes(data)
    record = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit(bundle, lambda manifest: manifest["files"][name].update(record))
