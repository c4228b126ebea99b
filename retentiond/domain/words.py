"""Names of tables and columns as words: `userEmails` and `USER-EMAIL` have two in common."""

from __future__ import annotations

import re

_RUNS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+", re.UNICODE)
_SAME = {
    "acct": "account",
    "addr": "address",
    "attachements": "attachment",
    "comms": "message",
    "conv": "conversation",
    "convo": "conversation",
    "ctx": "context",
    "cust": "customer",
    "desc": "description",
    "descr": "description",
    "doc": "document",
    "fname": "firstname",
    "hist": "history",
    "img": "image",
    "instr": "instruction",
    "lname": "lastname",
    "meta": "metadata",
    "msg": "message",
    "org": "organization",
    "organisation": "organization",
    "params": "parameter",
    "pic": "picture",
    "props": "property",
    "pwd": "password",
    "passwd": "password",
    "passphrase": "password",
    "req": "request",
    "res": "response",
    "resp": "response",
    "tel": "phone",
    "telephone": "phone",
    "txt": "text",
    "uid": "userid",
    "usr": "user",
    "zip": "postcode",
}
_SINGULAR = (
    "address alias analysis basis bus canvas chorus class corpus dns focus gps https ios news pass progress "
    "series sms sos status this tls was bias process business access success css aws os ms ns us its always "
    "has is as"
)
_WHOLE = frozenset(_SINGULAR.split())
_LONG = 3


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name: lower case, singular, with common short forms written out."""
    return tuple(_plain(run) for run in _RUNS.findall(name))


def _plain(run: str) -> str:
    word = run.lower()
    word = _SAME.get(word, word)
    if len(word) <= _LONG or word in _WHOLE or not word.endswith("s") or word.endswith(("ss", "is", "us")):
        return word
    single = _single(word)
    return _SAME.get(single, single)


def _single(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1]
