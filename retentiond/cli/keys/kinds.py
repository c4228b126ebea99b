"""The kinds of keys, and how long two of a kind count side by side."""

from __future__ import annotations

import click

KIND = click.Choice(("issuer", "log", "wrapping", "replay", "pseudonym"))
