"""`python -m retentiond` is the `retentiond` program."""

from __future__ import annotations

from retentiond.cli import main

main()
