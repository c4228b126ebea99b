"""Verbs that are imported when they are called: `receipt verify` needs no ledger, no store and no configuration."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """A group whose verbs are named, and imported when they are asked for.

    Args:
        verbs: Verb to `module:name`, in the order of the help.
    """

    def __init__(self, *arguments: Any, verbs: Mapping[str, str], **named: Any) -> None:  # noqa: ANN401 - as click has it
        super().__init__(*arguments, **named)
        self._verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click has it
        """Name the verbs in the order in which they were given."""
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb."""
        if cmd_name not in self.commands and cmd_name in self._verbs:
            module, name = self._verbs[cmd_name].split(":")
            self.add_command(getattr(import_module(module), name), cmd_name)
        return super().get_command(ctx, cmd_name)
