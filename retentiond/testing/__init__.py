"""The contract suite that every connector must pass, for connectors of this package and for those of others.

A connector's tests subclass the contracts of `retentiond.testing.contract` and provide one fixture, `harness`, which
makes a store, fills it and looks into it without the connector (`retentiond.testing.harness`):

    from retentiond.testing.contract import ConnectorContract, TombstoneContract

    class TestMyStore(ConnectorContract, TombstoneContract):
        @pytest.fixture
        def harness(self, tmp_path):
            return MyHarness(tmp_path)

A store that hides records keeps the contracts of `retentiond.testing.contract_undo`, too: what is hidden comes back.
One whose connector changes parts of records keeps that of `retentiond.testing.contract_redact`.
A store that cannot do what a contract is about (say, hide a record) leaves that contract out, and no test is skipped.
Needs the extra `retentiond[testing]`.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "retentiond.testing.bench",
    "retentiond.testing.contract",
    "retentiond.testing.contract_redact",
    "retentiond.testing.contract_undo",
)
