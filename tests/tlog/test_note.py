"""Signed notes, verifier keys, checkpoints, names of tiles: the specifications' own examples, and what they forbid."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.errors import LogIntegrityError
from retentiond.evidence.vkey import VerifierKey
from retentiond.tlog.note import Checkpoint, open_checkpoint, open_note, sign_note
from retentiond.tlog.proof import encode_proof
from retentiond.tlog.tiles import bundle_path, decode_bundle, encode_bundle, tile_path
from tests.tlog.parts import ORIGIN, VKEY, FixedKey
from tests.tlog.reader import check_proof, numbered

# C2SP signed-note, "Example".
SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""
VECTOR = json.loads((Path(__file__).parent.parent / "vectors" / "receipt-v1.json").read_text(encoding="utf-8"))
KEY = VerifierKey.parse(VKEY)
FOREIGN = "— witness.example " + base64.b64encode(b"\x00" * 76).decode() + "\n"


def test_the_specification_s_example_verifies() -> None:
    assert open_note(SPEC_NOTE.encode(), VerifierKey.parse(SPEC_KEY)) == "This is an example message.\n"


def test_the_vector_s_checkpoint_and_proof() -> None:
    key = VerifierKey.parse(VECTOR["logVkey"])
    checkpoint = open_checkpoint(VECTOR["checkpoint"].encode(), key)
    assert VECTOR["checkpoint"].startswith(checkpoint.encode() + "\n")
    assert (checkpoint.origin, checkpoint.size) == ("retentiond.example/log", 309)
    text = VECTOR["bundle"]["tlogProof"]
    assert check_proof(text, VECTOR["entry"].encode(), VECTOR["logVkey"]) == (301, 309)
    path = [base64.b64decode(line) for line in text.split("\n\n")[0].split("\n")[2:]]
    assert encode_proof(301, path, VECTOR["checkpoint"].encode()) == text


def test_a_proof_without_a_path_is_that_of_a_log_of_one_entry() -> None:
    assert encode_proof(0, [], b"log.example\n1\n") == "c2sp.org/tlog-proof@v1\nindex 0\n\nlog.example\n1\n"


def test_a_note_may_hold_empty_lines_and_signatures_of_others() -> None:
    note = sign_note("a\n\nb\n", ORIGIN, FixedKey()).decode()
    assert open_note(note.encode(), KEY) == "a\n\nb\n"
    assert open_note((note + FOREIGN).encode(), KEY) == "a\n\nb\n"
    head, signature = note.rsplit("\n\n", 1)
    assert open_note(f"{head}\n\n{FOREIGN}{signature}".encode(), KEY) == "a\n\nb\n"


def test_a_key_s_name_alone_or_id_alone_makes_it_no_signature_of_the_key() -> None:
    note = sign_note("text\n", ORIGIN, FixedKey()).decode()
    for other in (note.replace(ORIGIN, "other.example"), sign_note("text\n", ORIGIN, FixedKey(2)).decode()):
        with pytest.raises(LogIntegrityError, match="not signed by"):
            open_note(other.encode(), KEY)


def test_one_false_signature_of_the_key_refuses_the_note() -> None:
    note = sign_note("text\n", ORIGIN, FixedKey()).decode()
    false = f"— {ORIGIN} {base64.b64encode(KEY.id + bytes(64)).decode()}\n"
    with pytest.raises(LogIntegrityError, match="is false"):
        open_note((note + false).encode(), KEY)
    with pytest.raises(LogIntegrityError, match="is false"):
        open_note(note.replace("text\n", "Text\n").encode(), KEY)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda note: note.replace("text\n", "te\x00xt\n"),
        lambda note: note.replace("text\n", "te\rxt\n"),
        lambda note: note.replace("text\n", "te\txt\n"),
        lambda note: note.replace("\n\n", "\n"),
        lambda note: note.rstrip("\n"),
        lambda note: note + "\n",
        lambda note: note.replace("—", "-"),
        lambda note: note.replace("= \n", "\n"),
        lambda note: note + "— no-signature\n",
        lambda note: note + "— x ****\n",
        lambda note: note + "— a+b AAAAAAAA\n",
        lambda note: note + "— short AAAA\n",
        lambda note: note + FOREIGN * 16,
        lambda _: "",
        lambda _: "\n\n",
    ],
)
def test_what_is_no_note_is_refused(spoil: Callable[[str], str]) -> None:
    note = sign_note("text\n", ORIGIN, FixedKey()).decode()
    spoiled = spoil(note)
    if spoiled == note:
        spoiled = note.replace("\n— ", "\n—  ")
    with pytest.raises(LogIntegrityError):
        open_note(spoiled.encode(), KEY)


def test_sixteen_signatures_are_read() -> None:
    note = sign_note("text\n", ORIGIN, FixedKey()).decode()
    assert open_note((note + FOREIGN * 15).encode(), KEY) == "text\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log.example",
        SPEC_KEY.replace("530d903a", "530d903b"),
        SPEC_KEY.replace("530d903a", "530D903A"),
        SPEC_KEY[:-4],
        SPEC_KEY + "\n",
        SPEC_KEY.replace("example.com/foo", "example.com foo"),
        SPEC_KEY.replace("example.com/foo", ""),
        SPEC_KEY.replace("AekyeRrm", "BOkyeRrm"),
        SPEC_KEY.replace("AekyeRrm", "A*kyeRrm"),
    ],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(LogIntegrityError, match="key"):
        VerifierKey.parse(text)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb", "a\x00b", "a\u2003b"])
def test_what_cannot_name_a_log_is_refused(name: str) -> None:
    with pytest.raises(LogIntegrityError, match="not a note key"):
        VerifierKey(name, bytes(32))


def test_checkpoints_read_back() -> None:
    for size in (0, 1, 10, 2**62):
        checkpoint = Checkpoint("log.example", size, bytes(range(32)))
        assert Checkpoint.parse(checkpoint.encode()) == checkpoint


def test_a_checkpoint_of_another_log_under_our_key_is_refused() -> None:
    note = sign_note(Checkpoint("other.example", 1, bytes(32)).encode(), ORIGIN, FixedKey())
    with pytest.raises(LogIntegrityError, match="is of the log 'other"):
        open_checkpoint(note, KEY)


ROOT = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "text",
    [
        f"log\n007\n{ROOT}\n",
        f"log\n-1\n{ROOT}\n",
        f"log\n+1\n{ROOT}\n",
        f"log\n1 \n{ROOT}\n",
        f"log\n٣\n{ROOT}\n",
        f"log\n\n{ROOT}\n",
        f"\n1\n{ROOT}\n",
        f"log\n1\n{ROOT[:-4]}\n",
        f"log\n1\n{ROOT.replace('A=', 'B=')}\n",
        f"log\n1\n{ROOT}\nextension\n",
        f"log\n1\n{ROOT}",
        f"log\n1\n{ROOT}\n\n",
        "log\n1\n\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(LogIntegrityError, match="not a checkpoint"):
        Checkpoint.parse(text)


def test_names_of_tiles() -> None:
    # The examples of tlog-tiles.
    assert tile_path(0, 1_234_067) == "tile/0/x001/x234/067"
    assert tile_path(2, 0, 1) == "tile/2/000.p/1"
    assert bundle_path(1234, 255) == "tile/entries/x001/234.p/255"
    assert bundle_path(999) == "tile/entries/999"
    assert bundle_path(1000) == "tile/entries/x001/000"


@given(st.integers(0, 2**55))
def test_numbers_of_tiles(number: int) -> None:
    assert tile_path(0, number) == f"tile/0/{numbered(number)}"


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_bundles_read_back(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries), "here") == entries


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5), st.data())
def test_a_bundle_that_ends_inside_an_entry_is_refused(entries: list[bytes], draw: st.DataObject) -> None:
    data = encode_bundle(entries)
    cut = draw.draw(st.integers(1, len(entries[-1]) + 1))
    with pytest.raises(LogIntegrityError, match="cut off") as caught:
        decode_bundle(data[:-cut], "tile/entries/000")
    assert caught.value.where == "tile/entries/000"
