"""Verbs that the daemon carries out where one serves the ledger; elsewhere they act in their own process."""

from __future__ import annotations

import base64
import functools
import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from retentiond import errors
from retentiond.bootstrap import open_counter
from retentiond.cli.common import Captured, F, Options, console, current
from retentiond.cli.progress import TerminalReporter
from retentiond.cli.stopping import StopFlag
from retentiond.cli.views import consent_reference, plan_reference, write_plan_file
from retentiond.engine.context import Context
from retentiond.engine.orders import Counter, Wanted
from retentiond.errors import ConfigError, Exit, GuardStopped, RetentiondError
from retentiond.ports.orders import OrderRow

_HERE_ONLY = ("ssh_key", "output")
_FILES_HERE = {"apply": plan_reference, "approve": consent_reference, "reject": consent_reference}  # of `plan`
_ONE_VERSION = "let the command and the daemon be of one version"
_SHARED = {"config": None, "as_json": False, "verbose": False, "debug": False}


def by_the_daemon(function: F) -> F:
    """Have a verb carried out by the daemon, where one serves; what it needs of this machine is taken care of here."""

    @functools.wraps(function)
    def wrapped(**named: Any) -> Any:  # noqa: ANN401 - any verb
        if current().captured is not None:
            return function(**named)
        with open_counter(current().directory, os.environ) as counter:
            if counter is None:
                return function(**named)
            if counter.served():
                return _show(_ordered(counter, named), named.get("output"))
        return _unserved(function, named)

    wrapped.is_order = True  # type: ignore[attr-defined]
    return wrapped  # type: ignore[return-value]


def carry_out(ctx: Context, order: OrderRow) -> Mapping[str, Any]:
    """Carry out an order with an open instance, and return its answer. Errors go up.

    Whoever may write orders may have written anything: only verbs that are meant to be ordered are, with arguments of
    their own; and no file of this machine is read or written for them.
    """
    captured = Captured(ctx)
    command = _command_of(order.verb)
    names = {each.name for each in command.params} - set(_SHARED)
    if names - set(_HERE_ONLY) != set(order.arguments):
        raise errors.UsageError(f"these are not the arguments of {order.verb}", remedy=_ONE_VERSION)
    arguments = {name: _read(value) for name, value in order.arguments.items()}
    here = dict.fromkeys(names.intersection(_HERE_ONLY))
    with click.Context(command, obj=Options(captured=captured)) as context:
        ended = context.invoke(command, **_SHARED, **here, **arguments)
    return {
        "exit": int(ended or Exit.DONE),
        "error": None,
        "document": captured.document,
        "out": captured.out,
        "err": captured.err,
    }


def _ordered(counter: Counter, named: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give an order, and return its answer."""
    verb = click.get_current_context().command_path.split(" ", 1)[1]
    arguments = {name: _write(value) for name, value in named.items() if name not in _HERE_ONLY}
    if verb in _FILES_HERE:
        arguments["plan"] = _FILES_HERE[verb](named["plan"])
    reporter = TerminalReporter(console(stderr=True))
    with StopFlag("waiting no longer; once more to stop at once") as stopping, reporter:
        return counter.order(Wanted(verb, arguments, named.get("ssh_key")), reporter, stopping.asked)


def _unserved(function: Callable[..., Any], named: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any verb
    """Act in this process, if it has what that takes."""
    try:
        return function(**named)
    except ConfigError as error:
        remedy = f"{error.remedy}; or have a daemon serve this ledger, which acts with keys and stores of its own"
        raise type(error)(error.what, where=error.where, remedy=remedy) from error


def _show(answer: Mapping[str, Any], output: Path | None) -> Exit:
    if answer["error"]:
        raise _error(answer)
    if output is not None:
        write_plan_file(output, answer["document"])
    click.echo(answer["err"], err=True, nl=False)
    if current().json:
        click.echo(json.dumps(answer["document"], ensure_ascii=False))
    else:
        click.echo(answer["out"], nl=False)
    return Exit(answer["exit"])


def _error(answer: Mapping[str, Any]) -> RetentiondError:
    """Return an error of the daemon as one of this process."""
    told = answer["error"]
    kind = getattr(errors, told["error"], RetentiondError)
    words = {"where": told["where"], "remedy": told["remedy"]}
    guard = {"guard": told["guard"]} if issubclass(kind, GuardStopped) else {}
    made: RetentiondError = kind(told["what"], **words, **guard)
    made.exit_code, made.guard = Exit(answer["exit"]), told["guard"]
    return made


def _command_of(verb: str) -> click.Command:
    from retentiond.cli import cli  # noqa: PLC0415 - which imports this

    found: click.Command = cli
    with click.Context(cli) as ctx:
        for word in verb.split(" "):
            step = found.get_command(ctx, word) if isinstance(found, click.Group) else None
            if step is None:
                raise errors.UsageError(f"this daemon knows no verb {verb}", remedy=_ONE_VERSION)
            found = step
    if not getattr(found.callback, "is_order", False):
        raise errors.UsageError(f"{verb} is nothing that a daemon is asked to do", remedy="call it where it is to act")
    return found


def _write(value: object) -> object:
    """Return an argument as JSON has it."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)  # times are typed with a Z, which click drops
        return {"time": aware.astimezone(UTC).isoformat()}
    if isinstance(value, tuple):
        return [_write(each) for each in value]
    if isinstance(value, str) and not value.isprintable():
        return {"base64": base64.b64encode(value.encode("utf-8", "surrogateescape")).decode()}
    return value


def _read(value: Any) -> Any:  # noqa: ANN401 - whatever JSON has
    if isinstance(value, dict) and "time" in value:
        return datetime.fromisoformat(value["time"])
    if isinstance(value, dict):
        return base64.b64decode(value["base64"]).decode("utf-8", "surrogateescape")
    if isinstance(value, list):
        return tuple(_read(each) for each in value)
    return value
