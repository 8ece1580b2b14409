"""What a system may lack: room on the disk, descriptors, memory, or leave to write."""

import os
import resource
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534
_MEBIBYTE = 1 << 20


def can_mount() -> bool:
    """Whether a file system of a given size can be made here."""
    return os.geteuid() == 0 and Path("/proc/self/mountinfo").exists()


@contextmanager
def small_disk(place: Path, *, kilobytes: int) -> Iterator[None]:
    """Have `out` below a place lie on a disk that has this much room left."""
    out, aside = place / "out", place / "aside"
    out.rename(aside)
    out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "none", out], check=True)
    try:
        for path in aside.iterdir():
            subprocess.run(["cp", "-a", path, out], check=True)
        room = os.statvfs(out)
        ballast = out / "ballast"
        ballast.write_bytes(bytes(max(room.f_bavail * room.f_frsize - kilobytes * 1024, 0)))
        yield
        ballast.unlink()
        subprocess.run(["rm", "-rf", aside], check=True)
        subprocess.run(["cp", "-a", out, aside], check=True)
    finally:
        subprocess.run(["umount", out], check=True)
    out.rmdir()
    aside.rename(out)


def limited(which: int, most: int) -> Callable[[], None]:
    """Return what sets one limit of a process."""

    def set_limit() -> None:
        resource.setrlimit(which, (most, most))

    return set_limit


def more_memory(mebibytes: int) -> Callable[[], None]:
    """Return what lets a process take so much more than it has."""

    def set_limit() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + mebibytes * _MEBIBYTE
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    return set_limit


def without_leave() -> None:
    """Let `out` be read, not written, by a user who is not root."""
    Path("out").chmod(0o555)
    if os.geteuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)


LIMITS: Mapping[str, Callable[[], None]] = {
    **{f"files of {n} bytes": limited(resource.RLIMIT_FSIZE, n) for n in (0, 1, 100, 512, 4096)},
    **{f"{n} descriptors": limited(resource.RLIMIT_NOFILE, n) for n in (4, 6, 8, 10, 14)},
    **{f"{n} MiB more memory": more_memory(n) for n in (4, 16, 32, 64)},
    "no leave": without_leave,
}
"""By name, what is done to the process first."""
