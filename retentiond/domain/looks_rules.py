"""The rules by which columns look like request content, personal data, ids or secrets: data, in the order of their ids.

docs/coverage.md lists them, and a test holds that list equal to this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from retentiond.domain.tableshape import Family


class Kind(StrEnum):
    """What a column may hold."""

    CONTENT = "content"
    PERSONAL = "personal"
    IDENTIFIER = "identifier"
    SECRET = "secret"  # noqa: S105 -- a kind of column


class Confidence(StrEnum):
    """How often a rule is right."""

    SURE = "sure"
    LIKELY = "likely"
    POSSIBLE = "possible"


CONFIDENCES = (Confidence.SURE, Confidence.LIKELY, Confidence.POSSIBLE)
"""All of them, the strongest first."""


@dataclass(frozen=True, slots=True)
class LookRule:
    """One rule.

    Attributes:
        names: Phrases, of words in singular; one of them ends the column's name, but for words of `CARRIERS`.
        families: Types that the column may have; text of at most 64 characters counts as short.
        tables: Words of which the table's name must have one; empty for any table.
        unless: Words that must not stand before the phrase.
        beside: Whether the table must look like one of requests, by its name or by a column that surely is content.
        whole: Whether the phrase must begin the name, too.
        short: Whether short text counts, too.
    """

    id: str
    kind: Kind
    confidence: Confidence
    says: str
    names: tuple[tuple[str, ...], ...]
    families: frozenset[Family]
    tables: frozenset[str] = frozenset()
    unless: frozenset[str] = frozenset()
    beside: bool = False
    whole: bool = False
    short: bool = False


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _names(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(each.split()) for each in text.split(", "))


_WRITTEN = frozenset((Family.TEXT, Family.JSON, Family.BYTES, Family.OTHER))
_TEXTS = frozenset((Family.TEXT,))
_NAMED = frozenset((Family.TEXT, Family.JSON, Family.OTHER))
_IDS = frozenset((Family.TEXT, Family.UUID, Family.INTEGER, Family.NUMBER, Family.BYTES, Family.OTHER))
_DEVICES = frozenset((Family.TEXT, Family.UUID, Family.ADDRESS, Family.OTHER))
_NUMBERS = frozenset((Family.TEXT, Family.INTEGER, Family.NUMBER, Family.OTHER))
_BORN = frozenset((Family.TEXT, Family.INTEGER, Family.DATE, Family.TIME, Family.TIME_WITH_ZONE, Family.ENUM))
_PLACES = frozenset((Family.TEXT, Family.JSON, Family.NUMBER, Family.OTHER))
_PERSONS = _words(
    "user person people customer client contact member profile author employee patient student subscriber visitor "
    "guest  "
    "lead enduser recipient invitation invite account owner"
)
_FAILURES = _words("error status commit exception health failure fail warning validation blocked block toast welcome")
_ROLES = _words("grant role permission access policy")

CARRIERS = _words(
    "text body json jsonb xml html md markdown raw data value values payload blob bytes base64 b 64 string str content "
    "encrypted enc ciphertext compressed gz gzip plain 1 2 3 original full cleaned redacted history log list array"
)
"""Words that may follow what a column is named for: `prompt_text`, `messages_json` and `responseRaw` hold what "
"they say."""

RECORDS = _words(
    "request response message chat conversation completion generation inference trace span observation turn thread "
    "session interaction feedback memory transcript utterance call invocation prediction annotation upload attachment "
    "chunk passage spend event log rating comment ticket workflow evaluation eval run job query search file document"
)
"""Words in names of tables whose rows are requests, or parts or consequences of them."""

SETTINGS = _words(
    "config configuration setting preference template migration model price pricing plan role permission feature "
    "policy  "
    "server dashboard widget schema provider integration credential key token oauth sso budget tool guardrail metric "
    "usage heartbeat cron daily router connector registry catalog currency country subscription"
)
"""Words in names of tables whose rows are settings or counts, whatever else they are called."""

RULES: tuple[LookRule, ...] = (
    LookRule(
        "C01", Kind.CONTENT, Confidence.SURE, "what was asked of a model",
        _names("prompt, instruction, system message, user message, user input, question, chat"),
        _WRITTEN,
    ),
    LookRule(
        "C02", Kind.CONTENT, Confidence.SURE, "messages of a conversation",
        _names("message, conversation, dialogue, dialog, transcript, transcription, utterance, user content, "
               "assistant content"),
        _WRITTEN, unless=_FAILURES,
    ),
    LookRule(
        "C03", Kind.CONTENT, Confidence.SURE, "what a model answered",
        _names("response, completion, answer, reply, output, generation, generated, assistant, reasoning, thinking, "
               "chain of thought"),
        _WRITTEN, unless=_words("http status auth challenge"),
    ),
    LookRule(
        "C04", Kind.CONTENT, Confidence.SURE, "what went into a request",
        _names("input, prompt variable, prompt context"),
        _WRITTEN,
    ),
    LookRule(
        "C05", Kind.CONTENT, Confidence.LIKELY, "a request or answer as it was sent",
        _names("request, request body, response body, raw request, raw response, payload, body, request kwarg, "
               "request payload, server request, request parameter, request argument"),
        _WRITTEN, unless=_words("max rate pull merge feature"),
    ),
    LookRule(
        "C06", Kind.CONTENT, Confidence.SURE, "calls of tools and what came of them",
        _names("tool call, tool result, tool response, tool input, tool output, function call, function argument, "
               "tool argument, tool call history"),
        _WRITTEN,
    ),
    LookRule(
        "C07", Kind.CONTENT, Confidence.LIKELY, "text of documents, messages and files",
        _names("content, text, passage, snippet, excerpt, chunk, paragraph, sentence, page content, document, "
               "attachment,  "
               "file content, archive content, file data, upload, ocr"),
        _WRITTEN,
    ),
    LookRule(
        "C08", Kind.CONTENT, Confidence.LIKELY, "what people say of an answer",
        _names("comment, feedback, remark, correction, justification, complaint, critique, rationale, explanation, "
               "review comment, expected, expected answer, ideal, ground truth, reference answer"),
        _WRITTEN,
    ),
    LookRule(
        "C09", Kind.CONTENT, Confidence.SURE, "what was computed from content, and gives it away",
        _names("embedding, vector, embedding vector, dense vector, sparse vector"),
        frozenset((Family.VECTOR, Family.BYTES, Family.JSON, Family.TEXT, Family.NUMBER, Family.OTHER)),
        unless=_words("initialization init"),
    ),
    LookRule(
        "C10", Kind.CONTENT, Confidence.LIKELY, "an index over words of content",
        (), frozenset((Family.SEARCH,)),
    ),
    LookRule(
        "C11", Kind.CONTENT, Confidence.LIKELY, "what was derived from content in words",
        _names("summary, summarization, caption, translation, translated, rewritten, paraphrase, memory, memo, "
               "conversation title, chat title, thread title"),
        _WRITTEN,
    ),
    LookRule(
        "C12", Kind.CONTENT, Confidence.LIKELY, "what came before, for the next answer",
        _names("history, context, scratchpad, snapshot, create context"),
        _WRITTEN, unless=_words("price version migration status"),
    ),
    LookRule(
        "C13", Kind.CONTENT, Confidence.LIKELY, "a copy of a row before or after a change",
        _names("before, after, before value, after value, old value, new value, updated value, old row, new row, "
               "old, new,  "
               "diff, change, previous value, original value"),
        frozenset((Family.TEXT, Family.JSON, Family.BYTES)),
    ),
    LookRule(
        "C14", Kind.CONTENT, Confidence.LIKELY, "what people searched for",
        _names("query, search query, search term, search text, keyword"),
        _WRITTEN,
    ),
    LookRule(
        "C15", Kind.CONTENT, Confidence.POSSIBLE, "a file, a picture or a recording",
        _names("file, image, picture, audio, video, recording, screenshot, blob, pdf, voice, speech, file object, "
               "resource object, media"),
        frozenset((Family.BYTES, Family.JSON, Family.LARGE_OBJECT)),
    ),
    LookRule(
        "C16", Kind.CONTENT, Confidence.LIKELY, "free data beside a request",
        _names("metadata, data, extra, attribute, property, detail, info, custom, argument, parameter, variable, "
               "tag, header,  "
               "item, value, result, object"),
        frozenset((Family.JSON,)), beside=True,
    ),
    LookRule(
        "C17", Kind.CONTENT, Confidence.POSSIBLE, "free text beside a request",
        _names("metadata, data, extra, detail, note, title, subject, description, heading, topic, value, result, "
               "error,  "
               "exception, error message, traceback, stack trace, exception string, reason, tag, filename, file "
               "name, path"),
        frozenset((Family.TEXT, Family.BYTES)), beside=True,
    ),
    LookRule(
        "P01", Kind.PERSONAL, Confidence.SURE, "an e-mail address",
        _names("email, e mail, mail address, email address, user email, recovery email"),
        _NAMED, short=True, unless=_words("verify verified send notify smtp"),
    ),
    LookRule(
        "P02", Kind.PERSONAL, Confidence.SURE, "a telephone number",
        _names("phone, phone number, mobile, mobile number, cell, fax, msisdn, whatsapp"),
        _NUMBERS, short=True,
    ),
    LookRule(
        "P03", Kind.PERSONAL, Confidence.SURE, "a person's name",
        _names("first name, last name, firstname, lastname, full name, fullname, middle name, given name, family name, "
               "surname, maiden name, user name, username, nickname, nick name, screen name, customer name, "
               "contact name,  "
               "author name, sender name, recipient name, employee name, patient name, legal name"),
        _NAMED, short=True,
    ),
    LookRule(
        "P04", Kind.PERSONAL, Confidence.LIKELY, "a name in a table of persons",
        _names("name, alias, display name, handle, login, user alias"),
        _TEXTS, tables=_PERSONS, whole=True, short=True,
    ),
    LookRule(
        "P05", Kind.PERSONAL, Confidence.SURE, "a network address of a person's device",
        _names("ip, ip address, ipaddr, client ip, remote address, remote addr, ip hash, requester ip, last ip, "
               "peer address,  "
               "forwarded for, mac address"),
        _DEVICES, short=True, unless=_words("server bind listen host"),
    ),
    LookRule(
        "P06", Kind.PERSONAL, Confidence.LIKELY, "a network address, by its type",
        (), frozenset((Family.ADDRESS,)), short=True,
    ),
    LookRule(
        "P07", Kind.PERSONAL, Confidence.LIKELY, "a person's device",
        _names("user agent, useragent, device id, device name, device fingerprint, browser fingerprint, "
               "advertising id, idfa,  "
               "imei, push token, connection information, client information"),
        _DEVICES | {Family.JSON}, short=True,
    ),
    LookRule(
        "P08", Kind.PERSONAL, Confidence.LIKELY, "where a person lives",
        _names("address, street, street address, address line, postcode, postal code, city, home address, "
               "shipping address,  "
               "billing address, mailing address"),
        _NAMED, short=True,
        unless=_words("ip mac wallet contract url email web remote bind listen server memory host peer"),
    ),
    LookRule(
        "P09", Kind.PERSONAL, Confidence.LIKELY, "where a person is",
        _names("latitude, longitude, lat, lng, lon, geo, geolocation, coordinate, gps, user location, last location"),
        _PLACES, short=True,
    ),
    LookRule(
        "P10", Kind.PERSONAL, Confidence.SURE, "when a person was born, and what they are",
        _names("birth date, birthdate, date of birth, dob, birthday, birth year, gender, sex, nationality, "
               "ethnicity, race,  "
               "religion, marital status, sexual orientation"),
        _BORN, short=True,
    ),
    LookRule(
        "P11", Kind.PERSONAL, Confidence.SURE, "a number by which authorities and banks know a person",
        _names("ssn, social security number, national id, passport, passport number, tax id, tax number, vat id, iban, "
               "bank account, card number, credit card, driver license, licence number, insurance number"),
        _NUMBERS, short=True,
    ),
    LookRule(
        "P12", Kind.PERSONAL, Confidence.LIKELY, "a picture or description of a person",
        _names("avatar, photo, profile image, profile picture, profile photo, bio, biography, about me, signature, "
               "profile image url, avatar url, photo url, pfp filename, pfp, image url, image, picture, about, info"),
        frozenset((Family.TEXT, Family.BYTES, Family.JSON)), tables=_PERSONS, short=True,
    ),
    LookRule(
        "P13", Kind.PERSONAL, Confidence.LIKELY, "health and beliefs",
        _names("diagnosis, medication, allergy, symptom, medical history, disability, blood type, political opinion"),
        _NAMED, short=True,
    ),
    LookRule(
        "I01", Kind.IDENTIFIER, Confidence.SURE, "the id of an account or person",
        _names("user id, userid, account id, customer id, client id, tenant id, org id, organization id, member id, "
               "owner id, end user id, end user, person id, contact id, subscriber id, workspace id, project id, "
               "team id,  "
               "company id, author id, sender id, recipient id, creator id, profile id, visitor id, user uuid, "
               "user guid,  "
               "user key, account key, provider account id, members, admin, user id hash"),
        _IDS | {Family.JSON}, short=True,
    ),
    LookRule(
        "I02", Kind.IDENTIFIER, Confidence.LIKELY, "who did it",
        _names("created by, updated by, deleted by, changed by, modified by, submitted by, reviewed by, approved by, "
               "published by, owned by, stopped by, claimed by, invited by, assigned to, belongs to, sent by, "
               "author, creator,  "
               "owner, sender, recipient, assignee, requester, reviewer, createdby"),
        _IDS, short=True,
    ),
    LookRule(
        "I03", Kind.IDENTIFIER, Confidence.LIKELY, "an account or person, without saying what of them",
        _names("user, account, customer, tenant, member, organization, subscriber, visitor, team"),
        _IDS, short=True, unless=_words("last assistant max default allowed"),
    ),
    LookRule(
        "I04", Kind.IDENTIFIER, Confidence.LIKELY, "a person as somebody else's login knows them",
        _names("sub, oauth sub, subject, subject id, external id, external user id, oid, openid, github id, "
               "google id, slack id,  "
               "sso user id, claim value, distinct id, anonymous id"),
        _IDS, short=True, tables=frozenset(),
    ),
    LookRule(
        "S01", Kind.SECRET, Confidence.SURE, "a password, or its hash",
        _names("password, password hash, hashed password, password digest, encrypted password, pin, salt, "
               "recovery code,  "
               "backup code, otp, otp secret, totp secret, mfa secret, two factor secret, code hash"),
        _WRITTEN, short=True,
    ),
    LookRule(
        "S02", Kind.SECRET, Confidence.SURE, "a key or token that lets somebody in",
        _names("secret, api key, apikey, access key, secret key, private key, public key, signing key, encryption key, "
               "access token, refresh token, session token, auth token, bearer token, id token, bot token, "
               "verification token, token, token hash, hashed token, jwt, credential, client secret, webhook secret, "
               "secret access key, key hash, session state, credential value, display secret key, assertion"),
        _WRITTEN, short=True, unless=_words("max prompt completion total count input output"),
    ),
    LookRule(
        "S03", Kind.SECRET, Confidence.LIKELY, "settings that hold keys",
        _names("credential, auth config, sso setting, env, environment variable, sso config, header"),
        frozenset((Family.JSON,)),
    ),
)  # fmt: skip
