// What can go wrong while a receipt is verified.

/** The question cannot be answered: a key is missing or unusable. It says nothing about the receipt. */
export class UsageError extends Error {
  constructor(what, remedy) {
    super(what);
    this.remedy = remedy;
  }
}

/** A step of the verification does not hold; the message says why. */
export class FailedStep extends Error {}

/** Bytes are not spelled in the one way that a receipt allows. */
export class Misspelled extends Error {}

/** Gives what `read` gives; where that is misspelled, throws what `wrap` makes of the message. */
export function orElse(read, wrap) {
  try {
    return read();
  } catch (error) {
    throw error instanceof Misspelled ? wrap(error.message) : error;
  }
}
