"""What finally became of a record, from what the store said when it acted and what a separate read saw after."""

from __future__ import annotations

from collections.abc import Sequence

from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action
from retentiond.engine.holding import UNKNOWN
from retentiond.engine.identifiers import Final
from retentiond.engine.kinship import CHILD_REMAINS

NOT_VERIFIED = "not-verified"

_REMOVED = {
    Action.PURGE: Final.PURGED,
    Action.TOMBSTONE: Final.TOMBSTONED,
    Action.REDACT: Final.REDACTED,
    Action.PSEUDONYMISE: Final.PSEUDONYMISED,
}


def judge(action: Action, outcome: Outcome, sighting: Sighting) -> tuple[Final, str]:
    """Return what finally became of a record, from what the store said and what a separate read saw.

    Only the separate read makes anything final; where it says nothing, nothing is.
    """
    if sighting is Sighting.UNKNOWN:
        return Final.CARRIED_OVER, UNKNOWN
    if sighting is Sighting.ABSENT:
        removed = outcome is Outcome.DONE and action is Action.PURGE
        return (_REMOVED[action] if removed else Final.ALREADY_GONE), ""
    if sighting is Sighting.HIDDEN:
        return (Final.TOMBSTONED, "") if action is Action.TOMBSTONE else (Final.CHANGED, "")
    if sighting is Sighting.CLEARED:
        return (_REMOVED[action] if outcome is Outcome.DONE else Final.ALREADY_GONE), ""
    if outcome is Outcome.REFUSED:
        return Final.CARRIED_OVER, "refused"
    if sighting is Sighting.CHANGED:
        return Final.CHANGED, ""
    if outcome is Outcome.BLOCKED:
        return Final.CARRIED_OVER, CHILD_REMAINS
    return Final.CARRIED_OVER, NOT_VERIFIED


def judge_all(action: Action, outcomes: Sequence[Outcome], sightings: Sequence[Sighting]) -> list[tuple[Final, str]]:
    """Judge each record; there are few different pairs of what was said and what was seen."""
    pairs = list(zip(outcomes, sightings, strict=True))
    verdicts = {pair: judge(action, *pair) for pair in set(pairs)}
    return [verdicts[pair] for pair in pairs]
