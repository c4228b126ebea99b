"""Whether keys of which versions were purged still hold other versions."""

from __future__ import annotations

_MOST = 10_000


class Leftovers:
    """Keys that still held data when they were last verified; in bounded memory, beyond which it stays unknown."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._lost_count = False

    def note(self, key: str, *, holds_data: bool, versions: bool = True) -> None:
        """Take note of what a key holds now; in a bucket without versions none can be said to be deleted."""
        if not versions:
            self._lost_count = True
        elif not holds_data:
            self._keys.discard(key)
        elif len(self._keys) < _MOST:
            self._keys.add(key)
        else:
            self._lost_count = True

    @property
    def none(self) -> bool:
        """Whether no key holds data."""
        return not self._keys and not self._lost_count
