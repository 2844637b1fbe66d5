/**
 * The key under which a username is unique, exactly as the Worker makes it, for programs that run in Node.
 * @module
 */
import { usernameKey as workerUsernameKey } from "../../src/common/text.ts";

// The runtime of Workers has `Uint8Array.prototype.toHex` (ES2026); Node has it from 25 on.
if (!("toHex" in Uint8Array.prototype)) {
  // oxlint-disable-next-line no-extend-native -- the standard method, for a runtime that does not have it yet
  Object.defineProperty(Uint8Array.prototype, "toHex", {
    value(this: Uint8Array): string {
      return Buffer.from(this.buffer, this.byteOffset, this.byteLength).toString("hex");
    },
    configurable: true,
    writable: true,
  });
}

/** @returns 64 hex digits */
export const usernameKey: (username: string) => Promise<string> = workerUsernameKey;
