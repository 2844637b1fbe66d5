/**
 * QStash on one's own machine: its HTTP API in front of a delivery engine and one SQLite file.
 * @module
 */
import { startGateway, type Gateway } from "../server.ts";
import { createMessages } from "./cancellation.ts";
import { openDatabase } from "./database.ts";
import { createDeadLetters } from "./dead-letters.ts";
import { createDispatcher } from "./dispatcher.ts";
import { createFlowControl } from "./flow-control.ts";
import { createLanes } from "./lanes.ts";
import { problemReply } from "./problem.ts";
import { createPublisher } from "./publisher.ts";
import { createQueues } from "./queues.ts";
import { startRetention } from "./retention.ts";
import { createRouter } from "./routes.ts";
import { createSchedules } from "./schedules.ts";
import { createSettlement } from "./settlement.ts";
import { createSigningKeys } from "./signing.ts";
import { createUrlGroups } from "./url-groups.ts";

export type QstashGatewayOptions = {
  /** 0 lets the system choose. */
  port: number;
  /** Created with its folder when missing; in use by one gateway at a time. `:memory:` keeps nothing. */
  dataFile: string;
  token: string;
  currentSigningKey: string;
  nextSigningKey: string;
  /**
   * From 0.01. Divides every wait: delays, retries, periods of a rate, the time between two firings of a schedule. Timeouts,
   * the deduplication window and the life of a signature stay as they are. @default 1
   */
  speed?: number;
  /** Deliveries in flight at once. @default 50 */
  maxInFlight?: number;
  /** @default 600000, ten minutes */
  deduplicationWindowMs?: number;
};

/** Slower, and the due time of a delayed message would outgrow the integers. */
const SPEED_MIN = 0.01;

const DEFAULT_MAX_IN_FLIGHT = 50;

const DEFAULT_DEDUPLICATION_WINDOW_MS = 10 * 60_000;

const MESSAGE_MAX_BYTES = 1024 * 1024;

/** A batch holds many messages in one body. */
const BODY_MAX_BYTES = 20 * MESSAGE_MAX_BYTES;

/**
 * Starts the gateway and takes up what an earlier run with the same data file left undelivered.
 * `PUT /_local/keys/reset` undoes every rotation of the signing keys.
 * @throws when the port or the data file is taken, or the speed is out of range.
 */
export async function startQstashGateway(options: QstashGatewayOptions): Promise<Gateway> {
  const { speed = 1, maxInFlight = DEFAULT_MAX_IN_FLIGHT, token } = options;
  if (!(speed >= SPEED_MIN)) throw new RangeError(`speed must be a number from ${SPEED_MIN}`);
  const db = openDatabase(options.dataFile);
  const wake = () => dispatcher.wake();
  const keys = createSigningKeys(db, { current: options.currentSigningKey, next: options.nextSigningKey });
  const lanes = createLanes({ db, speed, wake });
  const publisher = createPublisher({
    db,
    lanes,
    speed,
    deduplicationWindowMs: options.deduplicationWindowMs ?? DEFAULT_DEDUPLICATION_WINDOW_MS,
    maxMessageBytes: MESSAGE_MAX_BYTES,
    wake,
  });
  const schedules = createSchedules({ db, publisher, speed, wake });
  const settlement = createSettlement({ db, lanes, publisher, speed });
  const dispatcher = createDispatcher({ db, lanes, schedules, settlement, keys, maxInFlight });
  const route = createRouter({
    db,
    token,
    keys,
    publisher,
    schedules,
    messages: createMessages({ db, lanes }),
    queues: createQueues({ db, lanes }),
    urlGroups: createUrlGroups({ db }),
    deadLetters: createDeadLetters({ db, publisher }),
    flowControl: createFlowControl({ db, lanes, speed, globalMax: maxInFlight }),
  });

  let server: Gateway;
  try {
    server = await startGateway({
      name: "qstash",
      port: options.port,
      maxBodyBytes: BODY_MAX_BYTES,
      problem: problemReply,
      handle: async (request) => route(request),
      control: { "PUT /_local/keys/reset": () => keys.reset() },
    });
  } catch (error) {
    db.close();
    throw error;
  }
  const stopRetention = startRetention(db);
  dispatcher.resume();

  return {
    ...server,
    close: async () => {
      stopRetention();
      await server.close();
      await dispatcher.close();
      db.close();
    },
  };
}
