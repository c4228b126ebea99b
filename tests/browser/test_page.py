"""The page in a real browser: what it says of receipts, and what it does with what is no receipt at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from retentiond.verify.webpage import build
from tests.browser.conftest import Visitor
from tests.engine.office import carry, make_office
from tests.verify import test_history, test_log, test_steps
from tests.verify.builder import (
    ISSUER,
    ORIGIN,
    RECEIPT_INDEX,
    STRANGER,
    TRUSTED,
    WITNESS_1,
    Draft,
    entry,
    history,
    listed,
    over_runs,
    partial,
    pem,
    raw,
    seal,
    tombstone,
    vkey,
    write_log,
)
from tests.verify.changes import put

SEALED = seal(Draft())
PATIENCE_MS = 60_000


def file(data: bytes, name: str = "receipt.bundle.json") -> dict[str, object]:
    return {"name": name, "mimeType": "application/json", "buffer": data}


def asked(visitor: Visitor, data: bytes, *keys: str) -> str:
    """Type the keys, choose the receipt, and give the title of the answer."""
    visitor.page.fill("#keys", "\n".join(keys or TRUSTED))
    visitor.give(file(data))
    return visitor.title


def changed(change: Callable[[Any], object]) -> bytes:
    bundle = deepcopy(SEALED.bundle)
    change(bundle)
    return json.dumps(bundle).encode()


def test_the_receipt_of_a_real_run_is_valid_with_everything_beside_it(visitor: Visitor, tmp_path: Path) -> None:
    office = make_office(tmp_path / "office")
    office.request("r1", 40, account="acct-zero", payload="p1")
    office.hide("r1", 10)
    carry(office)
    (receipt,) = (office.root / "receipts").glob("*.bundle.json")
    log = office.root / "log"
    page = visitor.page
    page.set_input_files("#key-files", [log / "keys" / "issuer.pem", log / "keys" / "log.vkey"])
    expect(page.locator("#keys-status")).to_contain_text("Issuer’s key, fingerprint")
    page.click("summary")
    page.set_input_files("#history", log / "keys" / "history.json")
    page.set_input_files("#log", log)
    visitor.give(receipt)
    assert visitor.title == "Valid"
    assert "Not checked" not in visitor.said
    assert "It stands in the log given" in visitor.said
    assert "Figures" in visitor.said
    assert page.locator(".steps .held").count() == 9  # nothing of an account is disclosed


def test_what_a_valid_receipt_says_is_said_in_plain_words(visitor: Visitor) -> None:
    assert asked(visitor, SEALED.data) == "Valid"
    said = visitor.said
    for words in (
        "Not checked: whether it was retracted (no log was given); whether the issuer’s key was revoked",
        "deleted: no query of the store finds it any more",
        "acct-\\u{202e}' OR 1=1 --\\u{a}\\u{0}<script>",
        "3 (already gone: 1; removed: 2)",
        "1 under a legal obligation",
        "held, left: 1",
        "'backup' is not covered until 2026-12-29T00:00:00Z",
        "No cryptography proves deletion",
        "0x2e2e2f253265ff",
    ):
        assert words in said, words
    assert "--log" not in said
    assert visitor.page.locator("#result script").count() == 0
    assert visitor.page.evaluate("document.activeElement.id") != "verdict"
    assert visitor.page.inner_text("#announcement") == "Valid"


@pytest.mark.parametrize(
    ("make", "title", "words"),
    [
        (partial, "Valid, but partial", "carried over to a later run: 1"),
        (tombstone, "Valid: hidden, not deleted", "can still be recovered"),
        (over_runs, "Valid", "An account was closed"),
    ],
)
def test_a_receipt_of_another_kind_is_called_what_it_is(
    visitor: Visitor, make: Callable[[], Draft], title: str, words: str
) -> None:
    assert asked(visitor, seal(make()).data) == title
    assert words in visitor.said


def test_a_receipt_that_is_not_valid_is_refused_with_its_step_and_reason(visitor: Visitor) -> None:
    body = seal(Draft(statement={"_type": "x"})).bundle["dsseEnvelope"]["payload"]
    for data, number, step, reason in (
        (
            changed(put("dsseEnvelope", "payload", value=body)),
            1,
            "well-formed",
            'the statement: statement._type is "x"',
        ),
        (changed(put("dsseEnvelope", "signatures", value=[])), 3, "signature", "none of the 0 signatures is by"),
        (changed(put("account", "index", value=5)), 9, "account", "the account is not at index 5"),
        (changed(put("items", 0, "action", value="redact")), 10, "items", "item 0 is not at index"),
    ):
        assert asked(visitor, data) == "Not valid"
        assert f"Step {number} of 11, {step}: " in visitor.said
        assert reason.removeprefix("the statement: ") in visitor.said
        assert "Nothing that it says may be relied on." in visitor.said
        assert visitor.page.locator(".steps li").nth(number - 1).get_attribute("class") == "failed"
        assert visitor.page.locator(".steps .held").count() == number - 1
        assert "What it says" not in visitor.said


def test_another_key_than_the_issuers_makes_it_invalid(visitor: Visitor) -> None:
    assert asked(visitor, SEALED.data, pem(STRANGER), TRUSTED[1]) == "Not valid"
    assert "Step 3 of 11, signature" in visitor.said


def test_a_retracted_receipt_is_called_retracted(visitor: Visitor, tmp_path: Path) -> None:
    why = entry(f"retract {RECEIPT_INDEX} <b>wrong</b>-count", SEALED.digest)
    page = visitor.page
    page.click("summary")
    page.set_input_files("#log", write_log(tmp_path / "parent" / "log", test_log.later(SEALED, why)))
    assert asked(visitor, SEALED.data) == "Retracted"
    assert "The issuer took it back, says the log: '<b>wrong</b>-count'" in visitor.said
    page.set_input_files("#log", write_log(tmp_path / "older", SEALED.entries))
    page.click("button")
    assert visitor.title == "Valid"


def test_a_closure_over_a_run_that_was_retracted_is_valid_with_a_reservation(visitor: Visitor, tmp_path: Path) -> None:
    closure = seal(over_runs())
    visitor.page.click("summary")
    log = write_log(tmp_path / "log", test_log.later(closure, entry("retract 12 wrong", "1a" * 32)))
    visitor.page.set_input_files("#log", log)
    assert asked(visitor, closure.data) == "Valid, with a reservation"
    assert "The log retracts a run that this stands on: entry 12" in visitor.page.inner_text(".banner")


def test_a_revoked_key_takes_a_witness(visitor: Visitor) -> None:
    page = visitor.page
    page.click("summary")
    page.set_input_files("#history", [file(history(listed(ISSUER, revokedAt=test_history.REVOKED)), "history.json")])  # type: ignore[list-item]
    seen = seal(test_history.witnessed(test_history.REVOKED_SECONDS - 1)).data
    assert asked(visitor, seen) == "Not valid"
    assert "no pinned witness saw the receipt before" in visitor.said
    assert asked(visitor, seen, *TRUSTED, *test_history.PINNED) == "Valid"
    assert f"Witness {test_steps.WITNESS}" in page.inner_text("#keys-status")


def test_keys_from_before_a_rotation_stand_beside_the_others(visitor: Visitor) -> None:
    before = pem(STRANGER), vkey(ORIGIN, raw(WITNESS_1))
    assert asked(visitor, SEALED.data, *before, *TRUSTED) == "Valid"
    said = visitor.page.inner_text("#keys-status")
    assert [said.count(f"{what} ") for what in ("fingerprint", f"Log {ORIGIN}, key id")] == [2, 2]
    for key in (before[1], TRUSTED[1]):
        assert key.split("+")[1] in said


def test_what_cannot_be_asked_is_no_verdict(visitor: Visitor) -> None:
    page = visitor.page
    page.click("button")
    assert visitor.title == "Cannot be checked"
    assert "no receipt was chosen" in visitor.said
    assert asked(visitor, SEALED.data, TRUSTED[0]) == "Cannot be checked"
    assert "0 keys for the role log" in visitor.said
    page.click("summary")
    page.set_input_files("#log", Path(__file__).parent)
    assert asked(visitor, SEALED.data) == "Cannot be checked"
    assert "holds no published log" in visitor.said


@pytest.mark.parametrize(
    ("lack", "words"),
    [
        ("Object.defineProperty(crypto, 'subtle', { value: undefined })", "gives this page no cryptography"),
        (
            "crypto.subtle.importKey = async () => { throw new DOMException('', 'NotSupportedError'); }",
            "this browser cannot check Ed25519 signatures",
        ),
    ],
)
def test_a_browser_that_cannot_check_says_so_and_calls_nothing_valid(visitor: Visitor, lack: str, words: str) -> None:
    visitor.page.evaluate(f"void ({lack})")
    assert asked(visitor, SEALED.data) == "Cannot be checked"
    assert words in visitor.said
    assert "This says nothing about the receipt" in visitor.said


def test_an_answer_goes_when_the_question_changes(visitor: Visitor) -> None:
    assert asked(visitor, SEALED.data) == "Valid"
    visitor.page.fill("#keys", TRUSTED[0])
    assert visitor.page.locator("#result").is_hidden()
    assert visitor.page.inner_text("#announcement") == ""


def test_hostile_files_are_refused_in_time(visitor: Visitor, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as sparse:
        sparse.truncate(100_000_000)
    visitor.page.set_default_timeout(PATIENCE_MS)
    visitor.page.fill("#keys", "\n".join(TRUSTED))
    markup = b"<script>alert(1)</script><img src=x onerror=alert(1)>"
    hostile = json.dumps({**SEALED.bundle, "mediaType": markup.decode() + "\u202e"}).encode()
    for data, reason in (
        (large, "longer than 16777216 bytes"),
        (b"", "not JSON"),
        (markup, "not JSON"),
        (hostile, "bundle.mediaType is"),
        (bytes(range(256)) * 4096, "not UTF-8"),
        (b"[" * 16_000_000, "more than 64 brackets"),
        (b'{"a":' * 64, "not JSON"),
        (b"[" + b"[]," * 5_000_000 + b"[]]", "bundle is not an object"),
        (b'{"a":' + b"9" * 1_000_000 + b"}", "is not between 0 and 2^53 - 1"),
        (b'{"' + b"\\u0000" * 2_000_000 + b'":1}', "has no member"),
    ):
        visitor.give(data if isinstance(data, Path) else file(data))
        expect(visitor.page.locator("#result")).to_contain_text(reason, timeout=PATIENCE_MS)
        assert visitor.title == "Not valid"
        assert visitor.page.locator("#result img, #result script").count() == 0


def test_a_receipt_can_be_dropped(visitor: Visitor) -> None:
    visitor.page.fill("#keys", "\n".join(TRUSTED))
    drop = """([zone, texts]) => {
        const transfer = new DataTransfer();
        for (const text of texts) transfer.items.add(new File([text], "r.bundle.json"));
        const event = new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
        document.querySelector(zone).dispatchEvent(event);
    }"""
    visitor.page.evaluate(drop, ["#drop", [SEALED.data.decode()]])
    assert visitor.title == "Valid"
    visitor.page.evaluate(drop, ["#drop", ["a", "b"]])
    assert visitor.title == "Cannot be checked"


def test_it_can_be_used_with_the_keyboard_and_read_aloud(visitor: Visitor) -> None:
    page = visitor.page
    reached = []
    for _ in range(7):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "document.activeElement.id || document.activeElement.className || document.activeElement.tagName"
            )
        )
    assert reached == ["skip", "keys", "key-files", "receipt", "more-title", "BUTTON", "BODY"]
    unnamed = "[...document.querySelectorAll('input, textarea')].filter((field) => !field.labels.length).length"
    assert page.evaluate(unnamed) == 0
    visitor.page.fill("#keys", "\n".join(TRUSTED))
    visitor.give(file(SEALED.data))
    assert visitor.title == "Valid"
    page.focus("button")
    page.keyboard.press("Enter")
    expect(page.locator("#verdict")).to_be_focused()
    assert visitor.title == "Valid"


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read(visitor: Visitor, width: int, scheme: Any) -> None:
    page = visitor.page
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.click("summary")
    assert asked(visitor, SEALED.data) == "Valid"
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    assert page.evaluate(CONTRASTS) == []


def test_a_page_with_keys_says_whose_they_are(browser: Browser, tmp_path: Path) -> None:
    build(tmp_path / "page.html", TRUSTED)
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    visitor = Visitor(page)
    expect(page.locator("#keys-status")).to_contain_text("Log log.example/receipts")
    visitor.give(file(SEALED.data))
    assert visitor.title == "Valid"
    page.close()


# Every text that is shown, with a contrast below that of WCAG 2.2, 1.4.3.
CONTRASTS = """() => {
    const channels = (color) => color.match(/[\\d.]+/g).map(Number);
    const light = ([red, green, blue]) => [red, green, blue]
        .map((value) => value / 255)
        .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
        .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const color = channels(getComputedStyle(at).backgroundColor);
            if (color[3] !== 0) return color;
        }
        return [255, 255, 255];
    };
    const found = [];
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || !element.checkVisibility()) continue;
        const pair = [light(channels(getComputedStyle(element).color)), light(behind(element))].sort();
        const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        if (ratio < 4.5) found.push(`${element.tagName} ${element.className}: ${ratio}`);
    }
    return found;
}"""
