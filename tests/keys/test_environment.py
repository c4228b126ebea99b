"""Keys in the environment and in the settings: what wins, what is refused, and that nothing of a key is ever shown."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from retentiond.bootstrap import read_configuration
from retentiond.errors import ConfigError, KeyFileError, UsageError
from retentiond.keys import KeySources, LocalKeys, create_all
from retentiond.settings import KeyPlaces, load_service
from tests.engine.office import NOW, Office, make_office
from tests.keys.test_local import ORIGIN
from tests.keys.walk import judged, pins, records, rotate, run

KINDS = ("issuer", "log", "wrapping", "replay")
LEAST = "instance: prod-1\nissuer_id: https://example.com/r\norigin: example.com/log\n"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return make_office(tmp_path)


def moved(office: Office, *kinds: str) -> dict[str, str]:
    """Move private keys from their files into the environment."""
    for kind in kinds:
        path = office.root / "keys" / f"{kind}.key"
        office.environ[f"RETENTIOND_KEY_{kind.upper()}"] = path.read_text("ascii")
        path.unlink()
    return office.environ


def test_an_instance_whose_keys_are_all_in_the_environment(office: Office) -> None:
    before, first = pins(office), run(office, "first")
    moved(office, *KINDS)
    assert sorted(path.name for path in (office.root / "keys").iterdir()) == ["history.json", "issuer.pem", "log.vkey"]
    second = run(office, "second")
    assert [judged(office, each, *before.both).reason for each in (first, second)] == [None, None]
    for kind in ("wrapping", "replay"):
        with pytest.raises(KeyFileError, match="come from the environment") as caught:
            rotate(office, kind)
        assert "openssl rand -hex 32" in caught.value.remedy
    with pytest.raises(UsageError, match="no other is named"):
        rotate(office, "issuer")


def test_keys_in_the_environment_take_each_others_place(office: Office, tmp_path: Path) -> None:
    before, first = pins(office), run(office, "first")
    moved(office, *KINDS)
    create_all(tmp_path / "new", ORIGIN, NOW)
    for kind in KINDS:
        name = f"RETENTIOND_KEY_{kind.upper()}"
        office.environ[name] = (tmp_path / "new" / f"{kind}.key").read_text("ascii") + office.environ[name]
    for kind in ("issuer", "log"):
        rotate(office, kind)
    sealed = rotate(office, "wrapping")
    assert (sealed.went_on, sealed.sealed > 0) == (True, True)
    second = run(office, "second")
    assert [judged(office, each, *before.both, *pins(office).both).reason for each in (first, second)] == [None, None]
    assert [each["role"] for each in records(office)] == ["issuer", "log", "issuer", "log"]


def test_a_variable_and_a_file_with_different_keys_are_refused(office: Office, tmp_path: Path) -> None:
    create_all(tmp_path / "others", ORIGIN, NOW)
    for kind in KINDS:
        name = f"RETENTIOND_KEY_{kind.upper()}"
        office.environ = {name: (tmp_path / "others" / f"{kind}.key").read_text("ascii")}
        with pytest.raises(KeyFileError, match=f"{name} and the file {kind}.key hold different keys"), office.open():
            pass
        office.environ = {name: (office.root / "keys" / f"{kind}.key").read_text("ascii")}
        with office.open() as ctx:
            ctx.keys.check()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_a_key_is_shown(office: Office, kind: str) -> None:
    environ = moved(office, *KINDS)
    name = f"RETENTIOND_KEY_{kind.upper()}"
    secrets = [line for value in environ.values() for line in value.splitlines() if "-----" not in line]
    assert len(secrets) == 4
    configuration = read_configuration(office.config, environ)
    sources = KeySources(office.root / "keys", environ=environ)
    with office.open() as ctx:
        shown = [
            repr(each)
            for each in (configuration, sources, LocalKeys(sources, pins(office).origin), ctx.keys, ctx.issuer)
        ]
    spoilt = environ[name].replace("A", "?").replace("a", "?")
    office.environ = environ | {name: spoilt}
    with pytest.raises(KeyFileError) as caught, office.open():
        pass
    shown += ["".join(traceback.format_exception(caught.value)), str(caught.value), caught.value.remedy]
    assert caught.value.where == name
    for secret in (*secrets, *spoilt.splitlines()[-2:-1]):
        assert [each for each in shown if secret[-40:] in each] == []


def test_where_keys_are_can_be_said_in_the_file_and_in_the_environment(tmp_path: Path) -> None:
    def keys(text: str, **environ: str) -> object:
        (tmp_path / "retentiond.yaml").write_text(LEAST + text, "utf-8")
        return load_service(tmp_path, environ).keys

    arn = "awskms:arn:aws:kms:x:111122223333:key/a"
    both = f"keys: {{directory: k, issuer: 'awskms:alias/i', log: ['awskms:1a-2b', '{arn}']}}"
    assert keys(both) == KeyPlaces(tmp_path / "k", ("awskms:alias/i",), ("awskms:1a-2b", arn))
    assert keys("keys: k\n", RETENTIOND_KEYS__ISSUER="awskms:b awskms:a") == KeyPlaces(
        tmp_path / "k", ("awskms:b", "awskms:a")
    )
    assert keys(both, RETENTIOND_KEYS="elsewhere") == tmp_path / "elsewhere"
    assert keys("", RETENTIOND_KEY_ISSUER="anything") == tmp_path / "keys"
    for text, said in (
        ("keys: {issuer: 5}", "names no key"),
        ("keys: {log: []}", "names no key"),
        ("keys: {issuer: 'file:x'}", "no key of a key service"),
        ("keys: {issuer: ['awskms:a b']}", "no key of a key service"),
        ("keys: {isuer: 'awskms:a'}", "isuer"),
    ):
        with pytest.raises(ConfigError, match=said) as caught:
            keys(text)
        assert caught.value.where.startswith("retentiond.yaml:4:")
    with pytest.raises(ConfigError, match="no setting is called RETENTIOND_KEY_OTHER"):
        keys("", RETENTIOND_KEY_OTHER="x")
    with pytest.raises(ConfigError, match="no key of a key service") as caught:
        keys("", RETENTIOND_KEYS__LOG="gcp:x")
    assert caught.value.where == "RETENTIOND_KEYS__LOG"
