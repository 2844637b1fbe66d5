/** The PlanetScale gateway when the database goes away, and when the gateway itself does. */
import { once } from "node:events";
import { connect as connectSocket, createServer, type AddressInfo, type Socket } from "node:net";
import { connect } from "@planetscale/database";
import { describe, it, onTestFinished } from "vitest";
import { startPlanetscaleGateway } from "../../dev/gateways/planetscale/gateway.ts";
import {
  database,
  direct,
  failureOf,
  insert,
  ownTable,
  running,
  startOwnGateway,
} from "../support/node/planetscale.ts";
import { waitFor } from "../support/patience.ts";

const table = ownTable();

/** A stand-in for the database's address that can vanish and come back. */
async function startProxy(): Promise<{
  port: number;
  stop: () => Promise<void>;
  restart: () => Promise<void>;
}> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const upstream = connectSocket(database.port, database.host);
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      sockets.add(one);
      one.on("error", () => {}).on("close", () => other.destroy());
      one.pipe(other);
    }
  });
  const listen = async (port: number): Promise<void> => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  };
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    await once(server, "close");
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  onTestFinished(stop);
  return { port, stop, restart: () => listen(port) };
}

describe("when the database is gone", () => {
  it("every statement fails at once, and all work again when it is back", async ({ expect }) => {
    const proxy = await startProxy();
    const { client, url } = await startOwnGateway({ mysql: { ...database, port: proxy.port } });
    const all = <T>(run: () => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: 20 }, run));
    await all(() => client.execute("SELECT SLEEP(0.01)"));
    const open = connect({ url });
    await open.execute("BEGIN");

    await proxy.stop();
    const failures = await all(() => failureOf(client.execute("SELECT 1")));
    expect(new Set(failures.map(({ code, status }) => `${status} ${code}`))).toEqual(
      new Set(["400 UNAVAILABLE"]),
    );
    expect(failures.at(-1)?.message).toContain(
      `code = Unavailable desc = Can't connect to MySQL server on '127.0.0.1:${proxy.port}' (ECONNREFUSED) (errno 2003)`,
    );
    expect((await failureOf(client.transaction((tx) => tx.execute("SELECT 1")))).code).toBe("UNAVAILABLE");

    await proxy.restart();
    await all(() => client.execute("SELECT 1"));
    expect(["UNAVAILABLE", "ABORTED"]).toContain((await failureOf(open.execute("COMMIT"))).code);
    await open.execute("ROLLBACK");
  });

  it("a restart of the database while nothing runs goes unnoticed", async ({ expect }) => {
    const proxy = await startProxy();
    const { client, connections } = await startOwnGateway({ mysql: { ...database, port: proxy.port } });
    const run = (): Promise<unknown> =>
      Promise.all(Array.from({ length: 20 }, () => client.execute("SELECT 1")));
    await run();
    await proxy.stop();
    await waitFor(async () => expect(await connections()).toEqual({ open: 0, idle: 0, transactions: 0 }));
    await proxy.restart();
    await run();
  });

  it("a statement that is running fails", async ({ expect }) => {
    const proxy = await startProxy();
    const { client } = await startOwnGateway({ mysql: { ...database, port: proxy.port } });
    const mark = crypto.randomUUID();
    const attempt = failureOf(client.execute(`SELECT SLEEP(60) /* ${mark} */`));
    await waitFor(async () => expect(await running(mark)).toBe(1));
    await proxy.stop();
    expect((await attempt).code).toBe("UNAVAILABLE");
  });

  it("those that wait for a connection do not wait longer", async ({ expect }) => {
    const proxy = await startProxy();
    const { client, url } = await startOwnGateway({
      mysql: { ...database, port: proxy.port },
      maxConnections: 1,
    });
    const open = connect({ url });
    await open.execute("BEGIN");
    const waiting = failureOf(client.execute("SELECT 1"));
    await client.execute("ROLLBACK");
    await proxy.stop();
    expect((await waiting).code).toBe("UNAVAILABLE");
  });

  it("a wrong password for it is said as what it is", async ({ expect }) => {
    const { client } = await startOwnGateway({ mysql: { ...database, password: "wrong" } });
    const failure = await failureOf(client.execute("SELECT 1"));
    expect(failure.code).toBe("PERMISSION_DENIED");
    expect(failure.message).toContain("(errno 1045) (sqlstate 28000)");
  });
});

describe("closing", () => {
  it("lets a running statement finish, and rolls open transactions back", async ({ expect }) => {
    const { gateway, client, url, connections } = await startOwnGateway();
    const key = crypto.randomUUID();
    const connection = connect({ url });
    await connection.execute("BEGIN");
    await connection.execute(insert(key));
    const running = client.execute("SELECT SLEEP(0.3) AS v");
    await waitFor(async () => expect(await connections()).toMatchObject({ open: 2, idle: 0 }));
    await gateway.close();
    expect((await running).rows).toEqual([{ v: "0" }]);
    // Waits for the lock of an open transaction.
    await direct.query(`DELETE FROM ${table} WHERE k = '${key}'`);
    await expect(client.execute("SELECT 1")).rejects.toThrow();
  });

  it.for(["", "p@ss", "p%40ss", "a:b"])(
    "credentials that no client can send (%s) are refused",
    async (password, { expect }) => {
      await expect(
        startPlanetscaleGateway({ port: 0, mysql: database, username: "user", password }),
      ).rejects.toThrow(TypeError);
    },
  );
});
