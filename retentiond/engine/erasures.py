"""Requests for erasure are taken in, and changed, by word of somebody; each change counts once it is logged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from retentiond.domain.erasure import OPEN, ErasureEvent, ErasureState, Person, next_erasure_state
from retentiond.domain.statute import Law, deadlines
from retentiond.engine.accounts import account_commitment, account_commitments
from retentiond.engine.closures import belongs
from retentiond.engine.context import Context, new_id
from retentiond.engine.leaving import person_of, seal_person
from retentiond.engine.scopes import check_texts
from retentiond.engine.signing import Signed, deliver_what_waits, record_state, request
from retentiond.errors import ErasureStateError, NotFound, UsageError
from retentiond.evidence.canonical import Json, optional_rfc3339, rfc3339
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import ErasureRow, PendingRow

ADD, ADD_VERIFIED = "erasure", "erasure-verified"  # the second of requests that say how the identity was verified
VERIFY, EXTEND, REFUSE, CANCEL = "erasure-verify", "erasure-extend", "erasure-refuse", "erasure-cancel"
LABEL = "erasure"
_EVENTS = {
    ADD: ErasureEvent.LOG,
    ADD_VERIFIED: ErasureEvent.LOG,
    VERIFY: ErasureEvent.VERIFY,
    EXTEND: ErasureEvent.EXTEND,
    REFUSE: ErasureEvent.REFUSE,
    CANCEL: ErasureEvent.CANCEL,
}
_CHANGES = {
    ErasureEvent.VERIFY: (VERIFY, "erasure verify"),
    ErasureEvent.EXTEND: (EXTEND, "erasure extend"),
    ErasureEvent.REFUSE: (REFUSE, "erasure refuse"),
    ErasureEvent.CANCEL: (CANCEL, "erasure cancel"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as somebody takes it in.

    Attributes:
        received: The day of receipt where whoever answers is; None for today.
        reason: Where it came from, or its number elsewhere.
        identity: How the identity of whoever asks was verified; empty where it was not yet.
        jurisdiction: Where the account belongs; empty where a list says it, or nobody knows.
    """

    person: Person
    law: str
    received: date | None
    reason: str
    identity: str = ""
    jurisdiction: str = ""


def person_commitment(ctx: Context, person: Person) -> str:
    """Return the commitment under which a person is remembered once the request has ended."""
    return ctx.replay.commit(LABEL, person.text)


def person_commitments(ctx: Context, person: Person) -> Sequence[str]:
    """Return the commitments under which a person may have been remembered, one of each replay key."""
    return ctx.replay.commitments(LABEL, person.text)


def add_erasure(ctx: Context, asked: Asked, key_file: Path | None) -> ErasureRow:
    """Take in a request; it counts once its entry is in the log, and begins once the identity was verified.

    Raises:
        UsageError: It names nobody, no law that is known, or a day that is still to come.
        ErasureStateError: A request of that person is under way.
        LogIntegrityError: It is pending.
    """
    law = _law(ctx, asked.law)
    _check_person(asked)
    where = belongs(ctx.policies.closure, asked.person.account, asked.jurisdiction)
    named: dict[str, Json] = {"jurisdiction": where} if where else {}
    now = ctx.now()
    today = now.astimezone(ZoneInfo(ctx.policies.erasure.zone)).date()
    received = asked.received or today
    row = replace(_row(ctx, asked, law, received, now, today), jurisdiction=where)
    ctx.log.compare()
    with ctx.ledger.begin() as tx:
        _check_alone(ctx, tx, asked.person)
    record: dict[str, Json] = {
        "kind": ADD,
        "id": row.id,
        "account": asked.person.account,
        "user": asked.person.user,
        "law": law.id,
        "receivedOn": row.received_on,
        "askedAt": rfc3339(row.asked_at),
        "firstAt": rfc3339(row.first_at),
        "lastAt": rfc3339(row.last_at),
        "confirmAt": optional_rfc3339(row.confirm_at),
        "reason": asked.reason,
        "identity": asked.identity,
        **named,
    }
    arguments: dict[str, Json] = {
        "verb": "erasure add",
        **{name: record[name] for name in ("account", "user", "law", "receivedOn", "reason", "identity")},
        **named,
    }
    signed = request(ctx, "erasure add", arguments, key_file)
    kind = ADD_VERIFIED if asked.identity else ADD
    with ctx.ledger.begin() as tx:
        _check_alone(ctx, tx, asked.person)
        # Sealed only here: signing may have taken long, and the wrapping key may have been rotated meanwhile.
        tx.erasures.add(replace(row, subject_sealed=seal_person(ctx, row.id, asked.person)))
        write_texts(ctx, tx, row, said("add", signed, now, asked.reason))
        if asked.identity:
            write_texts(ctx, tx, _known(tx, row.id), said("verify", signed, now, asked.identity))
        index = record_state(ctx, tx, {**record, **signed.to_json()})
        tx.pending.add(PendingRow(index, kind, row.id, signed.principal, now))
    settle_erasures(ctx, deliver_what_waits(ctx, "the request for erasure"))
    return erasure_of(ctx, row.id)


def change_erasure(ctx: Context, reference: str, event: ErasureEvent, reason: str, key_file: Path | None) -> ErasureRow:
    """Verify, extend, refuse or cancel a request, with words that say how or why.

    Raises:
        NotFound: There is no such request.
        ErasureStateError: It is not in a state in which that can be done, or it is too late for that.
        LogIntegrityError: It is pending.
    """
    kind, verb = _CHANGES[event]
    _check_reason(reason, "--identity" if event is ErasureEvent.VERIFY else "--reason")
    row = erasure_of(ctx, reference)
    now = ctx.now()
    _check_event(ctx, row, event, now)
    ctx.log.compare()
    signed = request(ctx, verb, {"verb": verb, "id": row.id, "reason": reason}, key_file)
    with ctx.ledger.begin() as tx:
        current = _known(tx, row.id)
        _check_event(ctx, current, event, now)
        if any(change.subject == row.id and change.kind == kind for change in tx.pending.all()):
            raise ErasureStateError(
                "that was asked for already, and is pending: the log lacks its entry",
                where=row.id,
                remedy="make log and journal writable, then `retentiond run`",
            )
        write_texts(ctx, tx, current, said(verb.split(" ")[1], signed, now, reason))
        index = record_state(ctx, tx, {"kind": kind, "id": row.id, "reason": reason, **signed.to_json()})
        tx.pending.add(PendingRow(index, kind, row.id, signed.principal, now))
    settle_erasures(ctx, deliver_what_waits(ctx, f"`{verb}`"))
    after = erasure_of(ctx, row.id)
    wanted = next_erasure_state(current.state, event)
    if after.state is not wanted:
        raise ErasureStateError(
            f"the request is {after.state} by now: that came before this was in the log",
            where=row.id,
            remedy="`retentiond erasure status` tells where it stands",
        )
    return after


def settle_erasures(ctx: Context, size: int) -> None:
    """Let requests and their changes count whose entries are published, in a log of so many entries."""
    with ctx.ledger.begin() as tx:
        settle_erasures_in(tx, size, ctx.now())


def settle_erasures_in(tx: Transaction, size: int, now: datetime) -> None:
    """Do that inside a transaction."""
    for change in tx.pending.all():
        event = _EVENTS.get(change.kind)
        if event is None or change.log_index >= size:
            continue
        tx.pending.remove(change.log_index)
        row = tx.erasures.get(change.subject)
        if row is None or not apply_event(tx, row, event, change.at, verified=change.kind == ADD_VERIFIED):
            tx.events.append("erasure.too-late", change.subject, now, {"by": change.by, "change": change.kind})
            continue
        tx.events.append(f"erasure.{event.value}", row.id, now, {"by": change.by})


def apply_event(tx: Transaction, row: ErasureRow, event: ErasureEvent, at: datetime, *, verified: bool = False) -> bool:
    """Move a request as an event does; False where it is too late for that."""
    try:
        state = next_erasure_state(row.state, event)
    except ValueError:
        return False
    if event is ErasureEvent.EXTEND:
        if row.extended_at is not None:
            return False
        tx.erasures.extend(row.id, at)
    elif state in OPEN:
        tx.erasures.set_state(row.id, ErasureState.VERIFIED if verified else state)
    else:
        tx.erasures.end(row.id, state, at)
    return True


def erasure_of(ctx: Context, reference: str) -> ErasureRow:
    """Return a request by its id.

    Raises:
        NotFound: There is none.
    """
    with ctx.ledger.begin() as tx:
        return _known(tx, reference)


def list_erasures(ctx: Context, *, account: str | None = None, ended: bool = False) -> list[ErasureRow]:
    """Return requests by deadline: those under way, or all.

    Args:
        account: Those of this account and its users; None for everybody's.
    """
    states = tuple(ErasureState) if ended else (ErasureState.ASKED, *OPEN)
    with ctx.ledger.begin() as tx:
        if account is None:
            found = tx.erasures.in_state(*states)
        else:
            found = tx.erasures.of_account(*account_commitments(ctx, account))
    return sorted((row for row in found if row.state in states), key=lambda row: row.next_deadline)


def subject_of(ctx: Context, row: ErasureRow) -> Person | None:
    """Return whose data a request names; None once it has ended."""
    text = person_of(ctx, row)
    return Person.read(text) if text else None


def said(verb: str, signed: Signed, at: datetime, text: str) -> dict[str, Json]:
    """Return one line of what was written of a request."""
    return {"verb": verb, "by": signed.principal, "at": rfc3339(at), "text": text}


def texts_of(ctx: Context, row: ErasureRow) -> list[Mapping[str, Any]]:
    """Return what people wrote of a request, oldest first; nothing once the time of that is over."""
    if not row.texts_sealed:
        return []
    found: list[Mapping[str, Any]] = json.loads(ctx.wrapping.open(row.texts_sealed, _texts_context(row.id)))
    return found


def write_texts(ctx: Context, tx: Transaction, row: ErasureRow, line: Mapping[str, Json]) -> None:
    """Add a line to what is written of a request."""
    written = json.dumps([*texts_of(ctx, row), line])
    tx.erasures.write(row.id, ctx.wrapping.seal(written.encode(), _texts_context(row.id)))


def _row(ctx: Context, asked: Asked, law: Law, received: date, now: datetime, today: date) -> ErasureRow:
    if received > today:
        raise UsageError(
            f"{received} is still to come where whoever answers is ({ctx.policies.erasure.zone})",
            where="--received",
            remedy="name the day on which the request came in",
        )
    try:
        found = deadlines(law, received, ctx.policies.erasure.zone)
    except ValueError as error:
        raise UsageError(str(error), where="--received", remedy="name the day on which the request came in") from error
    return ErasureRow(
        id=new_id(now),
        commitment=person_commitment(ctx, asked.person),
        of_account=account_commitment(ctx, asked.person.account),
        subject_sealed=b"",
        texts_sealed=b"",
        law=law.id,
        state=ErasureState.ASKED,  # until its entry is published
        received_on=received.isoformat(),
        asked_at=now,
        first_at=found.first,
        last_at=found.last,
        confirm_at=found.confirm,
        deadline_at=found.first,
    )


def _law(ctx: Context, name: str) -> Law:
    laws = ctx.policies.erasure.laws
    if name not in laws:
        raise UsageError(
            f"there is no law {name!r}",
            where="--law",
            remedy=f"one of: {', '.join(laws)}; others are declared in policies.yaml, `erasure: {{laws: …}}`",
        )
    return laws[name]


def _check_person(asked: Asked) -> None:
    check_texts("--account", (asked.person.account,))
    check_texts("--user", (asked.person.user,))
    _check_reason(asked.reason, "--reason")
    check_texts("--identity", (asked.identity,))
    if not asked.person.account:
        raise UsageError(
            "a request for erasure names an account",
            where="--account",
            remedy="--account A --user U, or --account A --all",
        )


def _check_reason(reason: str, option: str) -> None:
    check_texts(option, (reason,))
    if not reason.strip():
        raise UsageError("this has to be said in words", where=option, remedy=f"{option} TEXT")


def _check_alone(ctx: Context, tx: Transaction, person: Person) -> None:
    known = tx.erasures.of_person(*person_commitments(ctx, person))
    for row in known:
        if row.state in (ErasureState.ASKED, *OPEN):
            raise ErasureStateError(
                f"a request of that person is {row.state} since {row.received_on}",
                where=row.id,
                remedy=f"`retentiond erasure status {row.id}` tells where it stands",
            )


def _check_event(ctx: Context, row: ErasureRow, event: ErasureEvent, now: datetime) -> None:
    """Raise ErasureStateError where an event cannot happen to a request now."""
    try:
        next_erasure_state(row.state, event)
    except ValueError as error:
        remedy = "`retentiond erasure status` tells where it stands"
        if row.state is ErasureState.ASKED:
            remedy = "its entry is not published yet: make log and journal writable, then `retentiond run`"
        raise ErasureStateError(str(error), where=row.id, remedy=remedy) from error
    if event is ErasureEvent.EXTEND:
        _check_extension(ctx, row, now)


def _check_extension(ctx: Context, row: ErasureRow, now: datetime) -> None:
    law = ctx.policies.erasure.laws.get(row.law)
    name = law.name if law else row.law
    if row.last_at == row.first_at:
        raise ErasureStateError(f"{name} knows no extension", where=row.id, remedy="answer it by its deadline")
    if row.extended_at is not None:
        raise ErasureStateError("its time was extended once", where=row.id, remedy="answer it by its deadline")
    if now >= row.first_at:
        raise ErasureStateError(
            f"its time ended at {rfc3339(row.first_at)}: an extension is told before that",
            where=row.id,
            remedy="answer it now; it is past its deadline",
        )


def _known(tx: Transaction, reference: str) -> ErasureRow:
    row = tx.erasures.get(reference)
    if row is None:
        raise NotFound(
            f"there is no request for erasure {reference!r}",
            remedy="`retentiond erasure list --ended` names all of them",
        )
    return row


def _texts_context(name: str) -> bytes:
    return f"erasure-texts/{name}".encode()
