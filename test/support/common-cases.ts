/**
 * The refusals that every route for signed-in users has in common.
 * @module
 */
import { describe, it } from "vitest";
import { anonymous, type Answer, type Client, type Problem, signedIn, withToken } from "./client.ts";
import { type Account, bodyOf, registerUser } from "./factories.ts";
import { expiredToken } from "./tokens.ts";

/** A request that its owner may make; made anew for each case. */
export type ProtectedRequest = { owner: Account; path: string; json?: unknown };

export type ProtectedRoute = {
  /** As in the OpenAPI document: `PATCH /api/posts/{id}`. */
  name: string;
  request: () => Promise<ProtectedRequest>;
};

/** A route for one user alone; `stranger` is what somebody else who is signed in is told. */
export type OwnedRoute = ProtectedRoute & { stranger: 403 | 404 };

/** Registers the cases: no token, tokens that are not good, an ended session. */
export function describeProtected({ name, request }: ProtectedRoute): void {
  describe(`${name} is for the right user:`, () => {
    it("refuses requests without a token", async ({ expect }) => {
      const { status, body, headers } = await send(anonymous(), name, await request());
      expect([status, body.code]).toEqual([401, "unauthenticated"]);
      expect(headers.get("www-authenticate")).toMatch(/^Bearer/);
    });

    it("refuses a token that is none", async ({ expect }) => {
      const { status, body } = await send(withToken("nonsense"), name, await request());
      expect([status, body.code]).toEqual([401, "unauthenticated"]);
    });

    it("refuses a token that has expired, as such", async ({ expect }) => {
      const wanted = await request();
      const { status, body } = await send(withToken(await expiredToken(wanted.owner.session)), name, wanted);
      expect([status, body.code]).toEqual([401, "token_expired"]);
    });

    it("refuses a token of a session that has ended", async ({ expect }) => {
      const wanted = await request();
      const client = signedIn(wanted.owner.session);
      bodyOf(await client.post<string>("/api/auth/logout"), 204);
      const { status, body } = await send(client, name, wanted);
      expect([status, body.code]).toEqual([401, "unauthenticated"]);
    });
  });
}

/** Registers the case of somebody else who is signed in. */
export function describeOwned({ name, request, stranger }: OwnedRoute): void {
  it(`${name} refuses somebody else, and lets the owner do it afterwards`, async ({ expect }) => {
    const wanted = await request();
    const { client } = await registerUser();
    const refused = await send(client, name, wanted);
    const code = stranger === 403 ? "forbidden" : "not_found";
    expect([refused.status, refused.body.code]).toEqual([stranger, code]);
    expect((await send(wanted.owner.client, name, wanted)).status).toBeLessThan(300);
  });
}

function send(client: Client, name: string, { path, json }: ProtectedRequest): Promise<Answer<Problem>> {
  const [method = ""] = name.split(" ");
  return client.request(method, path, json === undefined ? {} : { json });
}
