from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from retentiond.errors import ConfigError
from retentiond.settings import LedgerDatabase, load_service

LEAST = "instance: prod-1\nissuer_id: https://example.com/r\norigin: example.com/log\n"
DSN = "postgresql://me:s3cr3t@db.example/ledger"
SECRET = "s3cr3t"


def load(directory: Path, ledger: str, **environ: str) -> object:
    (directory / "retentiond.yaml").write_text(f"{LEAST}ledger: {ledger}\n", encoding="utf-8")
    return load_service(directory, environ).ledger


def refused(directory: Path, ledger: str, environ: Mapping[str, str]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(directory, ledger, **environ)
    assert SECRET not in f"{caught.value!r} {caught.value} {caught.value.__cause__}"
    assert caught.value.remedy
    return caught.value


def test_the_dsn_comes_from_a_variable_and_is_never_shown(tmp_path: Path) -> None:
    found = load(tmp_path, "{dsn_env: LEDGER_DSN}", LEDGER_DSN=DSN)
    assert found == LedgerDatabase(DSN, "retentiond")
    assert SECRET not in repr(found)


def test_the_variable_may_be_called_like_a_setting(tmp_path: Path) -> None:
    found = load(tmp_path, "{dsn_env: RETENTIOND_LEDGER_DSN, schema: my retention}", RETENTIOND_LEDGER_DSN=DSN)
    assert found == LedgerDatabase(DSN, "my retention")


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o600])
def test_the_dsn_comes_from_a_file_beside_the_configuration(tmp_path: Path, mode: int) -> None:
    secret = tmp_path / "dsn"
    secret.write_text(DSN + "\n", encoding="utf-8")
    secret.chmod(mode)
    assert load(tmp_path, "{dsn_file: dsn}") == LedgerDatabase(DSN)
    assert load(tmp_path, f"{{dsn_file: {secret}}}") == LedgerDatabase(DSN)


def test_the_environment_wins_and_a_source_replaces_the_other(tmp_path: Path) -> None:
    written = "{dsn_file: nowhere, schema: written}"
    environ = {"RETENTIOND_LEDGER__DSN_ENV": "HERE", "HERE": DSN}
    assert load(tmp_path, written, **environ) == LedgerDatabase(DSN, "written")
    assert load(tmp_path, written, **environ, RETENTIOND_LEDGER__SCHEMA="set") == LedgerDatabase(DSN, "set")
    assert load(tmp_path, "l.db", **environ) == LedgerDatabase(DSN)
    assert load(tmp_path, written, RETENTIOND_LEDGER="other.db") == tmp_path / "other.db"


@pytest.mark.parametrize(
    ("ledger", "place", "what", "remedy"),
    [
        (DSN, "4:9", "a DSN does not stand here", "RETENTIOND_LEDGER__DSN_ENV=NAME"),
        (f'"host=db password={SECRET}"', "4:9", "a DSN does not stand here", "dsn_env"),
        ("{}", "4:9", "exactly one of dsn_env, dsn_file", "dsn_env: NAME"),
        ("{dsn_env: A, dsn_file: b}", "4:9", "exactly one of dsn_env, dsn_file", "dsn_env: NAME"),
        ("{schema: s}", "4:9", "exactly one of dsn_env, dsn_file", "dsn_env: NAME"),
        ("{dsn_env: NOT_SET}", "4:19", "NOT_SET is not set", "export NOT_SET="),
        ("{dsn_env: EMPTY}", "4:19", "EMPTY is not set", "export EMPTY="),
        (f"{{dsn_env: '{DSN}'}}", "4:19", "no name of an environment variable", "not the DSN"),
        ("{dsn_env: 5}", "4:19", "5 is not text", "quotes"),
        ("{dsn: x}", "4:10", "no field 'dsn'", "dsn_env"),
        ("{dsn_file: gone}", "4:20", "No such file", "hold the DSN"),
        ("{dsn_file: open}", "4:20", "everybody may read", "chmod"),
        ("{dsn_file: empty}", "4:20", "holds no DSN", "one line"),
        ("{dsn_file: binary}", "4:20", "not text in UTF-8", "hold the DSN"),
        ("{dsn_env: A, schema: pg_x}", "4:30", "a schema of PostgreSQL itself", "retentiond"),
        ('{dsn_env: A, schema: ""}', "4:30", "cannot name a schema", "63 bytes"),
        ('{dsn_env: A, schema: "a\\0b"}', "4:30", "cannot name a schema", "63 bytes"),
        (f"{{dsn_env: A, schema: {'s' * 64}}}", "4:30", "cannot name a schema", "63 bytes"),
        ("[a]", "4:9", "no path", "write a path"),
    ],
)
def test_what_is_wrong_is_refused_at_its_place_and_repeats_no_secret(
    tmp_path: Path, ledger: str, place: str, what: str, remedy: str
) -> None:
    for name, content, mode in (("open", DSN.encode(), 0o644), ("empty", b"\n", 0o600), ("binary", b"\xff", 0o600)):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(mode)
    error = refused(tmp_path, ledger, {"A": DSN, "EMPTY": " "})
    assert error.where == f"retentiond.yaml:{place}"
    assert what in error.what
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("environ", "where", "what"),
    [
        ({"RETENTIOND_LEDGER": DSN}, "RETENTIOND_LEDGER", "a DSN does not stand here"),
        ({"RETENTIOND_LEDGER__DSN_ENV": "GONE"}, "RETENTIOND_LEDGER__DSN_ENV", "GONE is not set"),
        ({"RETENTIOND_LEDGER__DSN_FILE": "gone"}, "RETENTIOND_LEDGER__DSN_FILE", "No such file"),
        (
            {"RETENTIOND_LEDGER__DSN_ENV": "A", "A": DSN, "RETENTIOND_LEDGER__SCHEMA": "pg_x"},
            "RETENTIOND_LEDGER__SCHEMA",
            "PostgreSQL itself",
        ),
        (
            {"RETENTIOND_LEDGER": "x.db", "RETENTIOND_LEDGER__SCHEMA": "s"},
            "RETENTIOND_LEDGER__SCHEMA",
            "contradicts RETENTIOND_LEDGER",
        ),
    ],
)
def test_a_variable_that_is_wrong_is_named_and_repeats_no_secret(
    tmp_path: Path, environ: Mapping[str, str], where: str, what: str
) -> None:
    error = refused(tmp_path, "ledger.db", environ)
    assert error.where == where
    assert what in error.what
