from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from retentiond.errors import ConfigError, Exit
from retentiond.settings import Approver, load_approvers, parse_approvers


def ssh_key(number: int) -> str:
    public = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32).public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


ALICE, BOB = ssh_key(1), ssh_key(2)
KEY = ALICE.split(" ")[1]
SHORT = base64.b64encode(base64.b64decode(KEY)[:19]).decode()


def test_people_comments_and_blank_lines() -> None:
    data = f"# people\n\n  # more\nalice@example.com {ALICE} laptop of Alice\nbob\t{BOB}\n".encode()
    found = parse_approvers("approvers", data)
    assert found.principals == (
        Approver("alice@example.com", "ssh-ed25519", ALICE.split(" ")[1]),
        Approver("bob", "ssh-ed25519", BOB.split(" ")[1]),
    )
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.text.encode() == data


@pytest.mark.parametrize("options", ['namespaces="retentiond"', 'namespaces="retentiond",valid-after="20260101Z"'])
def test_options_that_only_narrow_are_taken(options: str) -> None:
    (found,) = parse_approvers("approvers", f"alice {options} {ALICE}\n".encode()).principals
    assert (found.name, found.key) == ("alice", KEY)


def test_one_person_may_have_two_keys() -> None:
    found = parse_approvers("approvers", f"alice {ALICE}\nalice {BOB}\n".encode())
    assert [each.name for each in found.principals] == ["alice", "alice"]


@pytest.mark.parametrize("text", ["", "# nobody\n", "\n\n"])
def test_a_file_may_name_nobody(text: str) -> None:
    assert parse_approvers("approvers", text.encode()).principals == ()


def test_no_file_names_nobody(tmp_path: Path) -> None:
    found = load_approvers(tmp_path / "approvers")
    assert (found.principals, found.sha256, found.text) == ((), "", "")


@pytest.mark.parametrize(
    ("line", "column", "what"),
    [
        (f"*@example.com {ALICE}", 1, "pattern"),
        (f"alic? {ALICE}", 1, "pattern"),
        (f"!mallory {ALICE}", 1, "pattern"),
        (f"alice,bob {ALICE}", 1, "list"),
        (f'"alice" {ALICE}', 1, "quoted"),
        (f"alice cert-authority {ALICE}", 7, "certificate authority"),
        (f"alice CERT-AUTHORITY {ALICE}", 7, "certificate authority"),
        (f'alice namespaces="retentiond",cert-authority {ALICE}', 7, "certificate authority"),
        (f'alice namespaces="*" {ALICE}', 7, "neither a type of key nor an option"),
        (f'alice namespaces="git,retentiond" {ALICE}', 7, "neither a type"),
        (f'alice namespaces="retentiond", {ALICE}', 7, "neither a type"),
        (f'alice valid-after="tomorrow" {ALICE}', 7, "neither a type"),
        (f"alice valid-after {ALICE}", 7, "neither a type"),
        (f"alice no-touch-required {ALICE}", 7, "neither a type"),
        (f"alice ssh-ed25519-cert-v01@openssh.com {KEY}", 7, "neither a type"),
        (f'alice namespaces="retentiond" ssh-dss {KEY}', 31, "no type of key that can approve"),
        ("alice ssh-ed25519", 1, "no principal and key"),
        ("alice ssh-ed25519 AAAA!", 19, "not base64"),
        (f"alice ssh-ed25519 {SHORT}", 19, "cut short"),
        (f"alice ssh-rsa {KEY}", 15, "not of the type"),
        (f'alice namespaces="retentiond" {ALICE.split(" ")[0]}', 31, "ends before its key"),
        (ALICE, 1, "no principal and key"),
        (f"alice\x00 {ALICE}", 1, "no principal and key"),
        (f"ali\u202ece {ALICE}", 1, "no principal and key"),
        (f"alice {ALICE}\r", 1, "no principal and key"),
    ],
)
def test_lines_with_which_one_person_could_be_two_are_refused(line: str, column: int, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_approvers("approvers", f"# people\nbob {BOB}\n{line}\n".encode())
    assert caught.value.where == f"approvers:3:{column}"
    assert what in caught.value.what
    assert caught.value.remedy
    assert caught.value.exit_code == Exit.USAGE


@pytest.mark.parametrize("again", [f"mallory {ALICE} other", f"alice {ALICE}"])
def test_a_key_stands_once(again: str) -> None:
    with pytest.raises(ConfigError, match="stands in line 2 already") as caught:
        parse_approvers("approvers", f"# people\nalice {ALICE}\n{again}\n".encode())
    assert caught.value.where == "approvers:3:1"


def test_a_file_that_is_not_utf8() -> None:
    with pytest.raises(ConfigError, match="not UTF-8"):
        parse_approvers("approvers", b"al\xffice")
