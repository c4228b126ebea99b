"""A store that does as the real one does, and tells of its errors, and of the seconds that its batches take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from retentiond.errors import ConnectorError
from retentiond.ports.stores import Acted, Connector, Order, Verified

Failed = Callable[[ConnectorError], None]


def watch(
    real: Connector, failed: Failed, seconds: Callable[[float], None], monotonic: Callable[[], float]
) -> Connector:
    """Return a connector that is watched; it has whatever the real one has.

    Args:
        failed: Hears of each error that it raises.
        seconds: Hears how long a batch took, from the act to the end of the look.
        monotonic: Reads a clock that is never set.
    """
    return cast("Connector", _Watched(real, failed, seconds, monotonic))


@contextmanager
def told(failed: Failed) -> Iterator[None]:
    """Tell of an error of a store that a block raises."""
    try:
        yield
    except ConnectorError as error:
        failed(error)
        raise


class _Watched:
    def __init__(
        self, real: Connector, failed: Failed, seconds: Callable[[float], None], monotonic: Callable[[], float]
    ) -> None:
        self._real = real
        self._failed = failed
        self._seconds = seconds
        self._monotonic = monotonic
        self._acted: tuple[Order, float] | None = None

    def act(self, order: Order) -> Acted:
        self._acted = None
        began = self._monotonic()
        with told(self._failed):
            acted = self._real.act(order)
        self._acted = (order, began)
        return acted

    def verify(self, order: Order) -> Verified:
        with told(self._failed):
            verified = self._real.verify(order)
        # Else a second look, such as the one before a receipt. What the act left goes with the order by then.
        if self._acted is not None and self._acted[0].records is order.records:
            self._seconds(self._monotonic() - self._acted[1])
            self._acted = None
        return verified

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the real one has
        found = getattr(self._real, name)
        return self._watched(found) if callable(found) else found

    def _watched(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the real one takes
            with told(self._failed):
                said = real(*given, **named)
            return self._through(said) if isinstance(said, Iterator) else said

        return call

    def _through(self, said: Iterator[Any]) -> Iterator[Any]:
        with told(self._failed):
            yield from said
