/**
 * Accounts' credentials and sessions.
 * @module
 */
import { ignoreOutage, RedisUnavailableError } from "../cache/client.ts";
import type { Background } from "../common/background.ts";
import { inChunks } from "../common/chunks.ts";
import { randomNonce, sha256Hex } from "../common/crypto.ts";
import { AppError, fieldError } from "../common/errors.ts";
import { type CursorCodec, type Page, type PageRequest, toPage } from "../common/pagination.ts";
import { normaliseEmail, usernameKey } from "../common/text.ts";
import type { Actor } from "./actor.ts";
import type { Overrides } from "./overrides.ts";
import type { Passwords } from "./passwords.ts";
import type { AccountEffects } from "./account-effects.ts";
import type { AuthRepository } from "./repository.ts";
import { type AccessTokens, ACCESS_TOKEN_SECONDS, type RefreshClaim, type RefreshTokens } from "./tokens.ts";

/** A session ends when it was not refreshed for this long. */
export const SESSION_DAYS = 30;
/** How long a replaced refresh token still works, for tabs that refresh side by side. */
export const REFRESH_GRACE_SECONDS = 10;
const DAY_MS = 86_400_000;

type Deps = {
  repository: AuthRepository;
  passwords: Passwords;
  accessTokens: AccessTokens;
  refreshTokens: RefreshTokens;
  overrides: Overrides;
  effects: Pick<AccountEffects, "sessionEnded" | "sessionsEnded">;
  cursors: CursorCodec;
  background: Background;
  now: () => Date;
};

type SessionUser = { id: number; username: string; role: "user" | "admin"; createdAt: Date };

/** What a client is given at sign-in and at each refresh. */
export type IssuedSession = {
  user: SessionUser;
  accessToken: string;
  expiresIn: number;
  refreshToken: string;
};

export type SessionInfo = {
  id: number;
  deviceLabel: string;
  createdAt: Date;
  lastUsedAt: Date;
  current: boolean;
};

export type AuthService = ReturnType<typeof createAuthService>;

export function createAuthService(deps: Deps) {
  const { repository, passwords, accessTokens, refreshTokens, overrides, effects, cursors, background, now } =
    deps;

  async function issue(
    user: SessionUser,
    session: { id: number; nonce: string; epoch: number },
    refreshToken: string,
  ): Promise<IssuedSession> {
    const { id: sessionId, nonce, epoch } = session;
    const actor: Actor = { ...user, sessionId, nonce, epoch };
    // It may fail. Access tokens of whoever had this id before a restored backup then work on to their end.
    background("make a session known", () => overrides.startSession(session).catch(ignoreOutage));
    return {
      user,
      accessToken: await accessTokens.issue(actor, now()),
      expiresIn: ACCESS_TOKEN_SECONDS,
      refreshToken,
    };
  }

  async function startSession(user: SessionUser, epoch: number, deviceLabel: string): Promise<IssuedSession> {
    const createdAt = now();
    const expiresAt = new Date(createdAt.getTime() + SESSION_DAYS * DAY_MS);
    const nonce = randomNonce();
    const sessionId = await repository.insertSession({
      userId: user.id,
      nonce,
      epoch,
      deviceLabel,
      createdAt,
      expiresAt,
    });
    const [refreshToken = ""] = await refreshTokens.candidates({ sessionId, nonce, generation: 1 });
    // The token proves itself by its MAC until its hash is stored.
    background("store refresh hash", async () =>
      repository.setRefreshHash({ sessionId, nonce, refreshHash: await sha256Hex(refreshToken) }),
    );
    return issue(user, { id: sessionId, nonce, epoch }, refreshToken);
  }

  /** The tokens of a session that another tab has just refreshed. */
  async function joinRefresh(claim: RefreshClaim, at: Date): Promise<IssuedSession> {
    const { sessionId, nonce, generation } = claim;
    const session = await repository.findSession(sessionId, at);
    if (!session || session.live !== 1 || session.username === null) throw refused();
    // Another session has the id, since a backup was restored: the token is none of its own, so it is no reuse either.
    if (session.nonce !== nonce) throw refused();
    if (generation > session.generation) throw refused();
    const user = {
      id: session.userId,
      username: session.username,
      role: session.role,
      createdAt: session.userCreatedAt,
    };
    if (generation < session.generation) {
      const replacedAt = Number(session.rotations.split(",")[session.generation - 1 - generation] ?? 0);
      if (at.getTime() - replacedAt > REFRESH_GRACE_SECONDS * 1000) {
        await repository.revokeSession(session.userId, sessionId, at);
        await effects.sessionEnded(session.userId, sessionId, at);
        throw refused("The refresh token was used before; the session has been ended");
      }
    }
    const current = { ...claim, generation: session.generation };
    for (const candidate of await refreshTokens.candidates(current)) {
      if ((await sha256Hex(candidate)) === session.refreshHash) {
        return issue(user, { id: sessionId, nonce, epoch: session.epoch }, candidate);
      }
    }
    throw refused();
  }

  return {
    /**
     * Creates an account and signs it in. Two statements, one after the other.
     * @throws AppError `conflict` naming the fields that are taken
     */
    async register(
      input: { email: string; username: string; password: string },
      deviceLabel: string,
    ): Promise<IssuedSession> {
      const email = normaliseEmail(input.email);
      const key = await usernameKey(input.username);
      const passwordHash = await passwords.hash(input.password);
      const createdAt = now();
      const sessionEpoch = Math.floor(createdAt.getTime() / 1000);
      const id = await repository.insertUser({
        email,
        username: input.username,
        usernameKey: key,
        passwordHash,
        sessionEpoch,
        createdAt,
      });
      if (id === undefined) throw await takenError(repository, email, key);
      background("make an account known", () => overrides.startUser(id, sessionEpoch).catch(ignoreOutage));
      return startSession(
        { id, username: input.username, role: "user", createdAt },
        sessionEpoch,
        deviceLabel,
      );
    },

    /** @throws AppError `invalid_credentials`, after the same work whether or not the account exists */
    async login(input: { email: string; password: string }, deviceLabel: string): Promise<IssuedSession> {
      const user = await repository.findCredentialsByEmail(normaliseEmail(input.email));
      const good = await passwords.verify(input.password, user?.passwordHash);
      if (!good || !user || user.username === null) {
        throw new AppError("invalid_credentials", "The email address or the password is wrong");
      }
      const { id, username, role, createdAt, sessionEpoch, passwordHash } = user;
      if (passwordHash !== null && passwords.isOutdated(passwordHash)) {
        background("bring a password's hash up to date", async () =>
          repository.replaceHash(id, passwordHash, await passwords.hash(input.password)),
        );
      }
      return startSession({ id, username, role, createdAt }, sessionEpoch, deviceLabel);
    },

    /**
     * Exchanges a refresh token for a new pair. Tabs that refresh side by side get the same one.
     * A token that was replaced longer ago than the grace ends its session: it may have been stolen. Two statements.
     * @throws AppError `unauthenticated`
     */
    async refresh(token: string, deviceLabel: string): Promise<IssuedSession> {
      const claim = await refreshTokens.verify(token);
      if (!claim) throw refused();
      const at = now();
      const { sessionId, nonce, generation } = claim;
      const [next = ""] = await refreshTokens.candidates({ ...claim, generation: generation + 1 });
      const [refreshHash, nextRefreshHash] = await Promise.all([sha256Hex(token), sha256Hex(next)]);
      const expiresAt = new Date(at.getTime() + SESSION_DAYS * DAY_MS);
      await repository.rotate({
        sessionId,
        nonce,
        generation,
        refreshHash,
        nextRefreshHash,
        deviceLabel,
        expiresAt,
        now: at,
      });
      return joinRefresh(claim, at);
    },

    /** @throws AppError `token_expired` or `unauthenticated`. No upstream call. */
    async authenticate(accessToken: string): Promise<Actor> {
      return (await accessTokens.verify(accessToken, now())).actor;
    },

    /**
     * Brings the actor up to date in place and refuses an ended session. One Redis pipeline; one statement where Redis is away
     * or does not know.
     * @throws AppError `unauthenticated`
     */
    async refreshActor(actor: Actor): Promise<void> {
      let current = await overrides.apply(actor).catch((error: unknown) => {
        if (error instanceof RedisUnavailableError) return "unsure" as const;
        throw error;
      });
      if (current === "unsure") {
        current = undefined;
        const session = await repository.findSession(actor.sessionId, now());
        const same = session?.userId === actor.id && session.nonce === actor.nonce;
        if (session?.live === 1 && same && session.username !== null) {
          current = { ...actor, username: session.username, role: session.role };
        }
      }
      if (!current) throw new AppError("unauthenticated", "The session has ended");
      Object.assign(actor, current);
    },

    async logout(actor: Actor): Promise<void> {
      const at = now();
      await repository.revokeSession(actor.id, actor.sessionId, at);
      await effects.sessionEnded(actor.id, actor.sessionId, at);
    },

    async logoutAll(actor: Actor): Promise<void> {
      const at = now();
      const epoch = await repository.revokeAll(actor.id, at);
      await effects.sessionsEnded(actor.id, { epoch }, at);
    },

    /**
     * Changes the password and ends the other sessions.
     * @throws AppError `invalid_credentials` when the current password is wrong, `conflict` when it changed meanwhile
     */
    async changePassword(
      actor: Actor,
      input: { currentPassword: string; newPassword: string },
    ): Promise<void> {
      const user = await repository.findCredentialsById(actor.id);
      const good = await passwords.verify(input.currentPassword, user?.passwordHash);
      if (!good || !user?.passwordHash)
        throw new AppError("invalid_credentials", "The current password is wrong");
      const at = now();
      const changed = await repository.changePassword({
        userId: actor.id,
        sessionId: actor.sessionId,
        currentHash: user.passwordHash,
        nextHash: await passwords.hash(input.newPassword),
        epoch: user.sessionEpoch,
        now: at,
      });
      if (!changed) throw new AppError("conflict", "The account changed meanwhile; sign in and try again");
      const ended = { epoch: user.sessionEpoch + 1, keptSessionId: actor.sessionId };
      await effects.sessionsEnded(actor.id, ended, at);
    },

    /** @throws AppError `invalid_credentials` unless `password` is the actor's */
    async confirmPassword(actor: Actor, password: string): Promise<void> {
      const user = await repository.findCredentialsById(actor.id);
      if (!(await passwords.verify(password, user?.passwordHash))) {
        throw new AppError("invalid_credentials", "The current password is wrong");
      }
    },

    /** The actor's live sessions, newest first. One statement. */
    async listSessions(actor: Actor, { limit, cursor }: PageRequest): Promise<Page<SessionInfo>> {
      const list = `sessions:${actor.id}`;
      const [before] = cursor === undefined ? [] : await cursors.decode(list, cursor);
      const rows = await repository.listSessions(actor.id, now(), limit + 1, before);
      const sessions = rows.map((row) => ({ ...row, current: row.id === actor.sessionId }));
      return toPage(sessions, limit, (last) => cursors.encode(list, last.id));
    },

    /** @throws AppError `not_found` when the actor has no such live session */
    async endSession(actor: Actor, sessionId: number): Promise<void> {
      const at = now();
      if (!(await repository.revokeSession(actor.id, sessionId, at))) {
        throw new AppError("not_found", "There is no such session");
      }
      await effects.sessionEnded(actor.id, sessionId, at);
    },

    /** Deletes sessions that ended over a day ago, in chunks. @returns how many */
    async deleteExpiredSessions(): Promise<number> {
      const before = new Date(now().getTime() - DAY_MS);
      return inChunks((limit) => repository.deleteExpired(before, limit));
    },
  };
}

function refused(message = "The refresh token is not valid"): AppError {
  return new AppError("unauthenticated", message);
}

/** The refusal that names what is taken. One statement. */
export async function takenError(
  repository: Pick<AuthRepository, "takenFields">,
  email: string | undefined,
  key: string | undefined,
): Promise<AppError> {
  const taken = await repository.takenFields(email ?? "", key ?? "");
  const errors = [
    ...(taken.email && email !== undefined ? [{ path: "email", message: "is taken" }] : []),
    ...(taken.username && key !== undefined ? [{ path: "username", message: "is taken" }] : []),
  ];
  const detail = errors.map((error) => `${error.path} ${error.message}`).join(", ");
  return new AppError("conflict", detail === "" ? undefined : detail, { errors });
}

/** @throws AppError `validation_failed` when nothing is to be changed */
export function requireSomeField(input: Record<string, unknown>): void {
  if (Object.values(input).every((value) => value === undefined))
    throw fieldError("", "at least one field is needed");
}
