/** How often a target is told of. */
import { describe, it } from "vitest";
import { createRandom } from "../dev/seed/random.ts";
import {
  type DueNotification,
  FRAME_WINDOW_MS,
  FRAMES_MAX,
  type Inbox,
  planRound,
} from "../src/notifications/round.ts";

const START = Date.UTC(2026, 10, 22, 6);
const SECOND_MS = 1_000;

function row(changes: Partial<DueNotification> = {}): DueNotification {
  return {
    id: 7,
    type: "like",
    targetType: "post",
    targetId: 1,
    postId: 1,
    actorId: 2,
    actorCount: 0,
    isRead: false,
    withdrawnAt: new Date(START),
    revision: 1,
    announcedRevision: null,
    frames: "",
    readUpTo: null,
    touched: 1,
    effectsDueAt: new Date(START),
    createdAt: new Date(START),
    people: 1,
    lastActor: { id: 2, username: "mina" },
    ...changes,
  };
}

function inbox(...rows: DueNotification[]): Inbox {
  return { leasedUntil: 1, wishes: 1, unreadCount: 0, rows };
}

/** The row after a round, with what was new to the room: it knows an event by its key. */
function live(before: DueNotification, now: number, known = new Set<string>()) {
  const { changes, events: said, settled } = planRound(inbox(before), now);
  const events = said.filter(({ key }) => !known.has(key));
  for (const { key } of said) known.add(key);
  const [done] = settled;
  const after: DueNotification = {
    ...before,
    ...changes[0]?.to,
    announcedRevision: done?.announcedRevision ?? null,
  };
  return { after, events, dueAt: done?.dueAt ?? null };
}

describe("frames about one target", () => {
  it("three go at once, the next ones later, and the last one is always told", ({ expect }) => {
    const told: number[] = [];
    const known = new Set<string>();
    let current = row();
    for (let second = 0; second <= 300; second += 1) {
      // Somebody new every second for a minute, then quiet, and a sweep.
      const people = Math.min(second + 1, 60);
      const { after, events } = live({ ...current, people }, START + second * SECOND_MS, known);
      if (events.length > 0) told.push(second);
      current = after;
    }
    expect(told).toEqual([0, 1, 2, 32, 152]);
    expect(current).toMatchObject({ actorCount: 60, announcedRevision: current.revision });
  });

  it("are never more than five in ten minutes, whatever happens", ({ expect }) => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const random = createRandom(seed);
      const told: number[] = [];
      const known = new Set<string>();
      let current = row();
      let now = START;
      for (let step = 0; step < 400; step += 1) {
        now += random.below(random.pick([50, 5_000, 90_000]));
        const { after, events } = live(
          { ...current, people: random.below(4), lastActor: { id: random.below(3), username: "u" } },
          now,
          known,
        );
        for (const _ of events) told.push(now);
        current = after;
      }
      for (const at of told) {
        const within = told.filter((other) => other >= at && other < at + FRAME_WINDOW_MS).length;
        expect([seed, within <= FRAMES_MAX]).toEqual([seed, true]);
      }
    }
  });

  it("repeat nothing that stayed, and end on every screen with what there is, whenever it read by REST", ({
    expect,
  }) => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const random = createRandom(seed);
      const known = new Set<string>();
      let current = row();
      /** What REST shows: the row. */
      const read = () =>
        current.withdrawnAt === null ? `${current.actorId} of ${current.actorCount}` : "nothing";
      /** The first screen only listens, the others read by REST at some time and listen from then on. */
      const screens = ["nothing"];
      let changed = false;

      const write = (from: DueNotification, changes: Partial<DueNotification>) => {
        const before = read();
        current = { ...from, ...changes };
        changed ||= read() !== before;
      };
      const hear = (now: number) => {
        const { after, events } = live(current, now, known);
        write(after, {});
        for (const { type, data } of events) {
          const { actor = null, actorCount = 0 } = type === "notify_user" ? data.notification : {};
          const told = type === "notify_user" ? `${actor?.id} of ${actorCount}` : "nothing";
          if (!changed) expect([seed, told]).not.toEqual([seed, screens[0]]);
          screens.fill(told);
          changed = false;
        }
      };

      let now = START;
      for (let step = 0; step < 200; step += 1) {
        now += random.below(20_000);
        const people = random.below(12) === 0 ? 0 : 1 + random.below(2);
        current = { ...current, people, lastActor: { id: 1 + random.below(2), username: "u" } };
        // One in four Workers dies before it has said what it wrote down.
        if (random.below(4) === 0) write(current, planRound(inbox(current), now).changes[0]?.to ?? {});
        else hear(now);
        if (random.below(10) === 0) screens.push(read());
      }
      hear(now + FRAME_WINDOW_MS);
      const { people, lastActor } = current;
      const wanted = people === 0 ? "nothing" : `${lastActor?.id} of ${people}`;
      expect([seed, ...screens]).toEqual([seed, ...screens.map(() => wanted)]);
    }
  });

  it("that are held back name the time when they may go", ({ expect }) => {
    const frames = [3, 2, 1].map((age) => START - (4 - age) * SECOND_MS).join(",");
    const { dueAt, events } = live(row({ frames, people: 5 }), START);
    expect(events).toEqual([]);
    expect(dueAt).toEqual(new Date(START + 29 * SECOND_MS));
    const full = [1, 2, 3, 4, 5].map((age) => START - age * SECOND_MS).join(",");
    expect(live(row({ frames: full }), START).dueAt).toEqual(
      new Date(START - 5 * SECOND_MS + FRAME_WINDOW_MS),
    );
  });
});

describe("a round", () => {
  it("says again what was being said, under the same key", ({ expect }) => {
    const first = planRound(inbox(row()), START);
    const claimed = row({ ...first.changes[0]?.to });
    const second = planRound(inbox(claimed), START + 1);
    expect(second.changes).toEqual([]);
    expect(second.events.map(({ key }) => key)).toEqual(first.events.map(({ key }) => key));
  });

  it("says nothing of what came and went unheard", ({ expect }) => {
    expect(planRound(inbox(row({ people: 0, lastActor: null })), START)).toMatchObject({
      changes: [],
      events: [],
    });
  });

  it("tells the count when something is taken back that only the count told of", ({ expect }) => {
    const full = [1, 2, 3, 4, 5].map((age) => START - age * SECOND_MS).join(",");
    const held = live(row({ frames: full }), START).after;
    expect(held).toMatchObject({ withdrawnAt: null, announcedRevision: null });
    const gone = live({ ...held, people: 0, lastActor: null }, START + 1);
    expect([gone.events, gone.after.announcedRevision]).toEqual([[], 0]);
    const later = live(gone.after, START + FRAME_WINDOW_MS);
    expect(later.events).toMatchObject([{ type: "notification_read", data: { ids: [7] } }]);
    expect(later.after.announcedRevision).toBeNull();
  });

  it("counts what it shows and what it takes back", ({ expect }) => {
    const shown = row({ id: 1 });
    const takenBack = row({ id: 2, withdrawnAt: null, announcedRevision: 1, people: 0, lastActor: null });
    const other = row({ id: 3 });
    const { events } = planRound({ ...inbox(shown, takenBack, other), unreadCount: 5 }, START);
    expect(events.map(({ type }) => type)).toEqual(["notify_user", "notification_read", "notify_user"]);
    expect(events.map(({ data }) => data.unreadCount)).toEqual([6, 6, 6]);
  });
});
