"""What servers answer, read with lxml row by row, and what DeleteObjects is sent: nothing is believed about either."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes
from xml.sax.saxutils import escape

from lxml import etree

_LISTS = {
    "Version": "Versions",
    "DeleteMarker": "DeleteMarkers",
    "Contents": "Contents",
    "Upload": "Uploads",
    "CommonPrefixes": "CommonPrefixes",
}
_COLUMNS = {
    "Version": ("Key", "VersionId", "LastModified", "IsLatest", "Size", "ETag"),
    "Contents": ("Key", "LastModified", "Size", "ETag"),
}
_CODED = ("Key", "Prefix")


class Malformed(Exception):
    """An answer that is not the XML that it should be."""


class Failure(NamedTuple):
    """What an answer says went wrong; the region where the bucket is, if it names that."""

    code: str
    message: str
    region: str


def read_failure(body: bytes) -> Failure:
    """Return what an error's body says; empty texts for what it does not say."""
    try:
        root = _root(body)
    except Malformed:
        return Failure("", "", "")
    said = {_name(each.tag): each.text or "" for each in root}
    return Failure(said.get("Code", ""), said.get("Message", ""), said.get("Region", ""))


def read_answer(body: bytes, expected: str) -> Mapping[str, Any]:
    """Return an answer as boto3 would have it: lists of rows, texts, times and numbers read.

    Args:
        expected: The name of its outermost element.

    Raises:
        Malformed: It is something else, or not whole.
    """
    root = _root(body)
    if _name(root.tag) != expected:
        message = f"{_name(root.tag)} in place of {expected}"
        raise Malformed(message)
    answer: dict[str, Any] = {}
    coded = any(_name(each.tag) == "EncodingType" and each.text == "url" for each in root.iterchildren())
    in_columns = {name: rows for name in _COLUMNS if (rows := _rows(root, name)) is not None}
    for element in root.iterchildren(tag=etree.Element):
        name = _name(element.tag)
        if name in in_columns:
            continue
        if name in _LISTS:
            answer.setdefault(_LISTS[name], []).append(_texts(element))
        else:
            answer[name] = element.text or ""
    answer.update((_LISTS[name], rows) for name, rows in in_columns.items())
    for rows in (answer[name] for name in _LISTS.values() if name in answer):
        _read_rows(rows, coded=coded)
    if answer.get("IsTruncated") in ("true", "false"):
        answer["IsTruncated"] = answer["IsTruncated"] == "true"
    return answer


def read_texts(body: bytes) -> Mapping[str, str]:
    """Return the texts of an answer of one level.

    Raises:
        Malformed: It is not whole.
    """
    return {_name(each.tag): each.text or "" for each in _root(body).iterchildren(tag=etree.Element)}


def read_tags(body: bytes) -> Mapping[str, str]:
    """Return the tags of an object by name.

    Raises:
        Malformed: The answer is not a set of tags, or not whole.
    """
    root = _root(body)
    if _name(root.tag) != "Tagging":
        message = f"{_name(root.tag)} in place of Tagging"
        raise Malformed(message)
    rows = (_texts(each) for group in root.iterchildren() for each in group.iterchildren())
    return {row["Key"]: row.get("Value", "") for row in rows if "Key" in row}


def read_deletion(body: bytes) -> tuple[int, list[str], list[str]]:
    """Return of how many keys a DeleteResult says that they went, the markers that it names, and its error codes.

    Raises:
        Malformed: The answer is something else, or not whole.
    """
    root = _root(body)
    if _name(root.tag) != "DeleteResult":
        message = f"{_name(root.tag)} in place of DeleteResult"
        raise Malformed(message)
    deleted, markers, codes = 0, list[str](), list[str]()
    for element in root.iterchildren(tag=etree.Element):
        name = _name(element.tag)
        deleted += name == "Deleted"
        wanted = {"Deleted": "DeleteMarkerVersionId", "Error": "Code"}.get(name)
        texts = [child.text or "" for child in element if _name(child.tag) == wanted]
        if name == "Error":
            codes.append(next(filter(None, texts), "no code"))
        else:
            markers += filter(None, texts)
    return deleted, markers, codes


def deletion(names: Iterable[tuple[str, str]]) -> bytes:
    """Return the body of a DeleteObjects for keys and version ids, the latter empty where there are none."""
    objects = "".join(
        f"<Object><Key>{escape(key)}</Key>{f'<VersionId>{escape(version)}</VersionId>' if version else ''}</Object>"
        for key, version in names
    )
    return (f'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{objects}<Quiet>false</Quiet></Delete>').encode()


def _root(body: bytes) -> Any:  # noqa: ANN401 - lxml's element
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        return etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Malformed(str(error)) from error


def _name(tag: str) -> str:
    found = _NAMES.get(tag)
    if found is None:
        found = tag.rpartition("}")[2]
        if len(_NAMES) < _MOST_NAMES:
            _NAMES[tag] = found
    return found


# The same few names in each of a million rows; a server that sends others does not fill memory.
_NAMES: dict[str, str] = {}
_MOST_NAMES = 1_000


def _texts(element: Any) -> dict[str, Any]:  # noqa: ANN401 - lxml's element
    row: dict[str, Any] = {}
    for child in element:
        tag = child.tag
        row[_NAMES.get(tag) or _name(tag)] = child.text or ""
    return row


def _rows(root: Any, name: str) -> list[dict[str, Any]] | None:  # noqa: ANN401 - lxml's element
    """Return the rows of one name, read column by column, at a third of the cost; None where rows are not alike."""
    space = root.tag.rpartition("}")[0].lstrip("{")
    count, columns = _paths(space, name)
    size = int(count(root))
    found = {field: texts for field, column in columns.items() if (texts := column(root))}
    if not size or "Key" not in found or any(len(texts) != size for texts in found.values()):
        return None
    return [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]


@lru_cache(maxsize=32)
def _paths(space: str, name: str) -> tuple[Any, Mapping[str, Any]]:
    prefix, spaces = ("n:", {"n": space}) if space else ("", None)
    columns = {
        field: etree.XPath(f"{prefix}{name}/{prefix}{field}/text()", namespaces=spaces, smart_strings=False)
        for field in _COLUMNS[name]
    }
    return etree.XPath(f"count({prefix}{name})", namespaces=spaces), columns


def _read_rows(rows: list[dict[str, Any]], *, coded: bool) -> None:
    for row in rows:
        for name in _CODED if coded else ():
            if name in row:
                row[name] = _decoded(row[name])
        for name, read in _READ.items():
            if name in row:
                row[name] = read(row[name])


def _size(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _decoded(text: str) -> str:
    """Return a key that was URL-encoded; bytes that are not UTF-8 become lone surrogates, as Python has file names."""
    if "%" not in text and "+" not in text:
        return text
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "surrogateescape")


def read_time(text: str) -> datetime | None:
    """Return a time; None for what is not ISO 8601 with a zone, which no clock is read from."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


_READ: Mapping[str, Callable[[str], Any]] = {
    "LastModified": read_time,
    "Initiated": read_time,
    "IsLatest": lambda text: text == "true",
    "Size": _size,
}
