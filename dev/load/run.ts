/**
 * One run: traffic, followers and the cron trigger side by side, then quiet and sweeps, then what everybody was told
 * against what REST shows.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createMeter } from "../../src/common/meter.ts";
import { createDb } from "../../src/db/client.ts";
import { fire, fireCronTriggers } from "../cloud/cron.ts";
import { createRandom } from "../seed/random.ts";
import { createApi } from "./api.ts";
import { dueDifferences, endHoldingBack } from "./due.ts";
import { type Follower, startFollower } from "./follower.ts";
import { createRoomRecord, type RoomRecord } from "./room-record.ts";
import { sendTraffic, type Tally } from "./traffic.ts";
import { tableDifferences } from "./truth.ts";
import { createWorld, signIn } from "./world.ts";

export type LoadOptions = {
  /** Of the Worker. */
  url: string;
  /** Where its cron triggers are fired. */
  cronUrl: string;
  /** Of the gateway to its database, which nobody else uses. */
  databaseUrl: string;
  /** Where posts are written. */
  boardId: number;
  seconds: number;
  sockets: number;
  /** Requests at once. */
  lanes: number;
  people: number;
  posts: number;
  seed: number;
  signal: AbortSignal;
  log: (line: string) => void;
  /** Everybody is there and traffic begins; and its last answer has come. */
  began?: () => void;
  ended?: () => void;
};

export type LoadReport = {
  seconds: number;
  /** From the last answer to the moment when rooms, REST and tables say the same. */
  quietSeconds: number;
  /** Notifications whose last frame was held back when the traffic ended, told before their time. */
  heldBack: number;
  tally: Tally;
  /** Connections, and events over all of them. */
  visits: number;
  events: number;
  /** Whether rooms, REST and tables said the same in the end. */
  agree: boolean;
  /** Everything that should not have been; empty: the run passed. */
  faults: string[];
};

/** One of five sockets is in somebody's own room. */
const OWN_ROOM_SHARE = 5;
/** Enough to tell their kinds. */
const FAULTS_MAX = 10_000;
/** Sweeps, but not what runs every quarter of an hour: repairs of counts would hide what the run is to find. */
const EVERY_MINUTE = "* * * * *";
/** Effects that were interrupted are made up for within a minute, and then what was held back within another. */
const QUIET_WITHIN_MS = 120_000;
const LOOK_AGAIN_MS = 1_000;
/** So many sockets are on their way at first, and at the end; the next come when these are there. */
const OPENING_AT_ONCE = 10;

/** @throws when the forum cannot be made; everything later is a fault in the report */
export async function runLoad(options: LoadOptions): Promise<LoadReport> {
  const { url, seconds, sockets, lanes, seed, signal, log } = options;
  const random = createRandom(seed);
  const api = createApi(url, lanes);
  const db = createDb(options.databaseUrl, createMeter());
  const world = await createWorld(api, options);
  log(`${world.people.length} people, ${world.postIds.length} posts`);

  const faults: string[] = [];
  const fault = (what: string): void => {
    if (faults.length < FAULTS_MAX) faults.push(what);
  };
  const records = [
    ...world.postIds.map((id) => `post:${id}`),
    ...world.people.slice(0, Math.ceil(sockets / OWN_ROOM_SHARE)).map(({ id }) => `user:${id}`),
  ].map((name) => {
    const own = world.people.find(({ id }) => name === `user:${id}`);
    return { record: createRoomRecord(name, own ?? random.pick(world.people)), own };
  });
  const [inPosts, inOwn] = [
    records.filter(({ own }) => own === undefined),
    records.filter(({ own }) => own !== undefined),
  ];
  const followers: { follower: Follower; record: RoomRecord }[] = [];
  for (let count = 0; count < sockets; count += 1) {
    // The rooms of a kind in turn, so that each has somebody who hears everything.
    const before = Math.floor(count / OWN_ROOM_SHARE);
    const room =
      count % OWN_ROOM_SHARE === 0
        ? inOwn[before % inOwn.length]
        : inPosts[(count - before - 1) % inPosts.length];
    if (!room) continue;
    const person = room.own ?? random.pick(world.people);
    followers.push({
      record: room.record,
      follower: startFollower({ url, record: room.record, person, random, fault }),
    });
    if (followers.length % OPENING_AT_ONCE === 0)
      await Promise.all(followers.map(({ follower }) => follower.arrived));
  }
  await Promise.all(followers.map(({ follower }) => follower.arrived));
  log(`${followers.length} sockets, ${lanes} requests at once, for ${seconds} s`);

  options.began?.();
  const stopCron = fireCronTriggers(options.cronUrl, [EVERY_MINUTE], fault);
  const startedAt = performance.now();
  const tally = await sendTraffic(
    { api, world, random, lanes },
    AbortSignal.any([signal, AbortSignal.timeout(seconds * 1_000)]),
    fault,
  );
  const answeredAt = performance.now();
  options.ended?.();
  stopCron();
  signal.throwIfAborted();

  log("quiet: everybody comes to stay, and is to know what REST and the tables say");
  for (const person of world.people) await signIn(api, person);
  for (let start = 0; start < followers.length; start += OPENING_AT_ONCE) {
    const next = followers.slice(start, start + OPENING_AT_ONCE);
    await Promise.all(next.map(({ follower }) => follower.settle()));
  }
  const { differences, heldBack } = await settle();
  for (const difference of differences) fault(difference);
  const report = {
    seconds: (answeredAt - startedAt) / 1_000,
    quietSeconds: (performance.now() - answeredAt) / 1_000,
    heldBack,
    tally,
    visits: followers.reduce((sum, { follower }) => sum + follower.visits(), 0),
    events: followers.reduce((sum, { follower }) => sum + follower.events(), 0),
    agree: differences.length === 0,
    faults,
  };
  for (const { follower } of followers) follower.close();
  api.close();
  return report;

  /** Sweeps until nothing is wrong any more, or for as long as anything may take. @returns what is still wrong */
  async function settle(): Promise<{ differences: string[]; heldBack: number }> {
    const giveUpAt = performance.now() + QUIET_WITHIN_MS;
    const sweep = createSweep();
    let heldBack = 0;
    for (;;) {
      heldBack += await endHoldingBack(db);
      sweep();
      const checks = [
        ...records.map(({ record }) => record.differences(api)),
        tableDifferences(db, world),
        dueDifferences(db),
      ];
      const differences = (await Promise.allSettled(checks)).flatMap((check) =>
        check.status === "fulfilled" ? check.value : [String(check.reason)],
      );
      for (const { follower, record } of followers) {
        if (follower.seq() !== record.last()) {
          differences.push(`${record.name}: somebody is at ${follower.seq()} of ${record.last()}`);
        }
      }
      if (differences.length === 0 || performance.now() > giveUpAt) return { differences, heldBack };
      signal.throwIfAborted();
      await sleep(LOOK_AGAIN_MS);
    }
  }

  /** @returns what begins a sweep, unless one is under way: under Cloudflare it lasts for most of the minute */
  function createSweep(): () => void {
    let underWay = false;
    return () => {
      if (underWay) return;
      underWay = true;
      void fire(options.cronUrl, EVERY_MINUTE)
        .catch((error: unknown) => fault(`a sweep failed: ${String(error)}`))
        .finally(() => {
          underWay = false;
        });
    };
  }
}
