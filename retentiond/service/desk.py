"""Where a daemon takes orders: each is carried out in a thread and on an open instance of its own, beside the ticks.

So a hold or a rejection does not wait for a run, and somebody who takes their time to sign holds up nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from typing import Any, Protocol

from retentiond.clock import Clock
from retentiond.engine.context import Context, Reporter
from retentiond.engine.orders import OrderPen, OrderReporter, finish_order, orders_at_hand, put_back, take_order
from retentiond.errors import Exit, LedgerBusy, LockLost, RetentiondError
from retentiond.ports.orders import OrderBook, OrderRow, Role
from retentiond.telemetry import logger

CarryOut = Callable[[Context, OrderRow], Mapping[str, Any]]
Open = Callable[[Reporter], AbstractContextManager[Context]]

MOST_AT_ONCE = 8
_LOOK_SECONDS = 0.2
_BUSY_SECONDS = 1.0
_TROUBLE_SECONDS = 5.0


class Room(Protocol):
    """Whose desk it is."""

    def open(self, reporter: Reporter) -> AbstractContextManager[Context]:
        """Open the instance as it is configured now."""
        ...

    def orders(self) -> AbstractContextManager[OrderBook]:
        """Open where its orders come from."""
        ...


@dataclass(frozen=True, slots=True)
class Ways:
    """What a desk is given.

    Attributes:
        carry_out: Carries out an order and returns its answer; LedgerBusy where another process acts.
        beat: A sign of life.
    """

    room: Room
    clock: Clock
    carry_out: CarryOut
    beat: Callable[[], None]


class Desk:
    """Takes orders until it is told to stop. With a ledger in a file there are none."""

    def __init__(self, ways: Ways, stop: threading.Event) -> None:
        self._ways = ways
        self._stop = stop
        self._thread = threading.Thread(target=self._serve, name="desk")
        self._workers: dict[str, threading.Thread] = {}
        self._again: dict[str, float] = {}
        self._troubled = False

    def start(self) -> None:
        """Begin to take orders."""
        self._thread.start()

    def join(self) -> None:
        """Wait until what was taken has ended: each finishes its batch in hand."""
        self._thread.join()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                with self._ways.room.orders() as ledger, ledger.attending(Role.SERVING) as number:
                    self._attend(ledger, number)
            except RetentiondError as error:
                self._say(error)
            except Exception as error:  # noqa: BLE001 - perhaps of a row that is no order; the daemon goes on
                self._say(_defect(error))
            self._stop.wait(_TROUBLE_SECONDS)

    def _attend(self, ledger: OrderBook, number: int) -> None:
        """Take orders while this is seen by others."""
        try:
            while number and not self._stop.wait(_LOOK_SECONDS):
                self._look(ledger, number)
            if not number:
                self._stop.wait()
        finally:
            for worker in list(self._workers.values()):
                worker.join()

    def _look(self, ledger: OrderBook, number: int) -> None:
        self._workers = {order: worker for order, worker in self._workers.items() if worker.is_alive()}
        found = orders_at_hand(ledger)
        if found and number not in ledger.attendants(Role.SERVING):
            raise LockLost("this daemon is not seen any more", where="the ledger", remedy="it begins again by itself")
        self._troubled = False
        now = self._ways.clock.monotonic()
        self._again = {order: at for order, at in list(self._again.items()) if at > now}
        for order in found:
            if len(self._workers) < MOST_AT_ONCE and order.id not in self._again:
                self._begin(ledger, order, number)

    def _begin(self, ledger: OrderBook, order: OrderRow, number: int) -> None:
        taken = take_order(ledger, order, number)
        if taken is None:
            return
        worker = threading.Thread(target=self._carry_out, args=(ledger, taken), name=f"order {order.verb}")
        self._workers[order.id] = worker
        worker.start()

    def _carry_out(self, ledger: OrderBook, order: OrderRow) -> None:
        began = self._ways.clock.monotonic()
        try:
            answer = self._answer(ledger, order)
            if answer is None:
                self._again[order.id] = self._ways.clock.monotonic() + _BUSY_SECONDS
                put_back(ledger, order)
                return
            seconds = round(self._ways.clock.monotonic() - began, 3)
            logger().info("order", verb=order.verb, exit=answer["exit"], seconds=seconds)
            finish_order(ledger, order, answer)
        except RetentiondError as error:  # of the ledger: whoever asked finds that nobody answers
            self._say(error)

    def _answer(self, ledger: OrderBook, order: OrderRow) -> Mapping[str, Any] | None:
        ways = self._ways
        reporter = OrderReporter(ledger, ways.clock, order.id, ways.beat)
        try:
            with ExitStack() as stack:
                ctx = stack.enter_context(ways.room.open(reporter))
                return ways.carry_out(replace(ctx, pen=OrderPen(ledger, ways.clock, order)), order)
        except LockLost as error:
            return _failed(error)
        except LedgerBusy:
            return None  # another process acts; it is tried again
        except RetentiondError as error:
            return _failed(error)
        except Exception as error:  # noqa: BLE001 - told with its traceback; a defect must not end the daemon
            logger().exception("order.defect", verb=order.verb)
            return _failed(_defect(error))

    def _say(self, error: RetentiondError) -> None:
        if not self._troubled:
            logger().error("desk.failed", what=error.what, where=error.where, remedy=error.remedy)
        self._troubled = True


def _defect(error: Exception) -> RetentiondError:
    return RetentiondError(f"a defect of retentiond: {type(error).__name__}", remedy="report it")


def _failed(error: RetentiondError) -> Mapping[str, Any]:
    words = {"error": type(error).__name__, "what": error.what, "where": error.where, "remedy": error.remedy}
    words["guard"] = error.guard
    return {"exit": int(error.exit_code or Exit.FAILED), "error": words, "document": None, "out": "", "err": ""}
