/**
 * Every route against requests that something is wrong with, drawn from the document: never a 5xx, always a problem as
 * documented, never a word of what is behind it, never a changed row; and text that is taken comes back as it was.
 * `BAD_INPUT_CASES` and `BAD_INPUT_SEED` in the environment say how many and which (dev/README.md).
 */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, inject, it, type MockInstance, vi } from "vitest";
import { createApp } from "../src/app.ts";
import { type Answer, checked, openApiDocument, ORIGIN, randomAddress } from "./support/client.ts";
import { type Account, admin, registerUser } from "./support/factories.ts";
import { type HostileRequest, spoilersOf } from "./support/hostile/cases.ts";
import { signature } from "./support/jobs.ts";
import { linesOf, type LogLine, withoutOthers } from "./support/log-lines.ts";
import { LINES, type Line, type Wanted } from "./support/matrix.ts";
import type { OpenApiDocument, Operation } from "./support/openapi-check.ts";
import { checksum } from "./support/rows.ts";

const { cases, seed } = inject("badInput");
const SIDE_BY_SIDE = 40;

const app = createApp();
const routes = LINES.filter(({ upgrade }) => upgrade !== "header");

function operationOf(document: OpenApiDocument, { name }: Line): Operation {
  const [method = "", path = ""] = name.split(" ");
  const operation = document.paths[path]?.[method.toLowerCase()];
  if (!operation) throw new Error(`${name} is not documented`);
  return operation;
}

/** A route that takes nothing but a token gets a tenth of what the others do: there is less to spoil. */
function shareOf(document: OpenApiDocument, line: Line): number {
  const { parameters = [], requestBody } = operationOf(document, line);
  return parameters.length === 0 && !requestBody ? 1 : 10;
}

/** How many requests a route gets. */
function casesOf(document: OpenApiDocument, line: Line): number {
  const all = routes.reduce((sum, other) => sum + shareOf(document, other), 0);
  return Math.ceil((cases * shareOf(document, line)) / all);
}

/** What no answer says: words of the parts behind, and of stacks. */
const LEAK =
  /vttablet|errno|sqlstate|node_modules|\n\s+at |\.ts:\d|(?:Type|Syntax|Range|Reference|Zod|Database|DrizzleQuery)Error|Failed query|Unexpected token/i;

type Scene = { line: Line; wanted: Wanted; account: Account };

async function setScene(line: Line): Promise<Scene> {
  const account = line.outcomes.owner.length === 3 ? await registerUser() : await admin();
  const wanted = await line.request(account);
  return { line, wanted, account };
}

async function requestOf({ line: { name }, account }: Scene, hostile: HostileRequest): Promise<Request> {
  const { method, path, headers, body } = hostile;
  const all = new Headers({
    "cf-connecting-ip": randomAddress(),
    "user-agent": "liveforum-test/1.0",
    authorization: `Bearer ${account.session.accessToken}`,
    ...(name === "GET /api/rooms/{room}" ? { upgrade: "websocket" } : {}),
    // Signed, so that it is not the signature alone that is refused.
    ...(name === "POST /api/jobs" && typeof body === "string"
      ? { "upstash-signature": await signature(body) }
      : {}),
    ...headers,
  });
  return new Request(`${ORIGIN}${path}`, { method, headers: all, ...(body === undefined ? {} : { body }) });
}

const show = ({ method, path, headers, body, what }: HostileRequest) =>
  `${what}: ${method} ${path.slice(0, 300)} ${JSON.stringify(headers).slice(0, 300)} ${JSON.stringify(body ?? null).slice(0, 300)}`;

/** Sends it, and says what is wrong with the answer. */
async function faultOf(scene: Scene, hostile: HostileRequest, context: ExecutionContext): Promise<string[]> {
  const request = await requestOf(scene, hostile);
  const response = await app.fetch(request, env, context);
  if (response.webSocket) {
    response.webSocket.accept();
    response.webSocket.close(1000, "done");
    return hostile.refused ? ["was let in"] : [];
  }
  let answer: Answer<unknown>;
  try {
    answer = await checked(hostile.method, new URL(request.url).pathname, response);
  } catch (error) {
    return [String(error)];
  }
  const { status, body } = answer;
  const said = JSON.stringify(body);
  const faults: string[] = [];
  if (status >= 500) faults.push(`answered ${status}`);
  if (hostile.refused && status < 400) faults.push(`was taken: ${status}`);
  if (status >= 400) {
    const { password, session } = scene.account;
    const secrets = [password, session.accessToken, session.refreshToken];
    if (LEAK.test(said) || secrets.some((secret) => said.includes(secret))) faults.push(`leaks: ${said}`);
  } else if (typeof hostile.body === "string" && hostile.body !== "") {
    const sent: unknown = JSON.parse(hostile.body);
    faults.push(...changedTexts(sent, body));
    const location = answer.headers.get("location");
    if (location !== null) {
      const stored = await app.fetch(new Request(`${ORIGIN}${location}`), env, context);
      faults.push(...changedTexts(sent, await stored.json()));
    }
  }
  return faults;
}

/** An address is stored in small letters, and a refresh token answered with the next. */
const CHANGED = ["email", "refreshToken"];

/** Texts of the request that the answer has under the same name, but otherwise. */
function changedTexts(sent: unknown, received: unknown): string[] {
  if (typeof sent !== "object" || typeof received !== "object" || !sent || !received) return [];
  return Object.entries(sent).flatMap(([name, value]) => {
    if (typeof value !== "string" || CHANGED.includes(name) || !Object.hasOwn(received, name)) return [];
    const [, back] = Object.entries(received).find(([other]) => other === name) ?? [];
    return back === value ? [] : [`${name} came back as ${JSON.stringify(back)}`];
  });
}

describe(`bad input (BAD_INPUT_SEED=${seed})`, () => {
  const logged: Record<"log" | "warn" | "error", MockInstance | undefined> = {
    log: undefined,
    warn: undefined,
    error: undefined,
  };
  beforeAll(() => {
    for (const level of ["log", "warn", "error"] as const) {
      logged[level] = vi.spyOn(console, level).mockImplementation(() => undefined);
    }
  });
  afterAll(() => {
    vi.restoreAllMocks();
  });
  /** Of all but requests of earlier files: those have no line of their own here. */
  function errors(): LogLine[] {
    const [requests = [], found = []] = [logged.log, logged.error].map((spy) =>
      linesOf(spy?.mock.calls ?? []),
    );
    return withoutOthers(found, { requestIds: requests.map(({ requestId }) => requestId) });
  }

  for (const [index, line] of routes.entries()) {
    const name = `${line.name}${line.of ? ` (${line.of})` : ""}`;
    it(`is refused as it should be: ${name}`, { timeout: 600_000 }, async ({ expect }) => {
      const document = await openApiDocument();
      // What may be taken goes to another thing, so that the rows of the first stay as they were to the end.
      const [untouched, open] = [await setScene(line), await setScene(line)];
      const { account, wanted } = untouched;
      const concerned = { userIds: [account.id], boardIds: wanted.boardIds ?? [] };
      const before = await checksum(concerned);

      const options = { numRuns: casesOf(document, line), seed: seed + index };
      const spoilers = fc.sample(spoilersOf(document, line.name, operationOf(document, line)), options);
      const refused: HostileRequest[] = [];
      const possible: HostileRequest[] = [];
      for (const spoil of spoilers) {
        const hostile = spoil(wanted);
        if (hostile.refused) refused.push(hostile);
        else possible.push(spoil(open.wanted));
      }
      const faults: string[] = [];
      const tryAll = async (scene: Scene, requests: HostileRequest[], sideBySide: number) => {
        for (let from = 0; from < requests.length; from += sideBySide) {
          const context = createExecutionContext();
          await Promise.all(
            requests.slice(from, from + sideBySide).map(async (hostile) => {
              const found = await faultOf(scene, hostile, context);
              faults.push(...found.map((fault) => `${fault}\n  ${show(hostile)}`));
            }),
          );
          await waitOnExecutionContext(context);
        }
      };
      await tryAll(untouched, refused, SIDE_BY_SIDE);
      // An answer to a change shows the latest state, also when that is another request's.
      const changes = line.name.startsWith("PATCH ") ? 1 : SIDE_BY_SIDE;
      await tryAll(open, possible, changes);
      expect(faults.slice(0, 20), `${faults.length} of ${options.numRuns}`).toEqual([]);
      expect(await checksum(concerned), "rows").toBe(before);
      expect(errors()).toEqual([]);
    });
  }
});
