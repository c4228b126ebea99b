"""Names, keys and contents that break programs which build paths, statements, pages or patterns from them."""

from __future__ import annotations

LONGEST_KEY_BYTES = 1_024

QUOTES = (
    "it's",
    'say "hi"',
    "`tick`",
    "[brackets]",
    "back\\slash",
    "semi;colon",
    "dollar$1${HOME}$(id)",
)
STATEMENTS = (
    "'; DROP TABLE requests; --",
    '" OR ""="',
    "1 OR 1=1",
    "x') OR ('1'='1",
    "?1 :name @at $dollar",
    "%",
    "_",
    "*",
    "NULL",
)
MARKUP = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "&amp;&#0;&lt;",
    "]]><!--",
    "{{7*7}}",
    "__proto__",
    "constructor",
)
PATHS = (
    "../../etc/passwd",
    "..",
    ".",
    "./a",
    "a//b",
    "/absolute",
    "trailing/",
    "-rf",
    "--version",
    "~root",
    "CON",
    "C:\\temp",
    "file:///etc/passwd",
)
ENCODINGS = (
    "%2e%2e%2f",
    "%2e",
    "%00",
    "%25",
    "100%25",
    "a+b",
    "a b",
    "a%2eb",
    "a.b",
    "\\u0000",
    "=?utf-8?q?x?=",
)
SPACES = (
    " leading",
    "trailing ",
    "tab\tin",
    "line\nfeed",
    "carriage\rreturn",
    "\r\n",
    "no\u00a0break",
    "zero\u200bwidth",
    "\ufeffmark",
    "line\u2028separator",
)
CONTROLS = (
    "nul\x00in",
    "nul\x00out",
    "\x00",
    "bell\x07",
    "escape\x1b[31mred",
    "delete\x7f",
    "\x01",
)
SCRIPTS = (
    "right\u202eto-left",
    "\u05d0\u05d1\u05d2",
    "\u00e9",
    "e\u0301",
    "\u212bngstrom",
    "\u00c5ngstrom",
    "\U0001f5d1\ufe0f",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "\ufffe",
    "\U0010ffff",
    "I\u0130\u0131i",
    "\u00df",
    "SS",
)
NUMBERS = (
    "0",
    "00",
    "-1",
    "1e3",
    "1.0",
    "9223372036854775808",
    "0x10",
    "x'00ff'",
    "true",
)
CASES = (
    "Case",
    "case",
    "CASE",
)
LONG = (
    "k" * LONGEST_KEY_BYTES,
    "\u00e9" * (LONGEST_KEY_BYTES // 2),
    "n" * 255,
)
JSON = (
    '["a","b"]',
    '{"a":1}',
    '"',
    "[]",
)

NAMES: tuple[str, ...] = (
    *QUOTES,
    *STATEMENTS,
    *MARKUP,
    *PATHS,
    *ENCODINGS,
    *SPACES,
    *CONTROLS,
    *SCRIPTS,
    *NUMBERS,
    *CASES,
    *LONG,
    *JSON,
)
"""All of them, each once. A store that cannot hold a name leaves it out; none may take one for another."""
