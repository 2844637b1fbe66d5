/**
 * Profiles.
 * @module
 */
import type { Actor } from "../auth/actor.ts";
import { type AuthService, requireSomeField, takenError } from "../auth/service.ts";
import type { AccountEffects } from "../auth/account-effects.ts";
import type { AuthRepository } from "../auth/repository.ts";
import { AppError, fieldError } from "../common/errors.ts";
import { normaliseEmail, usernameKey } from "../common/text.ts";
import type { UsersRepository } from "./repository.ts";
import type { UpdateProfile } from "./schema.ts";

type Deps = {
  repository: UsersRepository;
  credentials: Pick<AuthRepository, "takenFields">;
  auth: Pick<AuthService, "confirmPassword">;
  effects: Pick<AccountEffects, "renamed" | "erased">;
  now: () => Date;
};

export type UsersService = ReturnType<typeof createUsersService>;

export function createUsersService({ repository, credentials, auth, effects, now }: Deps) {
  async function find(id: number) {
    const user = await repository.findById(id);
    if (!user) throw new AppError("not_found", "There is no such user");
    return user;
  }

  return {
    /** @throws AppError `not_found`, for erased accounts too. One statement. */
    find,

    /** @throws AppError `conflict` naming the field that is taken, `invalid_credentials` when the password is wrong */
    async update(actor: Actor, input: UpdateProfile) {
      const { currentPassword, ...fields } = input;
      requireSomeField(fields);
      if (fields.email !== undefined) {
        if (currentPassword === undefined)
          throw fieldError("currentPassword", "is needed to change the email address");
        await auth.confirmPassword(actor, currentPassword);
      }
      const email = fields.email === undefined ? undefined : normaliseEmail(fields.email);
      const key = fields.username === undefined ? undefined : await usernameKey(fields.username);
      const at = now();
      const outcome = await repository.update(actor.id, {
        ...(email === undefined ? {} : { email }),
        ...(fields.username === undefined || key === undefined
          ? {}
          : { username: fields.username, usernameKey: key, effectsDueAt: at }),
      });
      if (outcome === "taken") throw await takenError(credentials, email, key);
      if (fields.username !== undefined) await effects.renamed(actor.id, fields.username, at);
      return find(actor.id);
    },

    /** Erases the account: what it wrote stays, without its name. */
    async erase(actor: Actor): Promise<void> {
      const at = now();
      const epoch = await repository.erase(actor.id, at);
      await effects.erased(actor.id, epoch, at);
    },
  };
}
