// What the scripts share: what they are given, a client of the official kit, and how they tell.
import { readFileSync } from 'node:fs';

import { createKeyPairSignerFromBytes } from '@solana/kit';

/** What the test hands over: the network, key pairs by name, and whatever else it says. */
export const given = JSON.parse(readFileSync(0, 'utf8'));

/** Tells the test something, as one line of JSON. */
export function tell(name, value = null) {
  const plain = (_, each) => {
    if (typeof each === 'bigint') return Number(each);
    if (each?.type === 'Buffer') return each.data;
    return each instanceof Uint8Array ? [...each] : each;
  };
  console.log(JSON.stringify({ name, value }, plain));
}

/** The signer of somebody. */
export function person(name) {
  return createKeyPairSignerFromBytes(Uint8Array.from(given.keys[name]));
}

/** What an error says, with what caused it. */
export function reasons(error) {
  const found = [];
  for (let each = error; each && found.length < 9; each = each.cause ?? each.details) {
    found.push({ message: String(each.message ?? each), ...(each.context ?? {}) });
  }
  return found;
}

/** Runs what must fail, and tells why it did. */
export async function refused(name, doing) {
  try {
    await doing();
  } catch (error) {
    return tell(name, reasons(error));
  }
  return tell(name, 'it went well');
}

/** Looks again and again until there is something. */
export async function until(look, seconds = 30) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`it did not come: ${look}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}
