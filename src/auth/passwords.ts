/**
 * Password hashes (bcrypt).
 * @module
 */
import { compare, genSalt, getRounds, hash } from "bcryptjs";
import { byteLength } from "../common/text.ts";

/** bcrypt reads no further: a longer password is refused instead of being cut. */
export const PASSWORD_MAX_BYTES = 72;
export const PASSWORD_MIN_BYTES = 8;

export type Passwords = {
  hash: (password: string) => Promise<string>;
  /** Compares in about the same time whether or not there is a hash to compare with. */
  verify: (password: string, hash: string | null | undefined) => Promise<boolean>;
  /** Whether a hash was made at another cost, so that comparing with it takes another time than for an account that is not. */
  isOutdated: (hash: string) => boolean;
};

/** Hashes of nothing, by cost, so that an unknown account costs the same work; kept for the life of the isolate. */
const decoys = new Map<number, Promise<string>>();

/** @param cost log2 of the rounds; a hash of another cost still verifies */
export function createPasswords(cost: number): Passwords {
  async function makeHash(password: string): Promise<string> {
    return hash(password, await genSalt(cost));
  }
  return {
    hash: makeHash,
    async verify(password, stored) {
      // bcrypt would compare the first 72 bytes alone.
      if (stored && byteLength(password) <= PASSWORD_MAX_BYTES) return compare(password, stored);
      let decoy = decoys.get(cost);
      if (!decoy) {
        decoy = makeHash(crypto.randomUUID());
        decoys.set(cost, decoy);
      }
      await compare(password, await decoy);
      return false;
    },
    isOutdated: (stored) => getRounds(stored) !== cost,
  };
}
