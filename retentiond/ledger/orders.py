"""Orders for the daemon. Rows are few, and short-lived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import bindparam, delete, insert, select, update

from retentiond.ledger.schema import columns_of, orders
from retentiond.ledger.session import Session, values_of
from retentiond.ports.orders import OrderRow, OrderState

_ALL = select(*columns_of(orders, OrderRow)).order_by(orders.c.asked_at, orders.c.id)
_THIS = orders.c.id == bindparam("reference")
_GET = select(*columns_of(orders, OrderRow)).where(_THIS)
_ADD = insert(orders)
_TAKE = (
    update(orders)
    .where(_THIS, orders.c.state == OrderState.WAITING)
    .values(state=OrderState.RUNNING, server=bindparam("new_server"))
)
_PUT_BACK = update(orders).where(_THIS).values(state=OrderState.WAITING, server=0)
_ASK = update(orders).where(_THIS).values(state=OrderState.SIGNING, text=bindparam("new_text"), signature="")
_SIGN = (
    update(orders)
    .where(_THIS, orders.c.state == OrderState.SIGNING)
    .values(state=OrderState.SIGNED, signature=bindparam("new_signature"))
)
_TELL = update(orders).where(_THIS).values(progress=bindparam("new_progress"))
_FINISH = update(orders).where(_THIS).values(state=OrderState.DONE, answer=bindparam("new_answer"))
_REMOVE = delete(orders).where(_THIS)


class SqlOrders:
    """Orders for the daemon."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, order: OrderRow) -> None:
        """Store an order."""
        self._session.insert(_ADD, asdict(order))

    def get(self, order: str) -> OrderRow | None:
        """Return an order by its id."""
        row = self._session.row(_GET, reference=order)
        return None if row is None else OrderRow(**values_of(row))

    def all(self) -> Sequence[OrderRow]:
        """Return all of them, the oldest first."""
        return [OrderRow(**values_of(row)) for row in self._session.rows(_ALL)]

    def take(self, order: str, server: int) -> bool:
        """Take one that waits; False where another daemon has it, or nobody waits any more."""
        return self._session.change(_TAKE, reference=order, new_server=server) == 1

    def put_back(self, order: str) -> None:
        """Let one that was taken wait again: nothing of it was done."""
        self._session.change(_PUT_BACK, reference=order)

    def ask(self, order: str, text: Mapping[str, object]) -> None:
        """Ask whoever waits for a signature.

        Raises:
            NotFound: Nobody waits any more.
        """
        self._session.change_one("order that waits for this signature", _ASK, reference=order, new_text=text)

    def sign(self, order: str, signature: str) -> None:
        """Give the signature that was asked for.

        Raises:
            NotFound: None is asked for any more.
        """
        self._session.change_one("order that waits for a signature", _SIGN, reference=order, new_signature=signature)

    def tell(self, order: str, progress: Mapping[str, object]) -> None:
        """Tell how far it is; does nothing where nobody waits any more."""
        self._session.change(_TELL, reference=order, new_progress=progress)

    def finish(self, order: str, answer: Mapping[str, object]) -> None:
        """Tell how it ended; does nothing where nobody waits any more."""
        self._session.change(_FINISH, reference=order, new_answer=answer)

    def remove(self, order: str) -> None:
        """Forget an order, whatever became of it."""
        self._session.change(_REMOVE, reference=order)
