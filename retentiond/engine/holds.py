"""Placing, releasing and reviewing legal holds: one counts from its ledger commit, a release once it is published."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from retentiond.domain.hold import Custody, Hold, Scope
from retentiond.domain.scopes import write_scope
from retentiond.engine.claims import Unfinished, wait_for_older
from retentiond.engine.context import Context, new_id
from retentiond.engine.docket import PLACED, RELEASE, REVIEW, hold_of, holds_in_force, row_of
from retentiond.engine.scopes import check_scope, check_texts
from retentiond.engine.signing import deliver, deliver_what_stops, record_state, record_unstaged, request
from retentiond.errors import LogIntegrityError, NotFound, RetentiondError, UsageError
from retentiond.evidence.canonical import Json, canonical_json, optional_rfc3339, rfc3339
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import PendingRow

MOST = 5_000  # holds of one request


@dataclass(frozen=True, slots=True)
class Placed:
    """Holds that came into force together, each of one custodian.

    Attributes:
        removed_meanwhile: Records that they name and that claims older than they removed, or found gone.
        may_be_gone: Batches whose end could not be waited for, with how many records the holds name of them.
    """

    holds: tuple[Hold, ...]
    in_force_since: datetime
    removed_meanwhile: int
    may_be_gone: tuple[Unfinished, ...]

    @property
    def hold(self) -> Hold:
        """The first of them; mostly there is one."""
        return self.holds[0]

    @property
    def text(self) -> str:
        """What the operator must know of them, in one sentence."""
        since = f"in force since {rfc3339(self.in_force_since)}; removed meanwhile: {self.removed_meanwhile}"
        named = [f"{each.records} in batch {each.plan}/{each.ordinal}" for each in self.may_be_gone]
        return f"{since}; may be gone: {', '.join(named)}" if named else since


@dataclass(frozen=True, slots=True)
class Part:
    """What is meant of a matter: a hold's id or a matter, and of that one custodian's holds or one dataset's."""

    named: str
    custodian: str = ""
    dataset: str = ""


def add_hold(
    ctx: Context,
    custodies: Scope | Sequence[Custody],
    matter: str,
    reason: str,
    key_file: Path | None,
    review_at: datetime | None = None,
) -> Placed:
    """Place holds, wait for claims that are older than they, and say what these removed of what they name.

    Args:
        custodies: What is preserved, custodian by custodian; a scope alone is nobody's in particular.

    Raises:
        UsageError: Nothing is named, or a dataset or field that the data map lacks; or the review would be over.
        LogIntegrityError: The holds are in force, and not yet in journal and log.
    """
    asked = (Custody(custodies),) if isinstance(custodies, Scope) else tuple(custodies)
    _check(ctx, asked, matter, reason)
    _check_review(ctx, review_at)
    arguments: dict[str, Json] = {
        "verb": "hold add",
        "matter": matter,
        "reason": reason,
        "review": optional_rfc3339(review_at),
        "custodies": [{"custodian": each.custodian, "scope": write_scope(each.scope)} for each in asked],
    }
    signed = request(ctx, "hold add", arguments, key_file)
    now = ctx.now()
    holds = tuple(
        Hold(new_id(now), matter, each.scope, now, reason, each.custodian, review_at) for each in dict.fromkeys(asked)
    )
    log_is_sound = _log_is_sound(ctx)
    with ctx.ledger.begin() as tx:
        tx.holds.add(*(row_of(ctx, hold) for hold in holds))  # first: it waits for claims that are being made
        claims = tx.claims.in_flight()
        record = _record(holds) | {"asked": _digest(arguments)} | signed.to_json()
        if log_is_sound:
            record_state(ctx, tx, record)
        else:
            record_unstaged(ctx, tx, record)
        for hold in holds:
            tx.events.append("hold.added", hold.id, now, {"by": signed.principal})
    trouble = _delivered(ctx)
    meanwhile = wait_for_older(ctx, holds, claims)
    with ctx.ledger.begin() as tx:
        for hold in holds:
            tx.holds.note_removed(hold.id, meanwhile.by_hold[hold.id], meanwhile.open_by_hold[hold.id])
    placed = Placed(holds, now, meanwhile.removed, meanwhile.may_be_gone)
    if trouble is not None:
        raise LogIntegrityError(
            f"{_called(holds)} {placed.text}. {'It is' if len(holds) == 1 else 'They are'} in force, "
            f"but not yet logged: {trouble.what}",
            where=trouble.where,
            remedy="make log and journal writable (a ledger that is behind its log: `retentiond ledger recover`); "
            "the next command that writes to the log publishes the entry",
        ) from trouble
    return placed


def release_hold(ctx: Context, part: Part | str, key_file: Path | None) -> list[Hold]:
    """Release holds by id or matter, all of it or a part; that counts only once its log entries are published.

    What another hold names, too, stays: of another matter, or of the same one.

    Raises:
        NotFound: No such hold is in force.
        UsageError: A hold names more than what is to be released, so that only all of it can be.
        LogIntegrityError: The release is pending: its entry is not published yet, and the hold stays in force.
    """
    part = Part(part) if isinstance(part, str) else part
    found = _meant(ctx, part)
    arguments: dict[str, Json] = {
        "verb": "hold release",
        "hold": part.named,
        "custodian": part.custodian,
        "dataset": part.dataset,
        "holds": [hold.id for hold in found],
    }
    signed = request(ctx, "hold release", arguments, key_file)
    ctx.log.compare()
    now = ctx.now()
    said = {"named": part.named, "asked": _digest(arguments), **signed.to_json()}
    with ctx.ledger.begin() as tx:
        index = record_state(ctx, tx, {"kind": RELEASE, **_ids(found), **said})
        tx.pending.add(PendingRow(index, RELEASE, " ".join(hold.id for hold in found), signed.principal, now))
    try:
        size = deliver(ctx)
    except RetentiondError as error:
        raise LogIntegrityError(
            f"the release of {len(found)} hold(s) is pending, since it is not yet logged: {error.what}",
            where=error.where,
            remedy="they stay in force; make log and journal writable, and the next `retentiond run` or "
            "`hold` command publishes the entries",
        ) from error
    settle_releases(ctx, size)
    return found


def review_hold(
    ctx: Context, part: Part, until: datetime | None, reason: str, key_file: Path | None
) -> list[Hold]:  # fmt: skip
    """Say that holds are needed still, and when to look again (None for never); what they hold does not change.

    Raises:
        NotFound: No such hold is in force.
        UsageError: That time is over, or nobody says why.
        LogIntegrityError: The new time counts, and is not yet logged.
    """
    if not reason.strip():
        raise UsageError("a review says why the hold is needed still", where="--reason", remedy="--reason R")
    check_texts("--reason", (reason,))
    _check_review(ctx, until)
    found = _meant(ctx, part)
    arguments: dict[str, Json] = {
        "verb": "hold review",
        "hold": part.named,
        "custodian": part.custodian,
        "dataset": part.dataset,
        "holds": [hold.id for hold in found],
        "until": optional_rfc3339(until),
        "reason": reason,
    }
    signed = request(ctx, "hold review", arguments, key_file)
    ctx.log.compare()
    said = {"until": optional_rfc3339(until), "reason": reason, "asked": _digest(arguments), **signed.to_json()}
    with ctx.ledger.begin() as tx:
        record_state(ctx, tx, {"kind": REVIEW, **_ids(found), **said})
        for hold in found:
            tx.holds.set_review(hold.id, until)
            tx.events.append("hold.reviewed", hold.id, ctx.now(), {"by": signed.principal})
    deliver_what_stops(ctx, "the time of the review counts")
    return found


def settle_releases(ctx: Context, size: int) -> None:
    """Let the releases count whose entries are published, in a log of so many entries."""
    with ctx.ledger.begin() as tx:
        settle_releases_in(tx, size, ctx.now())


def settle_releases_in(tx: Transaction, size: int, now: datetime) -> None:
    """Do that inside a transaction."""
    for change in tx.pending.all():
        if change.kind != RELEASE or change.log_index >= size:
            continue
        tx.pending.remove(change.log_index)
        for hold in change.subject.split(" "):
            try:  # not read first: who reads holds and then changes them could wait for another one who does
                tx.holds.release(hold, now)
            except NotFound:
                tx.events.append("hold.released-before", hold, now, {"by": change.by})
            else:
                tx.events.append("hold.released", hold, now, {"by": change.by})


def list_holds(ctx: Context) -> list[Hold]:
    """Return the holds in force, those whose release is pending among them."""
    with ctx.ledger.begin() as tx:
        return holds_in_force(ctx, tx)


def pending_releases(ctx: Context) -> frozenset[str]:
    """Return the ids of holds whose release waits until its entry is published."""
    with ctx.ledger.begin() as tx:
        waiting = [change.subject for change in tx.pending.all() if change.kind == RELEASE]
    return frozenset(hold for subject in waiting for hold in subject.split(" "))


def called(ctx: Context, name: str) -> list[Hold]:
    """Return the holds of an id or a matter, whether they are in force or were released.

    Raises:
        NotFound: There are none.
    """
    with ctx.ledger.begin() as tx:
        found = [hold for row in tx.holds.all() if name in ((hold := hold_of(ctx, row)).id, hold.matter)]
    if not found:
        raise _not_found("no hold has that id or matter")
    return found


def _meant(ctx: Context, part: Part) -> list[Hold]:
    """Return the holds in force that are meant, all of which is meant."""
    of_matter = [hold for hold in list_holds(ctx) if part.named in (hold.id, hold.matter)]
    if not of_matter:
        raise _not_found("no hold in force has that id or matter")
    found = [hold for hold in of_matter if part.custodian in ("", hold.custodian)]
    if part.custodian and any(part.custodian in hold.scope.accounts for hold in of_matter if hold not in found):
        raise _too_much("--custodian", "that account, and was not placed for that custodian alone")
    if part.dataset and any(not hold.scope.dataset for hold in found):
        raise _too_much("--dataset", "the records of every dataset")
    found = [hold for hold in found if part.dataset in ("", hold.scope.dataset)]
    if not found:
        raise _not_found("of that matter, no hold in force is of that custodian or dataset")
    return found


def _too_much(option: str, what: str) -> UsageError:
    return UsageError(
        f"a hold of that matter names {what}: it can't be let go in part",
        where=option,
        remedy="place holds for what is to stay, one for each custodian and dataset; then release that one by its id",
    )


def _not_found(what: str) -> NotFound:
    return NotFound(what, remedy="`retentiond hold list` names them, `retentiond hold show` those released, too")


def _record(holds: Sequence[Hold]) -> dict[str, Json]:
    """Return the holds of one request as the journal has them."""
    first = holds[0]
    parts: list[dict[str, Json]] = [
        {"id": hold.id, "custodian": hold.custodian, "scope": write_scope(hold.scope)} for hold in holds
    ]
    return {
        "kind": PLACED,
        "matter": first.matter,
        "reason": first.reason,
        "review": optional_rfc3339(first.review_at),
        **(parts[0] if len(parts) == 1 else {"holds": list[Json](parts)}),
    }


def _ids(holds: Sequence[Hold]) -> dict[str, Json]:
    """Return which holds a record is of."""
    return {"id": holds[0].id} if len(holds) == 1 else {"ids": [hold.id for hold in holds]}


def _digest(arguments: dict[str, Json]) -> str:
    """Return what the text of a request says of its arguments, so that its signature can be checked later."""
    return hashlib.sha256(canonical_json(arguments)).hexdigest()


def _called(holds: Sequence[Hold]) -> str:
    return f"hold {holds[0].id} is" if len(holds) == 1 else f"{len(holds)} holds are"


def _delivered(ctx: Context) -> RetentiondError | None:
    """Deliver what is staged; return what went wrong, since a hold must be waited for even then."""
    try:
        deliver(ctx)
    except RetentiondError as error:
        return error
    return None


def _log_is_sound(ctx: Context) -> bool:
    """Tell whether an entry may be staged: in a ledger that is behind its log it would stand in another one's place."""
    try:
        ctx.log.compare()
    except RetentiondError:
        return False
    return True


def _check(ctx: Context, custodies: Sequence[Custody], matter: str, reason: str) -> None:
    if not matter.strip():
        raise UsageError("a hold belongs to a matter", where="--matter", remedy="name it: --matter M")
    if not 0 < len(custodies) <= MOST:
        raise UsageError(
            f"{len(custodies)} holds are asked for at once", where="--matter", remedy=f"name from 1 to {MOST:,}"
        )
    for option, texts in (("--matter", (matter,)), ("--reason", (reason,))):
        check_texts(option, texts)
    for each in custodies:
        check_texts("--account", each.scope.accounts)
        check_texts("--custodian", (each.custodian,))
        check_scope(ctx, each.scope, "a hold")


def _check_review(ctx: Context, at: datetime | None) -> None:
    if at is not None and at <= ctx.now():
        raise UsageError(f"{rfc3339(at)} is over", where="the review", remedy="name a time that is to come")
