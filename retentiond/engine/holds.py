"""Placing and releasing legal holds. A hold counts from its ledger commit, a release once its entry is published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from retentiond.domain.hold import Hold, Scope
from retentiond.domain.scopes import write_scope
from retentiond.engine.claims import Unfinished, wait_for_older
from retentiond.engine.context import Context, new_id
from retentiond.engine.scopes import check_scope, check_texts
from retentiond.engine.signing import deliver, record_state, record_unstaged, request
from retentiond.errors import LogIntegrityError, NotFound, RetentiondError, UsageError
from retentiond.evidence.canonical import Json, rfc3339
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import PendingRow

RELEASE = "hold-release"


@dataclass(frozen=True, slots=True)
class Placed:
    """A hold in force.

    Attributes:
        removed_meanwhile: Records that the hold names and that claims older than it removed, or found gone.
        may_be_gone: Batches whose end could not be waited for, with how many records the hold names of them.
    """

    hold: Hold
    in_force_since: datetime
    removed_meanwhile: int
    may_be_gone: tuple[Unfinished, ...]

    @property
    def text(self) -> str:
        """What the operator must know of it, in one sentence."""
        since = f"in force since {rfc3339(self.in_force_since)}; removed meanwhile: {self.removed_meanwhile}"
        named = [f"{each.records} in batch {each.plan}/{each.ordinal}" for each in self.may_be_gone]
        return f"{since}; may be gone: {', '.join(named)}" if named else since


def add_hold(ctx: Context, scope: Scope, matter: str, reason: str, key_file: Path | None) -> Placed:
    """Place a hold, wait for claims that are older than it, and say what they removed of what it names.

    Raises:
        UsageError: The scope names nothing, or a dataset or field that the data map lacks.
        LogIntegrityError: The hold is in force, and not yet in journal and log.
    """
    _check_scope(ctx, scope, matter, reason)
    arguments: dict[str, Json] = {"matter": matter, "reason": reason, "scope": write_scope(scope)}
    signed = request(ctx, "hold add", {"verb": "hold add", **arguments}, key_file)
    now = ctx.now()
    hold = Hold(new_id(now), matter, scope, now, reason)
    record: dict[str, Json] = {"kind": "hold", "id": hold.id, **arguments, **signed.to_json()}
    log_is_sound = _log_is_sound(ctx)
    with ctx.ledger.begin() as tx:
        tx.holds.add(hold)  # first: it waits for claims that are being made, and the next line sees them
        claims = tx.claims.in_flight()
        if log_is_sound:
            record_state(ctx, tx, record)
        else:
            record_unstaged(ctx, tx, record)
        tx.events.append("hold.added", hold.id, now, {"by": signed.principal})
    trouble = _delivered(ctx)
    meanwhile = wait_for_older(ctx, hold, claims)
    placed = Placed(hold, now, meanwhile.removed, meanwhile.may_be_gone)
    if trouble is not None:
        raise LogIntegrityError(
            f"hold {hold.id} is {placed.text}. It is in force, but not yet logged: {trouble.what}",
            where=trouble.where,
            remedy="make log and journal writable (a ledger that is behind its log: `retentiond ledger recover`); "
            "the next command that writes to the log publishes the entry",
        ) from trouble
    return placed


def release_hold(ctx: Context, matter_or_id: str, key_file: Path | None) -> list[Hold]:
    """Release a hold by its id, or all holds of a matter; counts only once its log entry is published.

    Raises:
        NotFound: No hold in force has that id or matter.
        LogIntegrityError: The release is pending: its entry is not published yet, and the hold stays in force.
    """
    found = _named(ctx, matter_or_id)
    ids = [hold.id for hold in found]
    signed = request(ctx, "hold release", {"verb": "hold release", "hold": matter_or_id, "holds": ids}, key_file)
    ctx.log.compare()
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        for hold in found:
            record = {"kind": RELEASE, "id": hold.id, "named": matter_or_id, **signed.to_json()}
            index = record_state(ctx, tx, record)
            tx.pending.add(PendingRow(index, RELEASE, hold.id, signed.principal, now))
    try:
        size = deliver(ctx)
    except RetentiondError as error:
        raise LogIntegrityError(
            f"the release of {matter_or_id!r} is pending, since it is not yet logged: {error.what}",
            where=error.where,
            remedy="the hold stays in force; make log and journal writable, and the next `retentiond run` or "
            "`hold` command publishes the entry",
        ) from error
    settle_releases(ctx, size)
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
        try:  # not read first: who reads holds and then changes them could wait for another one who does
            tx.holds.release(change.subject, now)
        except NotFound:
            tx.events.append("hold.released-before", change.subject, now, {"by": change.by})
        else:
            tx.events.append("hold.released", change.subject, now, {"by": change.by})


def list_holds(ctx: Context) -> list[Hold]:
    """Return the holds in force, those whose release is pending among them."""
    with ctx.ledger.begin() as tx:
        return list(tx.holds.active())


def pending_releases(ctx: Context) -> frozenset[str]:
    """Return the ids of holds whose release waits until its entry is published."""
    with ctx.ledger.begin() as tx:
        return frozenset(change.subject for change in tx.pending.all() if change.kind == RELEASE)


def _named(ctx: Context, matter_or_id: str) -> list[Hold]:
    with ctx.ledger.begin() as tx:
        found = [hold for hold in tx.holds.active() if matter_or_id in (hold.id, hold.matter)]
    if not found:
        raise NotFound(f"no hold in force is called {matter_or_id!r}", remedy="`retentiond hold list` names them")
    return found


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


def _check_scope(ctx: Context, scope: Scope, matter: str, reason: str) -> None:
    if not matter.strip():
        raise UsageError("a hold belongs to a matter", where="--matter", remedy="name it: --matter M")
    for option, texts in (("--matter", (matter,)), ("--reason", (reason,)), ("--account", scope.accounts)):
        check_texts(option, texts)
    check_scope(ctx, scope, "a hold")
