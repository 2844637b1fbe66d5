import { it } from "vitest";
import { openDatabase, type Database } from "../../dev/gateways/qstash/database.ts";
import { createDispatcher } from "../../dev/gateways/qstash/dispatcher.ts";
import { createLanes } from "../../dev/gateways/qstash/lanes.ts";
import { createPublisher } from "../../dev/gateways/qstash/publisher.ts";
import { createSchedules } from "../../dev/gateways/qstash/schedules.ts";
import { createSettlement } from "../../dev/gateways/qstash/settlement.ts";
import { createSigningKeys } from "../../dev/gateways/qstash/signing.ts";
import { destination } from "./qstash-support.ts";

/** The database, and every statement that was run on it. */
function recording(db: Database): { recorded: Database; statements: Set<string> } {
  const statements = new Set<string>();
  const seen = (sql: string) => {
    statements.add(sql);
    return sql;
  };
  const recorded: Database = {
    ...db,
    all: (sql, ...values) => db.all(seen(sql), ...values),
    get: (sql, ...values) => db.get(seen(sql), ...values),
    run: (sql, ...values) => db.run(seen(sql), ...values),
  };
  return { recorded, statements };
}

it("the way of a message costs the same whatever else is stored: no statement reads a table from end to end", async ({
  expect,
}) => {
  const db = openDatabase(":memory:");
  const { recorded, statements } = recording(db);
  const wake = () => dispatcher.wake();
  const keys = createSigningKeys(recorded, { current: "a", next: "b" });
  const lanes = createLanes({ db: recorded, speed: 1, wake });
  const publisher = createPublisher({
    db: recorded,
    lanes,
    speed: 1,
    deduplicationWindowMs: 60_000,
    maxMessageBytes: 1000,
    wake,
  });
  const schedules = createSchedules({ db: recorded, publisher, speed: 1, wake });
  const settlement = createSettlement({ db: recorded, lanes, publisher, speed: 1 });
  const dispatcher = createDispatcher({ db: recorded, lanes, schedules, settlement, keys, maxInFlight: 5 });

  const target = destination("plans");
  await target.answers({ status: 500, remaining: 1 });
  const dead = destination("plans-dead");
  await dead.answers({ status: 500 });
  const callback = destination("plans-callback");
  const flowControl = { key: "k", parallelism: 1, rate: 100, periodSeconds: 1 };
  const common = { header: {}, body: new Uint8Array(), callerIp: "127.0.0.1" };
  for (const deduplicationId of ["1", "2", "3"]) {
    const options = { deduplicationId, flowControl, callback: callback.url, retries: 1, retryDelay: "1" };
    publisher.publish({ ...common, destination: target.url, options, queueName: "q" });
    const failing = { retries: 0, failureCallback: callback.url, flowControl };
    publisher.publish({ ...common, destination: dead.url, options: failing });
  }
  // One retry, and a report of each attempt or failure.
  await target.received(4);
  await dead.received(3);
  await callback.received(7);
  await dispatcher.close();

  const plans = [...statements].map((sql) => ({
    sql,
    steps: db.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).map(({ detail }) => detail),
  }));
  db.close();
  // A scan of an index is one of its first entries, or of an index of unfinished messages only.
  const scans = plans.filter(({ steps }) =>
    steps.some((step) => /^SCAN (?!.*(USING|VIRTUAL|CONSTANT))/.test(step)),
  );
  expect(scans).toEqual([]);
  expect(plans.length).toBeGreaterThan(20);
});
