"""Builds the verifier into one HTML file, `retentiond-verify.html`, which checks receipts in a visitor's browser."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

from .keyring import pin, pin_witnesses

_SOURCES = resources.files(__package__) / "page"
_MAIN = "main"
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.mjs";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) )", re.MULTILINE)
_PLACE = re.compile(r"\{\{(\w+)\}\}")
_PRESET = """\
<p class="preset">The keys below were built into this page by whoever gave it to you. Compare the fingerprint and the
        log&rsquo;s name with what the issuer publishes.</p>"""


def build(target: str | Path, keys: Sequence[str | bytes] = (), witnesses: Sequence[str | bytes] = ()) -> None:
    """Write the page.

    Args:
        target: the file to write, usually `retentiond-verify.html`; replaced if it is there.
        keys: what stands in the issuer's and the log's key files, to be filled in; none leaves the field empty.
        witnesses: the same of the witnesses' keys, each of which must have cosigned.

    Raises:
        UsageError: keys are given, and one is missing or unusable.
        OSError: the file cannot be written.
    """
    Path(target).write_text(page(keys, witnesses), encoding="utf-8", newline="\n")


def page(keys: Sequence[str | bytes] = (), witnesses: Sequence[str | bytes] = ()) -> str:
    """Give the page's HTML; the same sources and keys give the same text. Arguments and errors are those of `build`."""
    filled = ""
    if keys or witnesses:
        pin(keys)
        pin_witnesses(witnesses)
        filled = "\n".join((item if isinstance(item, str) else item.decode()).strip() for item in (*keys, *witnesses))
    style, code = _read("page.css"), script()
    parts = {
        "policy": _policy(style, code),
        "style": style,
        "script": code,
        "keys": html.escape(filled),
        "preset": _PRESET if filled else "",
    }
    return _PLACE.sub(lambda found: parts[found[1]], _read("page.html"))


def script(first: str = _MAIN) -> str:
    """Give a module of the page and all that it imports as one script: each after what it imports, once."""
    return "".join(_EXPORT.sub("", _IMPORT.sub("", _read(f"{name}.mjs"))) for name in _in_order(first, []))


def _in_order(name: str, seen: list[str]) -> Iterator[str]:
    seen.append(name)
    for imported in _IMPORT.findall(_read(f"{name}.mjs")):
        if imported not in seen:
            yield from _in_order(imported, seen)
    yield name


def _policy(style: str, code: str) -> str:
    """Give the policy that lets this style and this script be, and nothing else: no address, no other script."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src {_digest(style)}",
            f"script-src {_digest(code)}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ),
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _read(name: str) -> str:
    return (_SOURCES / name).read_text(encoding="utf-8")
