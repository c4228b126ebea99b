"""Where temporary files go: into memory where that has room, since tests wait for each of their many fsyncs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOM_BYTES = 8 << 30


def roomy() -> str:
    """Return the directory; a socket's path may have 107 bytes at most, so it is a short one."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM_BYTES:
        return str(memory)
    return "/tmp"
