"""What rules and content windows of a policy have in common: conditions and promises as operators write them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import WithJsonSchema, model_validator

from retentiond.settings.problems import refuse
from retentiond.settings.values import Declared, MaybePeriod, longest_seconds, shortest_seconds

When = Annotated[
    Any,
    WithJsonSchema(
        {
            "type": "object",
            "description": "Fields (account, attributes) with what they must be; any, all and not combine conditions.",
            "minProperties": 1,
        }
    ),
]


class PromiseModel(Declared):
    """The longest time that anything may be recoverable, as told to customers."""

    live: MaybePeriod = None
    backups: MaybePeriod = None

    @model_validator(mode="after")
    def _consistent(self) -> PromiseModel:
        if self.live is None and self.backups is None:
            raise refuse("nothing is promised here", "write `live: 30 days`, and `backups:` if backups are promised")
        if self.live and self.backups and longest_seconds(self.backups) < shortest_seconds(self.live):
            raise refuse(
                f"backups are promised for {self.backups}, less than the {self.live} of live data",
                "`backups` counts from the same start: live and backups together",
            )
        return self
