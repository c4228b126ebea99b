// Runs the page's verifier over many cases: engine.mjs CASES.json, a list of
// {bundle (base64), padTo (spaces up to this size), history (base64 or null), keys, witnesses (texts), log (a directory
// or null)}.
// Prints a JSON list of what the command line's --json calls the verdict, or of {what} for a usage error.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { argv, stdout } from "node:process";

import { UsageError } from "../../../retentiond/verify/page/errors.mjs";
import { pin, pinWitnesses } from "../../../retentiond/verify/page/keyring.mjs";
import { verify } from "../../../retentiond/verify/page/verifier.mjs";

function directory(root) {
  return {
    async read(path, limit) {
      try {
        return new Uint8Array((await readFile(join(root, path))).subarray(0, limit + 1));
      } catch (error) {
        if (error.code === "ENOENT") return null;
        throw error;
      }
    },
  };
}

function bytes(text) {
  return new Uint8Array(Buffer.from(text, "base64"));
}

function padded(data, size) {
  const whole = new Uint8Array(size).fill(0x20);
  whole.set(data);
  return whole;
}

async function answer({ bundle, padTo, history, keys, witnesses, log }) {
  try {
    const trusted = {
      keys: await pin(keys),
      witnesses: await pinWitnesses(witnesses),
      history: history === null ? null : bytes(history),
      log: log === null ? null : directory(log),
    };
    const { verdict } = await verify(padded(bytes(bundle), padTo), trusted);
    const { notProven, ...rest } = verdict;
    return { ...rest, not_proven: notProven };
  } catch (error) {
    if (error instanceof UsageError) return { what: error.message };
    throw error;
  }
}

const answers = [];
for (const given of JSON.parse(await readFile(argv[2], "utf-8"))) answers.push(await answer(given));
stdout.write(JSON.stringify(answers));
