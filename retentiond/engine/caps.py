"""Caps: how much of a dataset, of a policy or of one account's data may go without people being asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from retentiond.domain.plan import Forecast
from retentiond.domain.policy import Limits


def cap_reasons(forecasts: Iterable[Forecast], limits: dict[str, Limits]) -> list[str]:
    """Return which caps a plan exceeds, and of what. `limits` by policy id."""
    found = list(forecasts)
    return [*_percent_reasons(found, limits), *_records_reasons(found, limits)]


def _percent_reasons(forecasts: Iterable[Forecast], limits: Mapping[str, Limits]) -> Iterator[str]:
    """Yield where more of a dataset is due than `max_percent` of what the scan examined of it."""
    for forecast in forecasts:
        yield from _over(forecast, limits.get(forecast.policy, Limits()).max_percent)


def _over(forecast: Forecast, max_percent: float) -> Iterator[str]:
    percent = 100 * forecast.due / forecast.examined if forecast.examined else 0
    if percent > max_percent:
        yield (
            f"{forecast.due} of {forecast.examined} records of {forecast.dataset} are due: {percent:.1f} % of this "
            f"full scan, more than max_percent {max_percent:g}"
        )


def _records_reasons(forecasts: Iterable[Forecast], limits: Mapping[str, Limits]) -> Iterator[str]:
    """Yield where more records are due under a policy, in all its datasets together, than `max_records`."""
    due_of: Counter[str] = Counter()
    for forecast in forecasts:
        due_of[forecast.policy] += forecast.due
    for policy, due in due_of.items():
        limit = limits.get(policy, Limits()).max_records
        if due > limit:
            yield f"{due} records are due under {policy}, more than max_records {limit}"


def above_closure_cap(
    forecasts: Iterable[Forecast],
    takes: Mapping[tuple[str, str], int],
    percent: float | None,
    setting: str = "closure.limits.max_percent",
) -> dict[str, str]:
    """Return whose closure or erasure would take more than its share of a dataset, each with the reason.

    Args:
        takes: By dataset and account: how many records would go.
        percent: The most that one may take, by that setting; None for anything.
    """
    examined = {forecast.dataset: forecast.examined for forecast in forecasts}
    found: dict[str, str] = {}
    for (dataset, account), count in takes.items() if percent is not None else ():
        share = 100 * count / (examined.get(dataset) or count)
        if percent is not None and share > percent:
            found.setdefault(
                account,
                f"{count} of {examined.get(dataset)} records of {dataset} are of one account that leaves: "
                f"{share:.1f} % of this full scan, more than {setting} {percent:g}",
            )
    return found
