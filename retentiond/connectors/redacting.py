"""What redaction in tables has in common, whichever engine holds them: words, the search for copies, sightings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from retentiond.domain.content import Change, Target
from retentiond.domain.plan import Sighting
from retentiond.domain.traces import samples, stands_in

AGAIN = "what is to be redacted stands in another column of the row, too: name that column in the content window"
OF_ANOTHER = "it is of another account since it was planned"
UNREADABLE = "its JSON is nested, or has numbers, beyond what can be read: name the column itself, or correct the row"
NOTHING_ASKED = "the order does not say what is to be redacted"
METHOD, METHOD_KNOWING = "select-by-key", "select-by-key+search-row"


def traces_of(
    change: Change,
    columns: Sequence[str],
    rows: Iterable[tuple[int, Sequence[object]]],
    pseudonyms: Mapping[str, str],
) -> tuple[Mapping[int, frozenset[str]], Mapping[int, str]]:
    """Look at rows before they are changed.

    Args:
        pseudonyms: Of the accounts that are known.

    Returns:
        Samples of what goes from each row, and why rows cannot be changed so: those that say it in what stays of them,
        too, those of an account that has no pseudonym, and those with JSON that a store can read and Python cannot.
    """
    traces: dict[int, frozenset[str]] = {}
    refused: dict[int, str] = {}
    for number, values in rows:
        row = dict(zip(columns, values, strict=True))
        owners = [row[target.column] for target in change.targets if target.pseudonym]
        if any(owner is not None and str(owner) not in pseudonyms for owner in owners):
            refused[number] = OF_ANOTHER
            continue
        parts = list(change.going(row))
        if any(map(_is_unread, change.targets, parts, (row[target.column] for target in change.targets))):
            refused[number] = UNREADABLE
            continue
        found = frozenset[str]().union(*map(samples, parts))
        if stands_in(found, change.staying(row)):
            refused[number] = AGAIN
        else:
            traces[number] = found
    return traces, refused


def _is_unread(target: Target, part: object, value: object) -> bool:
    """Whether a part of a value is not known because the value cannot be read."""
    inside = target.json is not None and isinstance(value, str)
    return inside and part is None and target.stands_in(str(value)) is None


def remaining(traces: Mapping[int, frozenset[str]], rows: Iterable[tuple[int, Sequence[object]]]) -> set[int]:
    """Return which rows still say anywhere what was removed from them."""
    return {number for number, values in rows if stands_in(traces.get(number, ()), values)}


def sighting_of(found: Sequence[tuple[int, bool | None]], case: int, *, remains: bool) -> Sighting:
    """Return what was seen of a record whose part was to go.

    Args:
        found: For each row that has its key: the case that won, and whether something stands there.
        case: The one that had to win.
        remains: Whether what was removed stands in any of these rows.
    """
    if not found:
        return Sighting.ABSENT
    if all(stands is False for _, stands in found):
        return Sighting.REMAINS if remains else Sighting.CLEARED
    return Sighting.DUE if any(won == case and stands is not False for won, stands in found) else Sighting.CHANGED
