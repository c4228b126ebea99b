"""What every verb shares: options, errors in words, exit codes, output for people and for programs."""

from __future__ import annotations

import functools
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from retentiond.errors import Exit, RetentiondError, UsageError
from retentiond.evidence.canonical import rfc3339

if TYPE_CHECKING:
    from retentiond.engine.context import Context  # `receipt verify` does without

EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 findings, 4 stopped by a guard or needs approval, "
    "5 partly done, 6 all that is due is held, 130 interrupted (state is safe)."
)
_CONTROL = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
UTC_TIME = click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ"])
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Captured:
    """What a verb prints that the daemon carries out for somebody, with an instance that is open.

    Attributes:
        document: As programs get it.
        out, err: As people get it on stdout and stderr.
    """

    ctx: Context
    document: Mapping[str, Any] | None = None
    out: str = ""
    err: str = ""


@dataclass(slots=True)
class Options:
    """The options that every verb takes, before or after its name."""

    config: str | None = None
    json: bool = False
    debug: bool = False
    verbose: bool = False
    captured: Captured | None = None

    @property
    def directory(self) -> Path:
        """The config directory."""
        return Path(self.config or os.environ.get("RETENTIOND_CONFIG") or "config")


def shared_options(function: F) -> F:
    """Add --config, --json, --verbose and --debug, which may stand before or after the verb."""

    @click.option("--config", metavar="DIR", help="Config directory (or RETENTIOND_CONFIG; default ./config).")
    @click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
    @click.option("-v", "--verbose", is_flag=True, help="One line for each unit of work on stderr.")
    @click.option("--debug", is_flag=True, help="Show tracebacks.")
    @functools.wraps(function)
    def wrapped(*arguments: Any, config: str | None, as_json: bool, verbose: bool, debug: bool, **named: Any) -> Any:  # noqa: ANN401 - any verb
        options = current()
        options.config = config or options.config
        options.json = options.json or as_json
        options.verbose = options.verbose or verbose
        options.debug = options.debug or debug
        return function(*arguments, **named)

    return wrapped  # type: ignore[return-value]


def current() -> Options:
    """Return the options of this call."""
    return click.get_current_context().ensure_object(Options)


class Verb:
    """How the program is called, and how it ends."""

    @staticmethod
    def main_of(command: click.Command) -> NoReturn:
        """Run the program: results on stdout, the rest on stderr, and an exit code that scripts can rely on."""
        options = Options()
        try:
            code = command.main(standalone_mode=False, obj=options, prog_name="retentiond")
        except RetentiondError as error:
            _raise_if(options, error)
            code = fail(options, error)
        except click.ClickException as error:
            error.show()
            if options.json or "--json" in sys.argv:
                remedy = "retentiond --help lists verbs and options"
                click.echo(error_document(UsageError(error.format_message(), remedy=remedy)))
            code = Exit.USAGE
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted; the state is safe", err=True)
            code = Exit.INTERRUPTED
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = Exit.FAILED
        sys.exit(int(code or 0))


def _raise_if(options: Options, error: RetentiondError) -> None:
    if options.debug:
        raise error


def error_document(error: RetentiondError) -> str:
    """Return an error as programs get it."""
    document = {"error": type(error).__name__, "what": error.what, "where": error.where, "remedy": error.remedy}
    document |= {"guard": error.guard} if error.guard else {}
    return json.dumps(document, ensure_ascii=False)


def fail(options: Options, error: RetentiondError) -> Exit:
    """Say what went wrong, where, and what to do; return the exit code."""
    if options.json:
        click.echo(error_document(error))
    place = f"{error.where}: " if error.where else ""
    click.echo(click.style("error: ", fg="red", bold=True) + printable(place + error.what), err=True)
    if error.remedy:
        click.echo(f"  what to do: {printable(error.remedy)}", err=True)
    return error.exit_code


def show(document: Mapping[str, Any], people: Callable[[Console], None]) -> None:
    """Print one JSON document, or the same for people."""
    captured = current().captured
    if captured is not None:
        captured.document = json.loads(json.dumps(document, default=_plain))
        with StringIO() as written:
            people(_console(written))
            captured.out += written.getvalue()
    elif current().json:
        click.echo(json.dumps(document, ensure_ascii=False, default=_plain))
    else:
        people(console())


def printable(text: str) -> str:
    """Return a text whose control characters are shown and not obeyed: names come from strangers."""
    return "".join(
        letter
        if letter == "\n" or unicodedata.category(letter) not in _CONTROL
        else letter.encode("unicode_escape", "surrogatepass").decode("ascii")
        for letter in text
    )


class PlainConsole(Console):
    """A console that prints texts as they are: no markup, no control characters."""

    def print(self, *objects: Any, **options: Any) -> None:  # noqa: ANN401 - as rich has it
        """Print texts and tables."""
        super().print(*(printable(each) if isinstance(each, str) else each for each in objects), **options)


class PlainTable(Table):
    """A table whose cells are texts as they are."""

    def add_row(self, *cells: Any, **options: Any) -> None:  # noqa: ANN401 - as rich has it
        """Add a row of texts."""
        super().add_row(*(Text(printable(each)) if isinstance(each, str) else each for each in cells), **options)


def complain(text: str) -> None:
    """Say something on stderr."""
    context = click.get_current_context(silent=True)
    captured = context.ensure_object(Options).captured if context else None
    if captured is not None:
        captured.err += f"{printable(text)}\n"
    else:
        click.echo(printable(text), err=True)


def console(*, stderr: bool = False) -> Console:
    """Return a console that honours NO_COLOR and does not wrap where nobody reads."""
    return _console(sys.stderr if stderr else sys.stdout)


def _console(stream: TextIO) -> Console:
    width = None if stream.isatty() else 200
    return PlainConsole(file=stream, highlight=False, markup=False, width=width, soft_wrap=not stream.isatty())


def table(*columns: str) -> Table:
    """Return a plain table; columns that begin with `#` are numbers."""
    made = PlainTable(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column.removeprefix("#"), justify="right" if column.startswith("#") else "left")
    return made


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return rfc3339(value)
    raise TypeError(type(value).__name__)


def ssh_key_option(function: F) -> F:
    """Add --ssh-key."""
    return click.option(
        "--ssh-key",
        type=click.Path(path_type=Path, dir_okay=False),
        help="SSH key to sign with (a private key, or a public one whose private half an agent holds).",
    )(function)
