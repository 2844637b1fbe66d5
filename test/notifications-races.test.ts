/** Two Workers on one reader: whatever one does between any two statements of the other. */
import { eq } from "drizzle-orm";
import { describe, inject, it } from "vitest";
import type { Actor } from "../src/auth/actor.ts";
import { createMeter, type Meter } from "../src/common/meter.ts";
import { createDb } from "../src/db/client.ts";
import { posts } from "../src/db/schema/posts.ts";
import { createNotificationsRepository } from "../src/notifications/repository.ts";
import { db } from "./support/database.ts";
import {
  ahead,
  createWorker,
  discrepancies,
  likesOf,
  newTarget,
  people,
  RecordedRooms,
  rowsOf,
  setLike,
  unreadOf,
} from "./support/notifications.ts";

const DATABASE_URL = inject("cloud").settings["DATABASE_URL"] ?? "";

const like = (id: number) => ({ source: "like" as const, id });

describe("two Workers at the same time", () => {
  /** A database that lets somebody else go first, once, before a statement. */
  function interrupted(statement: number, action: () => Promise<unknown>) {
    const meter = createMeter();
    let done = 0;
    const measure: Meter["measure"] = async (upstream, call) => {
      done += 1;
      if (done === statement) await action();
      return meter.measure(upstream, call);
    };
    return { db: createDb(DATABASE_URL, { ...meter, measure }), happened: () => done >= statement };
  }

  type Scene = { reader: Actor; likes: number[]; other: ReturnType<typeof createWorker> };

  const actions: Record<string, (scene: Scene) => Promise<unknown>> = {
    "the same job": ({ other, likes }) => other.service.sync(like(likes[0] ?? 0)),
    "another like": ({ other, likes }) => other.service.sync(like(likes[1] ?? 0)),
    "an unlike": async ({ other, likes }) => {
      await setLike(likes[0] ?? 0, false);
      await other.service.sync(like(likes[0] ?? 0));
    },
    "a reading of one": async ({ other, reader }) => {
      const [row] = await unreadOf(reader.id);
      if (row) await other.service.markRead(reader, row.id);
      await other.settled();
    },
    "a reading of all": async ({ other, reader }) => {
      await other.service.markAllRead(reader, Number.MAX_SAFE_INTEGER);
      await other.settled();
    },
    "a reading and another like": async ({ other, reader, likes }) => {
      await other.service.markAllRead(reader, Number.MAX_SAFE_INTEGER);
      await other.service.sync(like(likes[1] ?? 0));
      await other.settled();
    },
    "a reading by a Worker that dies": async ({ reader }) => {
      const [row] = await unreadOf(reader.id);
      if (row) await createNotificationsRepository(db).markRead(reader.id, row.id, ahead());
    },
  };

  /** The first like of a target, the third of one whose notification is unread, the reading of one. */
  const works: Record<string, (scene: Scene, worker: ReturnType<typeof createWorker>) => Promise<unknown>> = {
    "a first job": ({ likes }, { service }) => service.sync(like(likes[0] ?? 0)),
    "a further job": ({ likes }, { service }) => service.sync(like(likes[2] ?? 0)),
    "a reading": async ({ reader }, { service, settled }) => {
      const [row] = await unreadOf(reader.id);
      // It may have been taken back by then.
      await service.markRead(reader, row?.id ?? 0).catch(() => undefined);
      await settled();
    },
  };

  it.for(Object.keys(works).flatMap((work) => Object.keys(actions).map((action) => [action, work] as const)))(
    "%s between any two statements of %s leaves everything right",
    async ([action, work], { expect }) => {
      for (let statement = 1; ; statement += 1) {
        const { reader, target } = await newTarget();
        const rooms = new RecordedRooms();
        const likes = await likesOf(target, await people(3));
        const scene = { reader, likes, other: createWorker({ rooms }) };
        if (work !== "a first job") await scene.other.service.sync(like(likes[0] ?? 0));
        const { db, happened } = interrupted(statement, async () => actions[action]?.(scene));
        await works[work]?.(scene, createWorker({ rooms, database: db }));
        if (action.includes("dies")) await scene.other.announcer.announce(reader.id);
        expect([statement, ...(await discrepancies(reader, rooms))]).toEqual([statement]);
        if (!happened()) break;
      }
    },
  );

  it("a deletion of the post between any two statements of a first job leaves nothing to be seen", async ({
    expect,
  }) => {
    for (let statement = 1; ; statement += 1) {
      const { reader, target } = await newTarget();
      const rooms = new RecordedRooms();
      const [id = 0] = await likesOf(target, await people(1));
      const other = createWorker({ rooms });
      const { db: slow, happened } = interrupted(statement, async () => {
        await db.update(posts).set({ deletedAt: new Date() }).where(eq(posts.id, target.id));
        await other.service.sync({ source: "post", id: target.id });
      });
      await createWorker({ rooms, database: slow }).service.sync(like(id));
      if (!happened()) break;
      // As a sweep does.
      await other.announcer.announce(reader.id);
      const due = (await rowsOf(reader.id)).filter(({ effectsDueAt }) => effectsDueAt !== null);
      const { unreadCount } = await other.service.countUnread(reader);
      const told = rooms.eventsOf(reader.id).at(-1)?.data.unreadCount ?? 0;
      expect([statement, unreadCount, told, due]).toEqual([statement, 0, 0, []]);
    }
  });
});
