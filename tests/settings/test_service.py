from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from retentiond.domain.period import Period
from retentiond.errors import ConfigError, Exit
from retentiond.settings import ServiceSettings, load_service

LEAST = "instance: prod-1\nissuer_id: https://example.com/r\norigin: example.com/log\n"


def load(directory: Path, text: str = LEAST, environ: Mapping[str, str] | None = None) -> ServiceSettings:
    (directory / "retentiond.yaml").write_text(text, encoding="utf-8")
    return load_service(directory, environ or {})


def refused(directory: Path, text: str = LEAST, environ: Mapping[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(directory, text, environ)
    assert caught.value.exit_code == Exit.USAGE == 2
    return caught.value


def test_what_is_not_said_has_the_documented_defaults(tmp_path: Path) -> None:
    found = load(tmp_path)
    assert (found.instance, found.issuer_id, found.origin) == ("prod-1", "https://example.com/r", "example.com/log")
    assert (found.mode, found.single_operator) == ("enforce", False)
    assert found.identifiers.keep == Period(days=7)
    assert found.commitments.keep == Period(days=400)
    assert found.plan_expires == Period(days=1)
    assert found.stop_file == tmp_path / "STOP"
    assert found.ledger == tmp_path / "ledger.db"
    assert (found.log, found.receipts, found.keys, found.journal) == (
        tmp_path / "log",
        tmp_path / "receipts",
        tmp_path / "keys",
        tmp_path / "journal",
    )


def test_paths_are_relative_to_the_config_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.mkdir()
    (config / "retentiond.yaml").write_text(LEAST + "ledger: ../state/l.db\nlog: /srv/log\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = load_service(Path("config"), {})
    assert found.ledger == config / "../state/l.db"
    assert found.log == Path("/srv/log")


def test_everything_can_be_set_in_the_environment_which_wins(tmp_path: Path) -> None:
    text = LEAST + "mode: enforce\nidentifiers: {keep: 1 day}\nsingle_operator: false\n"
    environ = {
        "RETENTIOND_CONFIG": "/elsewhere",
        "RETENTIOND_INSTANCE": "other",
        "RETENTIOND_ISSUER_ID": "urn:example:x",
        "RETENTIOND_ORIGIN": "other.example/log",
        "RETENTIOND_MODE": "observe",
        "RETENTIOND_STOP_FILE": "/run/stop",
        "RETENTIOND_SINGLE_OPERATOR": "true",
        "RETENTIOND_IDENTIFIERS__KEEP": "3 days",
        "RETENTIOND_COMMITMENTS__KEEP": "13 months",
        "RETENTIOND_PLAN_EXPIRES": "PT2H",
        "RETENTIOND_LEDGER": "a",
        "RETENTIOND_LOG": "b",
        "RETENTIOND_RECEIPTS": "c",
        "RETENTIOND_KEYS": "d",
        "RETENTIOND_JOURNAL": "e",
        "PATH": "/bin",
    }
    found = load(tmp_path, text, environ)
    assert (found.instance, found.issuer_id, found.origin) == ("other", "urn:example:x", "other.example/log")
    assert (found.mode, found.single_operator, found.stop_file) == ("observe", True, Path("/run/stop"))
    assert (found.identifiers.keep, found.plan_expires) == (Period(days=3), Period(seconds=7200))
    assert found.commitments.keep == Period(months=13)
    assert found.ledger == tmp_path / "a"
    paths = (found.log, found.receipts, found.keys, found.journal)
    assert paths == tuple(tmp_path / name for name in "bcde")


def test_only_the_environment_that_is_handed_in_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETENTIOND_MODE", "observe")
    assert load(tmp_path).mode == "enforce"


@pytest.mark.parametrize(
    ("line", "place", "what", "remedy"),
    [
        ("mode: obseve", "4:7", "'obseve'", "'enforce' or 'observe'"),
        ("modus: observe", "4:1", "no field 'modus'", "mean 'mode'"),
        ("single_operator: 1", "4:18", "neither true nor false", "true or false"),
        ("single_operator: yes", "4:18", "neither true nor false", "true or false"),
        ("plan_expires: 24", "4:15", "24 has no unit", "number and a unit"),
        ("identifiers: 7 days", "4:14", "not a mapping", "name: value"),
        ("identifiers: {keep: 7}", "4:21", "7 has no unit", "number and a unit"),
        ("identifiers: {kept: 7 days}", "4:15", "no field 'kept'", "mean 'keep'"),
        ("identifiers: {keep: }", "4:15", "blank", "write a value"),
        ("ledger: postgresql://u:secret@db/x", "4:9", "a DSN does not stand here", "dsn_env: NAME"),
        ('keys: ""', "4:7", "no path", "config directory"),
        ("keys: 5", "4:7", "no path", "config directory"),
        ("journal:", "4:1", "no path", "config directory"),
    ],
)
def test_bad_settings_are_refused_at_their_place(line: str, place: str, what: str, remedy: str, tmp_path: Path) -> None:
    error = refused(tmp_path, f"{LEAST}{line}\n")
    assert error.where == f"retentiond.yaml:{place}"
    assert what in error.what
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("instance", "two words"),
        ("instance", "-x"),
        ("instance", "x" * 65),
        ("instance", "a/b"),
        ("instance", "é"),
        ("instance", "a\\nb"),
        ("issuer_id", "example.com"),
        ("issuer_id", "https://exa mple"),
        ("origin", "https://example.com/log"),
        ("origin", "example.com/a+b"),
        ("origin", "example.com/a b"),
        ("origin", "a\\nb"),
        ("origin", ""),
        ("origin", "\\u202e"),
    ],
)
def test_names_that_stand_in_receipts_and_in_the_log_are_strict(name: str, value: str, tmp_path: Path) -> None:
    lines = {"instance": "i", "issuer_id": "urn:x:y", "origin": "o"} | {name: value}
    error = refused(tmp_path, "".join(f'{key}: "{each}"\n' for key, each in lines.items()))
    assert error.where == f"retentiond.yaml:{list(lines).index(name) + 1}:{len(name) + 3}"


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    error = refused(tmp_path, "")
    assert "'instance' is missing" in error.what
    assert "'issuer_id' is missing" in error.what
    assert "'origin' is missing" in error.what


@pytest.mark.parametrize(
    ("variable", "value", "what"),
    [
        ("RETENTIOND_MODE", "Observe", "'Observe'"),
        ("RETENTIOND_SINGLE_OPERATOR", "yes", "neither true nor false"),
        ("RETENTIOND_SINGLE_OPERATOR", "", "neither true nor false"),
        ("RETENTIOND_IDENTIFIERS__KEEP", "7", "7 has no unit"),
        ("RETENTIOND_IDENTIFIERS", '{"keep": "1 day"}', "no setting is called"),
        ("RETENTIOND_OBSERVE", "true", "no setting is called"),
        ("RETENTIOND_RECEIPTS", "s3://bucket", "only files"),
        ("RETENTIOND_LOG", "s3://", "no place in a bucket"),
    ],
)
def test_a_variable_that_is_wrong_is_named(variable: str, value: str, what: str, tmp_path: Path) -> None:
    error = refused(tmp_path, environ={variable: value})
    assert error.where == variable
    assert what in error.what
    assert error.remedy


def test_a_variable_that_is_nearly_a_setting_is_not_passed_over(tmp_path: Path) -> None:
    assert refused(tmp_path, environ={"RETENTIOND_MODDE": "observe"}).remedy == "did you mean 'RETENTIOND_MODE'?"


def test_a_config_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file") as caught:
        load_service(tmp_path / "nowhere", {})
    assert "retentiond init" in caught.value.remedy
