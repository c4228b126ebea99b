// What the visitor chose, as bytes and texts. A file is never read beyond the limit that it is refused for.

import { UsageError } from "./errors.mjs";
import { fromBase64 } from "./bytes.mjs";
import { pin, pinWitnesses } from "./keyring.mjs";
import { WITNESS_KEY } from "./note.mjs";

const MAX_KEY_BYTES = 64 * 1024;
const BLOCK = /-----BEGIN[^]*?-----END[^\n]*/g;

/** Reads a file, but never more than one byte over the limit. */
export async function read(file, limit) {
  try {
    return new Uint8Array(await file.slice(0, limit + 1).arrayBuffer());
  } catch (error) {
    throw new UsageError(`the file ${file.name} could not be read (${error.message})`, "choose it again");
  }
}

/** Reads the texts of key files. */
export async function readTexts(list) {
  const texts = [];
  for (const file of list) {
    const data = await read(file, MAX_KEY_BYTES);
    if (data.length > MAX_KEY_BYTES) {
      throw new UsageError(`the file ${file.name} is too large for a key`, "choose issuer.pem and log.vkey");
    }
    texts.push(new TextDecoder().decode(data));
  }
  return texts;
}

/** Takes a text with keys apart: {keys, witnesses} as verify asks for them. UsageError where they are not usable. */
export async function pinned(text) {
  const lines = text.replace(BLOCK, "").split("\n").map((line) => line.trim()).filter(Boolean);
  const witnesses = lines.filter(isWitness);
  const others = [...(text.match(BLOCK) ?? []), ...lines.filter((line) => !isWitness(line))];
  return { keys: await pin(others), witnesses: await pinWitnesses(witnesses) };
}

function isWitness(line) {
  const encoded = line.split("+").slice(2).join("+");
  return /^[A-Za-z0-9+/]{4}/.test(encoded) && fromBase64(encoded.slice(0, 4))[0] === WITNESS_KEY;
}

/** Gives the files of a chosen directory as a published log: the one in which `checkpoint` stands. */
export function publishedFiles(list) {
  const files = [...list].map((file) => [file.webkitRelativePath || file.name, file]);
  const heads = files.map(([path]) => path).filter((path) => path === "checkpoint" || path.endsWith("/checkpoint"));
  if (!heads.length) {
    throw new UsageError("the directory holds no published log", "choose the directory in which the file checkpoint stands");
  }
  const [head] = heads.sort((left, right) => left.length - right.length);
  const root = head.slice(0, -"checkpoint".length);
  const byPath = new Map(files.filter(([path]) => path.startsWith(root)).map(([path, file]) => [path.slice(root.length), file]));
  return {
    async read(path, limit) {
      return byPath.has(path) ? new Uint8Array(await byPath.get(path).slice(0, limit + 1).arrayBuffer()) : null;
    },
  };
}
