// The page itself: takes what the visitor gives, asks the verifier, shows what it says.

import { toHex } from "./bytes.mjs";
import { foreign, make } from "./dom.mjs";
import { UsageError } from "./errors.mjs";
import { pinned, publishedFiles, read, readTexts } from "./files.mjs";
import { fingerprint } from "./keyring.mjs";
import { problem, report } from "./report.mjs";
import { MAX_BYTES } from "./strictjson.mjs";
import { verify } from "./verifier.mjs";

const NO_ED25519 = "this browser cannot check Ed25519 signatures";
const NO_CRYPTOGRAPHY = "this browser gives this page no cryptography";
const NEWER = "use a current Chromium, Firefox or Safari, and open the page from a file or over https";
const at = (id) => document.getElementById(id);
let latest = 0;

/** Says which keys were understood, so that a visitor can compare them with what the issuer publishes. */
async function showKeys() {
  const text = at("keys").value;
  const status = at("keys-status");
  if (!text.trim()) return status.replaceChildren();
  const shownFor = await describeKeys(text).catch((error) => {
    if (error instanceof UsageError) return make("p", {}, foreign(`Not usable yet: ${error.message}.`));
    throw error;
  });
  if (text === at("keys").value) status.replaceChildren(shownFor);
}

async function describeKeys(text) {
  requireCryptography();
  const { keys, witnesses } = await pinned(text);
  const fingerprints = await Promise.all(keys.issuers.map(fingerprint));
  const issuers = fingerprints.map((text) => make("li", {}, "Issuer’s key, fingerprint ", make("code", {}, text)));
  const logs = keys.logs.map((log) => make("li", {}, "Log ", foreign(log.name), ", key id ", make("code", {}, toHex(log.keyId))));
  return make("ul", {}, issuers, logs, witnesses.map((witness) => make("li", {}, "Witness ", foreign(witness.name))));
}

async function addKeys() {
  const texts = await readTexts(at("key-files").files);
  at("keys").value = [at("keys").value.trim(), ...texts.map((text) => text.trim())].filter(Boolean).join("\n");
  at("key-files").value = "";
  await changed();
}

/** What was shown is no answer to what is asked now. */
async function changed() {
  latest++;
  show(null);
  await showKeys();
}

async function answer() {
  const [file] = at("receipt").files;
  if (!file) return problem("no receipt was chosen", "choose the receipt’s file");
  try {
    const trusted = await given();
    const { verdict, receipt } = await verify(await read(file, MAX_BYTES), trusted);
    return report(verdict, receipt, trusted);
  } catch (error) {
    if (error instanceof UsageError) return problem(error.message, error.remedy);
    if (error.name === "NotSupportedError") return problem(NO_ED25519, NEWER);
    return problem(`the page failed (${error.message})`, "ask the program retentiond-verify.pyz instead");
  }
}

/** Browsers keep it from pages that came over http, since these may have been changed on the way. */
function requireCryptography() {
  if (!globalThis.crypto?.subtle) throw new UsageError(NO_CRYPTOGRAPHY, NEWER);
}

async function given() {
  requireCryptography();
  const [history] = at("history").files;
  const log = at("log").files;
  return {
    ...(await pinned(at("keys").value)),
    history: history ? await read(history, MAX_BYTES) : null,
    log: log.length ? publishedFiles(log) : null,
  };
}

/** Asks, and gives whether this is still the question when the answer is there. */
async function ask() {
  const mine = ++latest;
  busy(true);
  at("announcement").textContent = "Checking…";
  const found = await answer();
  if (mine !== latest) return false;
  show(found);
  return true;
}

/** Who presses the button is led to the answer. */
async function askAndGo() {
  if (await ask()) at("verdict").focus();
}

/** Who chose a file stays where they are: the answer is announced, and comes into sight. */
async function chooseReceipt() {
  const ready = at("keys").value.trim() && at("receipt").files.length;
  if (!ready) await changed();
  else if (await ask()) at("result").scrollIntoView({ block: "start" });
}

function busy(is) {
  const button = at("question").querySelector("button");
  button.setAttribute("aria-disabled", String(is));
  button.textContent = is ? "Checking…" : "Verify";
}

function show(found) {
  busy(false);
  at("result").hidden = found === null;
  at("result").replaceChildren(...(found?.elements ?? []));
  at("announcement").textContent = found?.title ?? "";
}

function dropInto(zone, input) {
  const over = (is) => (event) => {
    event.preventDefault();
    zone.classList.toggle("over", is);
  };
  zone.addEventListener("dragover", over(true));
  zone.addEventListener("dragleave", over(false));
  zone.addEventListener("drop", (event) => {
    over(false)(event);
    const { files } = event.dataTransfer;
    if (files.length !== 1) return show(problem(`${files.length} files were dropped`, "drop one receipt at a time"));
    input.files = files;
    input.dispatchEvent(new Event("change"));
  });
}

/** A file that is dropped beside its place would replace the page; fields take what is dropped on them. */
function keepPage() {
  const keep = (event) => event.target.closest?.("input, textarea") || event.preventDefault();
  for (const kind of ["dragover", "drop"]) document.addEventListener(kind, keep);
}

/** What goes wrong outside of a verification is shown as well. */
function onEvent(action) {
  return (event) => {
    event.preventDefault();
    action().catch((error) => show(problem(error.message, error.remedy)));
  };
}

at("question").addEventListener("submit", onEvent(askAndGo));
at("keys").addEventListener("input", onEvent(changed));
at("key-files").addEventListener("change", onEvent(addKeys));
for (const id of ["history", "log"]) at(id).addEventListener("change", onEvent(changed));
at("receipt").addEventListener("change", onEvent(chooseReceipt));
dropInto(at("drop"), at("receipt"));
keepPage();
showKeys().catch((error) => show(problem(error.message, error.remedy)));
