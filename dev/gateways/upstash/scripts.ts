/**
 * Lets scripts flagged `allow-key-locking`, an Upstash extension that `@upstash/ratelimit` uses, run on stock
 * Redis: the flag is taken out of the shebang line, and the SHA that clients know is mapped to the one Redis knows.
 * @module
 */
import { createHash } from "node:crypto";
import type { Reply } from "./reply.ts";
import type { Command } from "./request.ts";

const UPSTASH_FLAG = "allow-key-locking";

/** A command ready for Redis; `restore` turns its reply into what the client expects. */
export type Translated = { command: Command; restore?: (reply: Reply) => Reply };

/** Translates commands that carry or name scripts. Keeps two SHAs in memory for each flagged script seen. */
export class ScriptTranslator {
  /**
   * SHA of the original to SHA of the rewritten script. Needs no clearing on SCRIPT FLUSH: the mapping holds
   * for ever, and Redis answers NOSCRIPT to the mapped SHA too.
   */
  readonly #rewrittenShas = new Map<string, string>();

  /** @returns the same command when it has nothing to do with flagged scripts. */
  translate(command: Command): Translated {
    switch (textAt(command, 0)) {
      case "EVAL":
      case "EVAL_RO":
        return { command: this.#withScript(command, 1) };
      case "EVALSHA":
      case "EVALSHA_RO":
        return { command: this.#withShas(command, 1, 2) };
      case "SCRIPT":
        return this.#translateScriptCommand(command);
      default:
        return { command };
    }
  }

  #translateScriptCommand(command: Command): Translated {
    const subcommand = textAt(command, 1);
    if (subcommand === "EXISTS") return { command: this.#withShas(command, 2, command.length) };
    if (subcommand !== "LOAD") return { command };
    const original = command[2];
    const rewritten = this.#withScript(command, 2);
    if (original === undefined || rewritten === command) return { command };
    const restore = (reply: Reply): Reply => (Buffer.isBuffer(reply) ? Buffer.from(sha1(original)) : reply);
    return { command: rewritten, restore };
  }

  #withScript(command: Command, index: number): Command {
    const original = command[index];
    if (original === undefined) return command;
    const rewritten = withoutUpstashFlag(original);
    if (rewritten === original) return command;
    this.#rewrittenShas.set(sha1(original), sha1(rewritten));
    return command.with(index, rewritten);
  }

  #withShas(command: Command, from: number, to: number): Command {
    return command.map((argument, index) => {
      if (index < from || index >= to) return argument;
      return this.#rewrittenShas.get(argument.toString().toLowerCase()) ?? argument;
    });
  }
}

/** The script without the flag on its first line, other flags and the number of lines kept; else the same script. */
export function withoutUpstashFlag(script: string | Buffer): string | Buffer {
  // Latin-1 maps bytes to characters one to one, so that a script in any encoding survives.
  const text = typeof script === "string" ? script : script.toString("latin1");
  const lineEnd = text.includes("\n") ? text.indexOf("\n") : text.length;
  const shebang = text.slice(0, lineEnd);
  if (!shebang.startsWith("#!lua") || !shebang.includes(UPSTASH_FLAG)) return script;
  const rewritten = shebang.replace(/\s+flags=(\S*)/, (_whole, list: string) => {
    const kept = list.split(",").filter((flag) => flag !== UPSTASH_FLAG && flag !== "");
    return kept.length > 0 ? ` flags=${kept.join(",")}` : "";
  });
  const result = rewritten + text.slice(lineEnd);
  return typeof script === "string" ? result : Buffer.from(result, "latin1");
}

function textAt(command: Command, index: number): string {
  return command[index]?.toString().toUpperCase() ?? "";
}

function sha1(script: string | Buffer): string {
  return createHash("sha1").update(script).digest("hex");
}
