/**
 * Headless Chromium, driven by the DevTools protocol.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ensureChromium, NO_CHROMIUM } from "./find-chromium.ts";

/** Whatever the protocol answers. */
type Result = Record<string, unknown>;
type Answer = { id?: number; result?: Result; error?: { message: string } };

const FLAGS = [
  "--headless=new",
  // Root has no sandbox, and pages are the suite's own.
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--disable-background-networking",
  "--remote-debugging-port=0",
];

/** A browser that takes longer to end by itself is ended. */
const EXIT_WITHIN_MS = 20_000;

/** A tab. */
export type Page = {
  /** The value of an expression; a promise is waited for. @throws what the expression throws */
  evaluate: <T>(expression: string) => Promise<T>;
  /** Stops all that goes on in the page, as a browser does to a tab in the background. */
  freeze: () => Promise<void>;
  thaw: () => Promise<void>;
  reload: () => Promise<void>;
};

export class Chromium {
  readonly #program: ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #lastId = 0;

  private constructor(program: ChildProcess, profile: string, socket: WebSocket) {
    this.#program = program;
    this.#profile = profile;
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const answer = JSON.parse(String(data)) as Answer;
      if (answer.id !== undefined) this.#waiting.get(answer.id)?.(answer);
    });
  }

  /** Undefined, with a warning, where there is no browser and no way to one. @throws {CloudProblem} when installing one fails */
  static async launch(): Promise<Chromium | undefined> {
    const path = await ensureChromium();
    if (path === undefined) {
      // Past the reporter, which leaves out what a test says that does not fail.
      process.stderr.write(`[chromium] tests are skipped: ${NO_CHROMIUM}\n`);
      return undefined;
    }
    const profile = mkdtempSync(join(tmpdir(), "liveforum-chromium-"));
    const program = spawn(path, [...FLAGS, `--user-data-dir=${profile}`, "about:blank"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const lines: string[] = [];
    let address: string | undefined;
    for await (const line of createInterface({ input: program.stderr })) {
      lines.push(line);
      address = /^DevTools listening on (ws:\S+)/.exec(line)?.[1];
      if (address !== undefined) break;
    }
    program.stderr.resume();
    if (address === undefined) throw new Error(`${path} does not start:\n${lines.join("\n")}`);
    const socket = new WebSocket(address);
    await once(socket, "open");
    return new Chromium(program, profile, socket);
  }

  /** Opens a tab; resolves once `ready` is true in it. */
  async open(url: string, ready: string): Promise<Page> {
    const { targetId } = await this.#send("Target.createTarget", { url });
    const { sessionId } = await this.#send("Target.attachToTarget", { targetId, flatten: true });
    const call = (method: string, parameters: Result = {}) =>
      this.#send(method, parameters, sessionId as string);
    const evaluate = async <T>(expression: string): Promise<T> => {
      const answer = await call("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
      const { result, exceptionDetails } = answer as {
        result: { value: T };
        exceptionDetails?: { text: string; exception?: { description?: string } };
      };
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    };
    const loaded = async (): Promise<void> => {
      while (!(await evaluate<boolean>(ready).catch(() => false))) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    await loaded();
    return {
      evaluate,
      freeze: async () => void (await call("Page.setWebLifecycleState", { state: "frozen" })),
      thaw: async () => void (await call("Page.setWebLifecycleState", { state: "active" })),
      reload: async () => {
        await call("Page.reload");
        await loaded();
      },
    };
  }

  async close(): Promise<void> {
    const exited = once(this.#program, "exit");
    const hangs = setTimeout(() => this.#program.kill("SIGKILL"), EXIT_WITHIN_MS);
    void this.#send("Browser.close").catch(() => undefined);
    await exited;
    clearTimeout(hangs);
    this.#socket.close();
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }

  async #send(method: string, parameters: Result = {}, sessionId?: string): Promise<Result> {
    this.#lastId += 1;
    const id = this.#lastId;
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    this.#socket.send(JSON.stringify({ id, method, params: parameters, sessionId }));
    const { result, error } = await answered;
    this.#waiting.delete(id);
    if (error) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }
}
