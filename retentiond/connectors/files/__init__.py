"""Directories of files as stores. A record is a regular file; its key is its path relative to the store's root.

Everything is reached relative to open directories (`tree`), symbolic links are never followed, mount points never
crossed. POSIX systems only: Windows has neither openat(2) nor a directory that can be made durable.
"""

from __future__ import annotations

from retentiond.connectors.files.connector import FilesOptions, connector

__all__ = ["FilesOptions", "connector"]
