/** Every route against everybody: who is answered how, and that a refusal changes nothing. The lines are in support/matrix.ts. */
import { describe, it } from "vitest";
import { ACTORS, type ActorName, type Caller, callerOf } from "./support/actors.ts";
import { type Answer, anonymous, openApiDocument, type Problem } from "./support/client.ts";
import { type Account, admin, registerUser } from "./support/factories.ts";
import { LINES, type Line, type Outcomes, type Wanted } from "./support/matrix.ts";
import { findOperation } from "./support/openapi-check.ts";
import { checksum, type Concerned } from "./support/rows.ts";
import { type Upgrade, upgrade } from "./support/sockets.ts";

/** What a line is about, made anew for each request that may change it. */
type Scene = { owner: Account; rightful: Account; wanted: Wanted };

const methodOf = ({ name }: Line) => name.split(" ")[0] ?? "";
const accepts = (outcome: string) => outcome.length === 3;

async function setScene({ outcomes, request }: Line): Promise<Scene> {
  const owner = await registerUser();
  const rightful = accepts(outcomes.owner) || !accepts(outcomes.admin) ? owner : await admin();
  return { owner, rightful, wanted: await request(owner) };
}

const outcomeOf = ({ status, body }: Answer<Problem>) =>
  status < 400 ? String(status) : `${status} ${body.code}`;

/** Asks for a room as a socket. @throws when the status is not documented */
async function knock(line: Line, path: string, token: string | undefined): Promise<string> {
  let credentials: Upgrade = {};
  if (token !== undefined) {
    credentials = line.upgrade === "header" ? { headers: { authorization: `Bearer ${token}` } } : { token };
  }
  const response = await upgrade(path.replace("/api/rooms/", ""), credentials);
  const declared = findOperation(await openApiDocument(), "GET", path)?.operation.responses;
  if (!declared?.[String(response.status)]) throw new Error(`${response.status} is not documented`);
  if (response.webSocket) {
    response.webSocket.accept();
    response.webSocket.close(1000, "done");
    return String(response.status);
  }
  return `${response.status} ${(await response.json<Problem>()).code}`;
}

/** Sends the request as somebody. The client refuses answers that are not documented. */
async function ask(line: Line, { path, json }: Wanted, { client, token }: Caller): Promise<string> {
  if (line.upgrade) return knock(line, path, token);
  const options = json === undefined ? {} : { json };
  const outcome = outcomeOf(await client.request(methodOf(line), path, options));
  if (methodOf(line) === "GET") {
    const { status } = await client.request("HEAD", path);
    if (String(status) !== outcome.slice(0, 3)) throw new Error(`HEAD is answered ${status}, GET ${outcome}`);
  }
  return outcome;
}

/** Asks as everybody who is to be refused, about one thing, between two looks at the rows concerned. */
async function askInVain(line: Line, actors: ActorName[]): Promise<[Partial<Outcomes>, string, string]> {
  const scene = await setScene(line);
  const callers: Caller[] = [];
  for (const name of actors) callers.push(await callerOf(name, scene, line.request));
  const accounts = [scene.owner, scene.rightful, ...callers.flatMap(({ account }) => account ?? [])];
  const concerned: Concerned = {
    userIds: accounts.map(({ id }) => id),
    boardIds: scene.wanted.boardIds ?? [],
  };
  const before = await checksum(concerned);
  const seen: Partial<Outcomes> = {};
  for (const [index, caller] of callers.entries()) {
    seen[actors[index] ?? "anonymous"] = await ask(line, scene.wanted, caller);
  }
  return [seen, before, await checksum(concerned)];
}

describe("the matrix", () => {
  for (const line of LINES) {
    it(`${line.name}${line.of ? ` (${line.of})` : ""}`, async ({ expect }) => {
      const [allowed, refused] = [true, false].map((wanted) =>
        ACTORS.filter((name) => accepts(line.outcomes[name]) === wanted),
      );
      const [seen, before, after] = await askInVain(line, refused ?? []);
      // Whoever may, may afterwards: it was not the request that was refused. What changes something is done to a thing each.
      const reads = methodOf(line) === "GET" ? await setScene(line) : undefined;
      for (const name of allowed ?? []) {
        const scene = reads ?? (await setScene(line));
        seen[name] = await ask(line, scene.wanted, await callerOf(name, scene, line.request));
      }
      expect(seen).toEqual(line.outcomes);
      expect(after).toBe(before);
    });
  }

  it("has a line for every route of the document", async ({ expect }) => {
    const { paths } = await openApiDocument();
    const documented = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(new Set(LINES.map(({ name }) => name))).toEqual(new Set(documented));
  });

  it("agrees with what the document says of tokens", async ({ expect }) => {
    const { paths } = await openApiDocument();
    for (const { name, outcomes } of LINES) {
      const [method = "", path = ""] = name.split(" ");
      const { security } = paths[path]?.[method.toLowerCase()] ?? {};
      const needsToken = security?.every((scheme) => Object.keys(scheme).length > 0) ?? false;
      if (name !== "POST /api/jobs") expect(accepts(outcomes.anonymous), name).toBe(!needsToken);
    }
  });
});

it("a refused read of a post counts no view", async ({ expect }) => {
  const line = LINES.find(({ name }) => name === "GET /api/posts/{id}");
  if (!line) throw new Error("there is no such line");
  const scene = await setScene(line);
  for (const name of ["expired", "forged"] as const) {
    await ask(line, scene.wanted, await callerOf(name, scene, line.request));
  }
  const { body } = await anonymous().get<{ viewCount: number }>(scene.wanted.path);
  expect(body.viewCount).toBe(1);
});
