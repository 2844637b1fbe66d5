/**
 * The session of `npm run watch`: signs in, keeps the access token fresh, signs out.
 * @module
 */
import { z } from "zod";
import { CloudProblem } from "../cloud/problem.ts";

const sessionSchema = z.object({
  user: z.object({ id: z.number(), username: z.string() }),
  accessToken: z.string(),
  expiresIn: z.number(),
  refreshToken: z.string(),
});
const problemSchema = z.object({ detail: z.string(), code: z.string() });

/** A refusal of the API: what it says, and its status. */
export class Refusal extends Error {
  override name = "Refusal";
  readonly status: number;
  /** From `Retry-After`; 0 without it. */
  readonly retryAfterMs: number;

  constructor(status: number, message: string, retryAfterMs: number) {
    super(message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The API could not be reached. */
export class Unreachable extends Error {
  override name = "Unreachable";
}

/** A token is renewed when this part of its life is over. */
const RENEW_AFTER = 0.8;
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * One call to the API.
 * @throws {Refusal} for a status from 400 up
 * @throws {Unreachable} without an answer
 */
export async function callApi(
  url: string,
  init: RequestInit,
  timeoutMs: number = REQUEST_TIMEOUT_MS,
): Promise<unknown> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, { ...init, signal: init.signal ?? AbortSignal.timeout(timeoutMs) });
    text = await response.text();
  } catch (cause) {
    throw new Unreachable(`${new URL(url).origin} does not answer`, { cause });
  }
  let body: unknown;
  try {
    body = text === "" ? undefined : JSON.parse(text);
  } catch {
    body = undefined;
  }
  if (response.ok) return body;
  const problem = problemSchema.safeParse(body).data;
  const retryAfterMs = Number(response.headers.get("retry-after") ?? 0) * 1000;
  throw new Refusal(response.status, problem?.detail ?? `the answer was ${response.status}`, retryAfterMs);
}

export class Session {
  readonly #url: string;
  #session: z.infer<typeof sessionSchema>;
  #issuedAt = Date.now();

  private constructor(url: string, session: z.infer<typeof sessionSchema>) {
    this.#url = url;
    this.#session = session;
  }

  /** @throws {CloudProblem} when the account or the address is wrong */
  static async login(url: string, email: string, password: string): Promise<Session> {
    try {
      const body = await callApi(`${url}/api/auth/login`, json({ email, password }));
      return new Session(url, sessionSchema.parse(body));
    } catch (error) {
      if (error instanceof Unreachable) {
        throw new CloudProblem(error.message, "Start `npm run dev`, or name the server with --url");
      }
      if (error instanceof Refusal && error.status === 401) {
        throw new CloudProblem(
          `${email} cannot sign in at ${url}: ${error.message}`,
          "Name an account with --email and --password",
        );
      }
      throw new CloudProblem(
        `${url} refused the sign-in: ${error instanceof Error ? error.message : String(error)}`,
        "See the log of the server",
      );
    }
  }

  get user(): { id: number; username: string } {
    return this.#session.user;
  }

  get accessToken(): string {
    return this.#session.accessToken;
  }

  /** Until the token should be renewed; 0 when that is overdue. */
  get renewInMs(): number {
    return Math.max(0, this.#issuedAt + this.#session.expiresIn * 1000 * RENEW_AFTER - Date.now());
  }

  /**
   * Exchanges the refresh token for a new pair.
   * @throws {Refusal} when the session has ended
   * @throws {Unreachable}
   */
  async renew(): Promise<void> {
    const { refreshToken } = this.#session;
    const body = await callApi(`${this.#url}/api/auth/refresh`, json({ refreshToken }));
    this.#session = sessionSchema.parse(body);
    this.#issuedAt = Date.now();
  }

  /** Ends the session; a server that is gone does not matter. */
  async logout(): Promise<void> {
    const headers = { authorization: `Bearer ${this.accessToken}` };
    await callApi(`${this.#url}/api/auth/logout`, { method: "POST", headers }, 2_000).catch(() => undefined);
  }
}

function json(body: unknown): RequestInit {
  return {
    method: "POST",
    headers: { "content-type": "application/json", "user-agent": "liveforum-watch" },
    body: JSON.stringify(body),
  };
}
