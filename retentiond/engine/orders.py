"""Verbs that the daemon carries out for somebody elsewhere, who needs no keys and no stores: both sides of an order.

Whoever asks waits for the end. An order is taken only while somebody waits for it, is worked on at most once, and is
forgotten with its answer. What is to be signed is signed where the order came from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from retentiond.clock import Clock
from retentiond.engine import sshsig
from retentiond.engine.context import Reporter, new_id
from retentiond.errors import ApprovalError, Interrupted, LedgerError, NotFound
from retentiond.ports.orders import OrderBook, OrderRow, OrderState, Role

SIGNING_SECONDS = 180  # a person may have to touch a key
_ALONE_SECONDS = 30  # how long nobody may serve before an order that waits is taken back
_GLANCE_SECONDS = 0.1
_LOOK_SECONDS = 2
_TELL_SECONDS = 0.5
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONSENTS = {"approve": ("approvers", "recovery"), "reject": ("approvers",)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be carried out.

    Attributes:
        verb: Its words, such as `account close`.
        key_file: The SSH key to sign with; None for the agent's.
    """

    verb: str
    arguments: Mapping[str, Any]
    key_file: Path | None = None


@dataclass(slots=True)
class Counter:
    """Where orders are given: a ledger, and no key or store.

    Attributes:
        instance: Whose orders these are; nothing is signed for another one.
    """

    ledger: OrderBook
    clock: Clock
    instance: str

    def served(self) -> bool:
        """Tell whether a daemon is there to take orders."""
        return bool(self.ledger.attendants(Role.SERVING))

    def order(self, wanted: Wanted, reporter: Reporter, stop_requested: Callable[[], bool]) -> Mapping[str, Any]:
        """Have something carried out, and return how it ended.

        Raises:
            Interrupted: Whoever asked waits no longer.
            LedgerError: Nobody serves any more; how it ended is not known, and this says so.
        """
        offered = _offered(wanted.key_file)
        with self.ledger.attending(Role.ASKING) as asker:
            now = self.clock.now()
            row = OrderRow(new_id(now), now, asker, wanted.verb, wanted.arguments, offered)
            with self.ledger.orders() as orders:
                orders.add(row)
            try:
                return _Following(self, wanted, row, reporter, stop_requested).to_the_end()
            finally:
                with self.ledger.orders() as orders:
                    orders.remove(row.id)


@dataclass(slots=True)
class _Following:
    """Somebody who waits for an order's end."""

    counter: Counter
    wanted: Wanted
    row: OrderRow
    reporter: Reporter
    stop_requested: Callable[[], bool]
    heard: Mapping[str, Any] = field(default_factory=dict)
    looked_at: float = 0
    served_at: float = 0

    def to_the_end(self) -> Mapping[str, Any]:
        self.looked_at = self.served_at = self.counter.clock.monotonic()
        while self.row.state is not OrderState.DONE:
            self._step()
        self._hear()
        return self.row.answer

    def _step(self) -> None:
        counter = self.counter
        with counter.ledger.orders() as orders:
            row = orders.get(self.row.id)
        if row is None:
            raise _left("the order was forgotten")
        self.row = row
        self._hear()
        if row.state is OrderState.SIGNING:
            signature = self._signature(str(row.text["text"]), row.text["public"])
            with counter.ledger.orders() as orders:
                orders.sign(row.id, signature)
        elif row.state is not OrderState.DONE:
            self._look()
            counter.clock.sleep(_GLANCE_SECONDS)

    def _look(self) -> None:
        """See whether whoever should carry it out is still there, and whether whoever asked wants to wait."""
        if self.stop_requested():
            began = not self._taken_back()
            raise Interrupted(
                "the daemon goes on with it" if began else "the order is taken back; nothing of it was done",
                remedy="`retentiond status` tells how it stands; `retentiond pause` stops everything" if began else "",
            )
        now = self.counter.clock.monotonic()
        if now - self.looked_at < _LOOK_SECONDS:
            return
        self.looked_at = now
        serving = self.counter.ledger.attendants(Role.SERVING)
        if self.row.server in serving or (serving and not self.row.server):
            self.served_at = now
        elif self.row.server:
            raise _left("the daemon that worked on it is gone")
        elif now - self.served_at > _ALONE_SECONDS and self._taken_back():
            raise LedgerError(
                "no daemon serves any more; nothing of it was done",
                remedy="start `retentiond serve`, then ask again",
            )

    def _taken_back(self) -> bool:
        """Take the order back, so that no daemon can take it any more; False where one has."""
        with self.counter.ledger.orders() as orders:
            return orders.take(self.row.id, 0)

    def _hear(self) -> None:
        """Pass on what is new of the progress."""
        told, before = self.row.progress, self.heard
        if told.get("what") != before.get("what"):
            self.reporter.start(str(told.get("what", "")), told.get("total"))
            before = {**before, "done": 0}
        self.reporter.advance(int(str(told.get("done", 0))) - int(str(before.get("done", 0))))
        for note in list(told.get("notes", []))[len(list(before.get("notes", []))) :]:
            self.reporter.note(note)
        self.heard = told

    def _signature(self, text: str, public: Sequence[str]) -> str:
        """Sign, if it is what was asked for."""
        key = (public[0], public[1])
        if list(key) not in [list(each) for each in self.row.offered] or not self._is_meant(text.split("\n")):
            raise ApprovalError(
                "the daemon asks for the signature of something else; nothing was signed",
                remedy="see who has access to the ledger, and which daemons serve it",
            )
        if self.wanted.key_file is None:
            return sshsig.sign_with_agent(text, key)
        return sshsig.sign(text, self.wanted.key_file)

    def _is_meant(self, lines: list[str]) -> bool:
        verb, reference = self.wanted.verb, str(self.wanted.arguments.get("plan", ""))
        kind, instance, third, fourth = (*lines, "", "", "", "")[:4]
        if instance != self.counter.instance:
            return False
        if kind == "retentiond-request/v1":
            return third in (verb, *_CONSENTS.get(verb, ()))
        names_it = not _SHA256.fullmatch(reference) or third == reference
        return kind == "retentiond-approval/v1" and fourth == verb and names_it


@dataclass(frozen=True, slots=True)
class OrderPen:
    """Has whoever gave an order sign."""

    ledger: OrderBook
    clock: Clock
    order: OrderRow

    @property
    def offered(self) -> Sequence[tuple[str, str]]:
        """The SSH public keys that may sign, as (type, base64)."""
        return [(each[0], each[1]) for each in self.order.offered]

    def sign(self, text: str, public: tuple[str, str]) -> str:
        """Return the armoured signature of a text.

        Raises:
            ApprovalError: It did not come.
        """
        with self.ledger.orders() as orders:
            orders.ask(self.order.id, {"text": text, "public": list(public)})
        until = self.clock.monotonic() + SIGNING_SECONDS
        while self.clock.monotonic() < until:
            with self.ledger.orders() as orders:
                row = orders.get(self.order.id)
            if row is None:
                break
            if row.state is OrderState.SIGNED:
                return row.signature
            self.clock.sleep(_GLANCE_SECONDS)
        raise ApprovalError("whoever asked did not sign", remedy="ask again")


@dataclass(slots=True)
class OrderReporter:
    """Tells whoever gave an order how far it is, about twice a second."""

    ledger: OrderBook
    clock: Clock
    order: str
    beat: Callable[[], None]
    _progress: dict[str, Any] = field(default_factory=lambda: {"notes": []})
    _told_at: float = 0

    def start(self, what: str, total: int | None) -> None:
        """Begin a stretch of work."""
        self._progress |= {"what": what, "total": total, "done": 0}
        self._tell()

    def advance(self, records: int) -> None:
        """So many more records are done."""
        self.beat()
        self._progress["done"] = self._progress.get("done", 0) + records
        if self.clock.monotonic() - self._told_at >= _TELL_SECONDS:
            self._tell()

    def note(self, text: str) -> None:
        """Say something that a person should see now."""
        self._progress["notes"].append(text)
        self._tell()

    def _tell(self) -> None:
        self.beat()
        self._told_at = self.clock.monotonic()
        with self.ledger.orders() as orders:
            orders.tell(self.order, self._progress)


def orders_at_hand(ledger: OrderBook) -> list[OrderRow]:
    """Return the orders that wait, the oldest first; forget those for whose end nobody waits, but for work in hand."""
    with ledger.orders() as orders:
        found = orders.all()
    if not found:
        return []
    asking, serving = ledger.attendants(Role.ASKING), ledger.attendants(Role.SERVING)
    idle = (OrderState.WAITING, OrderState.DONE)
    left = [each for each in found if each.asker not in asking and (each.state in idle or each.server not in serving)]
    if left:
        with ledger.orders() as orders:
            for each in left:
                orders.remove(each.id)
    return [each for each in found if each.state is OrderState.WAITING and each.asker in asking]


def take_order(ledger: OrderBook, order: OrderRow, server: int) -> OrderRow | None:
    """Take an order that waits; None where another daemon has it."""
    with ledger.orders() as orders:
        if orders.take(order.id, server):
            return replace(order, state=OrderState.RUNNING, server=server)
    return None


def finish_order(ledger: OrderBook, order: OrderRow, answer: Mapping[str, Any]) -> None:
    """Tell how an order ended."""
    with ledger.orders() as orders:
        orders.finish(order.id, answer)


def put_back(ledger: OrderBook, order: OrderRow) -> None:
    """Let an order wait again, nothing of which was done."""
    with ledger.orders() as orders:
        orders.put_back(order.id)


def _offered(key_file: Path | None) -> list[list[str]]:
    if key_file is not None:
        return [list(sshsig.public_key(key_file))]
    return [list(each) for each in sshsig.agent_keys()]


def _left(what: str) -> NotFound | LedgerError:
    return LedgerError(
        f"{what}; how it ended is not known",
        remedy="`retentiond status` tells how it stands; what was begun is finished by the next run",
    )
