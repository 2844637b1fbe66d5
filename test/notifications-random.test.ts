/** Random histories, with jobs that are late, repeated and out of order, against what must hold at their end. */
import { describe, it } from "vitest";
import { createRandom, type Random } from "../dev/seed/random.ts";
import type { Actor } from "../src/auth/actor.ts";
import type { JobPayload } from "../src/queue/jobs.ts";
import {
  actorsOf,
  ahead,
  commentBy,
  createWorker,
  deleteComment,
  discrepancies,
  likesOf,
  newTarget,
  people,
  type Person,
  RecordedRooms,
  rowsOf,
  setLike,
  type Target,
  unreadOf,
} from "./support/notifications.ts";

const STEPS = 120;
const MINUTE_MS = 60_000;

/** Something that can be told, as it is now. */
type Deed = {
  source: "like" | "comment";
  id: number;
  actor: Person;
  reader: Actor;
  target: Target;
  stands: boolean;
};

type World = {
  random: Random;
  readers: Actor[];
  targets: { reader: Actor; target: Target }[];
  fans: Person[];
  deeds: Deed[];
  jobs: JobPayload<"sync-notification">[];
};

async function createWorld(random: Random): Promise<World> {
  const readers: Actor[] = [];
  const targets: World["targets"] = [];
  for (let count = 0; count < 3; count += 1) {
    const first = await newTarget();
    readers.push(first.reader);
    targets.push(first, await newTarget(first.reader));
    const postId = first.target.id;
    const target: Target = { type: "comment", id: await commentBy(first.reader, postId), postId };
    targets.push({ reader: first.reader, target });
  }
  return { random, readers, targets, fans: await people(5), deeds: [], jobs: [] };
}

/** Puts a job off, once or twice. */
function order(world: World, { source, id }: Pick<Deed, "source" | "id">): void {
  for (let copy = 0; copy <= world.random.below(2); copy += 1) world.jobs.push({ source, id });
}

async function toggleLike(world: World): Promise<void> {
  const { random, deeds } = world;
  const { reader, target } = random.pick(world.targets);
  // Readers like their own things too, of which nobody must hear.
  const actor = random.pick([...world.fans, reader]);
  const known = deeds.find(
    (deed) => deed.source === "like" && deed.actor.id === actor.id && deed.target.id === target.id,
  );
  if (known) {
    known.stands = !known.stands;
    await setLike(known.id, known.stands);
    order(world, known);
    return;
  }
  const [id = 0] = await likesOf(target, [actor]);
  deeds.push({ source: "like", id, actor, reader, target, stands: true });
  order(world, { source: "like", id });
}

async function comment(world: World): Promise<void> {
  const { random } = world;
  const { reader, target } = random.pick(world.targets.filter((each) => each.target.type === "post"));
  const actor = random.pick([...world.fans, reader]);
  const id = await commentBy(actor, target.id);
  world.deeds.push({ source: "comment", id, actor, reader, target, stands: true });
  order(world, { source: "comment", id });
}

async function removeComment(world: World): Promise<void> {
  const standing = world.deeds.filter((deed) => deed.source === "comment" && deed.stands);
  if (standing.length === 0) return;
  const deed = world.random.pick(standing);
  deed.stands = false;
  await deleteComment(deed.id);
  order(world, deed);
}

/** Takes some of the jobs that wait, in any order. */
function takeJobs({ random, jobs }: World): World["jobs"] {
  const taken: World["jobs"] = [];
  for (let count = random.below(4); count > 0 && jobs.length > 0; count -= 1) {
    const [job] = jobs.splice(random.below(jobs.length), 1);
    if (job) taken.push(job);
  }
  return taken;
}

async function live(world: World, rooms: RecordedRooms): Promise<void> {
  const { random } = world;
  const { service, settled } = createWorker({ rooms });

  async function read(reader: Actor): Promise<void> {
    const rows = await unreadOf(reader.id);
    if (rows.length === 0) return;
    const { id } = random.pick(rows);
    if (random.below(3) === 0) await service.markAllRead(reader, id);
    // It may be taken back at this moment.
    else await service.markRead(reader, id).catch(() => undefined);
  }

  for (let step = 0; step < STEPS; step += 1) {
    const act = random.pick([toggleLike, toggleLike, toggleLike, comment, comment, removeComment]);
    rooms.failing = random.pick(["no", "no", "no", "before", "after"]);
    await Promise.all([
      act(world),
      ...takeJobs(world).map((job) => service.sync(job)),
      random.below(5) === 0 ? read(random.pick(world.readers)) : undefined,
    ]);
  }
  rooms.failing = "no";
  while (world.jobs.length > 0) await Promise.all(takeJobs(world).map((job) => service.sync(job)));
  await settled();
}

describe("a random history", () => {
  const chosen = Math.floor(Math.random() * 2 ** 31);
  it.for([1, 2, 3, 4, 5, chosen])("ends with what it must (seed %i)", async (seed, { expect }) => {
    const world = await createWorld(createRandom(seed));
    const rooms = new RecordedRooms();
    await live(world, rooms);
    // What was held back is told, too.
    const { announcer } = createWorker({ now: ahead(15 * MINUTE_MS), rooms });
    for (const reader of world.readers) await announcer.announce(reader.id);

    for (const reader of world.readers) {
      const rows = await rowsOf(reader.id);
      const actors = await actorsOf(rows);
      const deeds = world.deeds.filter((deed) => deed.reader.id === reader.id && deed.actor.id !== reader.id);

      // Everything that stands is behind one notification, which is read or shown.
      for (const deed of deeds.filter(({ stands }) => stands)) {
        const behind = actors.filter(
          (actor) => actor.sourceType === deed.source && actor.sourceId === deed.id,
        );
        expect(behind).toMatchObject([{ actorId: deed.actor.id, active: true }]);
        const row = rows.find(({ id }) => id === behind[0]?.notificationId);
        expect(row).toMatchObject({
          type: deed.source,
          targetType: deed.target.type,
          targetId: deed.target.id,
          withdrawnAt: null,
        });
      }
      // Nothing else is, not even what somebody did to what is his own.
      const standing = new Set(
        deeds.filter(({ stands }) => stands).map(({ source, id }) => `${source} ${id}`),
      );
      expect(
        actors
          .filter(({ active }) => active)
          .map((actor) => `${actor.sourceType} ${actor.sourceId}`)
          .sort(),
      ).toEqual([...standing].sort());
      expect(await discrepancies(reader, rooms)).toEqual([]);
    }
  });
});
