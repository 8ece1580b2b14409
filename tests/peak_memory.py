"""The most memory that a child has held: the beginning of its program."""

PEAK = r"""
import re
from pathlib import Path
def peak():  # MiB; not ru_maxrss, which begins at that of who started this process
    return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) // 1024
"""
