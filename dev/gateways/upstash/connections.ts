/**
 * The gateway's connections to Redis: one that all ordinary requests share, a few that are lent out whole to one
 * transaction at a time, and one for each stream. None reconnects by itself: a lost connection fails what was under
 * way at once, and the next request opens a new one, so that recovery needs no waiting.
 * @module
 */
import { createClient, ErrorReply, RESP_TYPES } from "@redis/client";
import type { Reply } from "./reply.ts";
import type { Command } from "./request.ts";

const CONNECT_TIMEOUT_MS = 2_000;
const EXCLUSIVE_LIMIT = 32;

/** Redis could not be reached or did not answer in time. What was under way may or may not have happened. */
export class RedisUnavailable extends Error {}

/** A RESP2 connection whose `sendCommand` gives `Reply` values. */
export type RedisConnection = ReturnType<typeof createConnection>;

function createConnection(url: string, name: string) {
  return createClient({
    url,
    name,
    RESP: 2,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: "disabled",
    socket: { connectTimeout: CONNECT_TIMEOUT_MS, reconnectStrategy: false },
    // RESP2 integers as digits; `timeout: 0` because the deadline here covers the reply, the library's the write alone.
    commandOptions: {
      timeout: 0,
      typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.NUMBER]: String },
    },
  });
}

/** All connections of one gateway. Opens none before it is used; `close` when done. */
export class RedisConnections {
  readonly #url: string;
  readonly #replyTimeoutMs: number;
  readonly #open = new Set<RedisConnection>();
  #shared: RedisConnection | null = null;
  #sharedDial: Promise<RedisConnection> | null = null;
  readonly #idle: RedisConnection[] = [];
  #lentCount = 0;
  #waiting: { start: () => void; fail: (error: unknown) => void }[] = [];

  /** @param replyTimeoutMs how long a request waits for Redis before its connection is given up. */
  constructor(url: string, replyTimeoutMs: number) {
    this.#url = url;
    this.#replyTimeoutMs = replyTimeoutMs;
  }

  /**
   * Sends commands as one pipelined write on the shared connection; replies in order, error replies as values.
   * @throws {RedisUnavailable}
   */
  async run(commands: Command[]): Promise<Reply[]> {
    if (!this.#shared?.isReady) {
      this.#sharedDial ??= this.dial("upstash-shared").finally(() => {
        this.#sharedDial = null;
      });
      this.#shared = await this.#sharedDial;
    }
    return this.#send(this.#shared, commands);
  }

  /**
   * The same between MULTI and EXEC, on a connection nobody else uses meanwhile.
   * @returns EXEC's reply: one reply for each command, or the error of a discarded transaction.
   * @throws {RedisUnavailable}
   */
  async runAtomically(commands: Command[]): Promise<Reply> {
    if (this.#lentCount >= EXCLUSIVE_LIMIT) {
      await new Promise<void>((start, fail) => {
        this.#waiting.push({ start, fail });
      });
    } else {
      this.#lentCount += 1;
    }
    try {
      let connection = this.#idle.pop();
      while (connection && !connection.isReady) connection = this.#idle.pop();
      connection ??= await this.dial("upstash-exclusive");
      const replies = await this.#send(connection, [["MULTI"], ...commands, ["EXEC"]]);
      this.#idle.push(connection);
      return replies.at(-1) ?? null;
    } catch (error) {
      // Whoever waits for a turn would only wait for the same failure.
      for (const waiter of this.#waiting.splice(0)) waiter.fail(error);
      throw error;
    } finally {
      const next = this.#waiting.shift();
      if (next) next.start();
      else this.#lentCount -= 1;
    }
  }

  /**
   * Opens a connection of one's own, to be destroyed by the caller.
   * @throws {RedisUnavailable}
   */
  async dial(name: string): Promise<RedisConnection> {
    const connection = createConnection(this.#url, name);
    this.#open.add(connection);
    const forget = (): void => {
      this.#open.delete(connection);
    };
    connection.on("end", forget);
    // The library emits each failure beside rejecting the commands it hits; an unheard error event would end the process.
    connection.on("error", () => {
      forget();
      // Later, so that what is under way is rejected with the cause first.
      setImmediate(() => connection.destroy());
    });
    try {
      await this.settle(connection, connection.connect());
      return connection;
    } catch (error) {
      // An error reply here is a wrong password, or a server that takes no more clients.
      throw unavailable(error);
    }
  }

  /**
   * Waits for work on a connection, at most the reply timeout; a connection that fails or is late is destroyed.
   * Error replies of Redis pass through.
   * @throws {RedisUnavailable}
   */
  async settle<T>(connection: RedisConnection, work: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const expiry = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new RedisUnavailable(`no answer within ${this.#replyTimeoutMs} ms`));
      }, this.#replyTimeoutMs);
    });
    try {
      return await Promise.race([work, expiry]);
    } catch (error) {
      connection.destroy();
      throw error instanceof ErrorReply ? error : unavailable(error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Destroys every connection; what is under way fails. */
  close(): void {
    for (const connection of this.#open) connection.destroy();
    this.#open.clear();
  }

  async #send(connection: RedisConnection, commands: Command[]): Promise<Reply[]> {
    // All commands are queued within one turn of the event loop: nothing gets in between.
    const replies = commands.map((command) =>
      connection.sendCommand<Reply>(command).catch((error: unknown) => {
        if (error instanceof ErrorReply) return error;
        throw error;
      }),
    );
    return this.settle(connection, Promise.all(replies));
  }
}

function unavailable(error: unknown): RedisUnavailable {
  if (error instanceof RedisUnavailable) return error;
  return new RedisUnavailable(error instanceof Error ? error.message : String(error));
}
