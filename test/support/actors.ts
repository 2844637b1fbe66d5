/**
 * Everybody who may knock at a route, the rightful and the others, for the matrix of `authorisation.test.ts`.
 * @module
 */
import { anonymous, type Client, signedIn, withToken } from "./client.ts";
import { type Account, admin, bodyOf, login, registerUser } from "./factories.ts";
import { currentKey, expiredToken, forge } from "./tokens.ts";

export const ACTORS = [
  "anonymous",
  /** Signed in, with nothing of their own. */
  "user",
  /** Whose thing it is. */
  "owner",
  /** Signed in, with a thing of the same kind. */
  "other",
  "admin",
  /** The rightful one with a genuine token that has ended. */
  "expired",
  /** The rightful one with a token of a session that was ended. */
  "revoked",
  /** The rightful one's claims and an admin's role under another key. */
  "forged",
] as const;
export type ActorName = (typeof ACTORS)[number];

/** Who asks: the token that is sent, and whose rows it might change. */
export type Caller = { token: string | undefined; client: Client; account: Account | undefined };

const FOREIGN_SECRET = "a secret that no Worker was ever given";

/**
 * @param rightful who may use the route, of whose tokens the bad ones are made
 * @param makeThing gives somebody a thing of the kind that the route is about
 */
export async function callerOf(
  name: ActorName,
  { owner, rightful }: { owner: Account; rightful: Account },
  makeThing: (account: Account) => Promise<unknown>,
): Promise<Caller> {
  switch (name) {
    case "anonymous":
      return { token: undefined, client: anonymous(), account: undefined };
    case "user":
      return signedInAs(await registerUser());
    case "owner":
      return signedInAs(owner);
    case "other": {
      const account = await registerUser();
      await makeThing(account);
      return signedInAs(account);
    }
    case "admin":
      return signedInAs(rightful.session.user.role === "admin" ? rightful : await admin());
    case "expired":
      return sending(await expiredToken(rightful.session));
    case "revoked": {
      const session = await login(rightful);
      bodyOf(await signedIn(session).post<string>("/api/auth/logout"), 204);
      return sending(session.accessToken);
    }
    default:
      // "forged"
      return sending(
        await forge(rightful.session, { role: "admin" }, { kid: currentKey.kid, secret: FOREIGN_SECRET }),
      );
  }
}

function signedInAs(account: Account): Caller {
  return { token: account.session.accessToken, client: account.client, account };
}

function sending(token: string): Caller {
  return { token, client: withToken(token), account: undefined };
}
