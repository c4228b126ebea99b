"""What a replay needs of a request that was carried out: its end, by the person's commitment, and no name."""

from __future__ import annotations

from retentiond.domain.erasure import ErasureState, Person
from retentiond.engine.erasures import person_commitments
from retentiond.engine.rewrapping import rotate_replay
from tests.erasure.scene import HOSTILE, Scene


def test_who_was_erased_is_found_by_a_commitment_also_under_an_older_key(scene: Scene) -> None:
    scene.chat("mine", "acct-a", HOSTILE)
    name = scene.ask("acct-a", HOSTILE)
    scene.run()
    with scene.open() as ctx:
        rotate_replay(ctx, None)
    with scene.open() as ctx, ctx.ledger.begin() as tx:
        (row,) = tx.erasures.of_person(*person_commitments(ctx, Person("acct-a", HOSTILE)))
        assert (row.id, row.state, row.ended_at) == (name, ErasureState.DONE, scene.clock.at)
        for other in (Person("acct-b", HOSTILE), Person("acct-a", "mine"), Person("acct-a")):
            assert tx.erasures.of_person(*person_commitments(ctx, other)) == []
