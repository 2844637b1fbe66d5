/**
 * Fast writing into MySQL or MariaDB: large multi-row inserts over several connections, ids reserved beforehand.
 * @module
 */
import { type Connection, createConnection, type ResultSetHeader, type RowDataPacket } from "mysql2/promise";
import { CloudProblem } from "../cloud/problem.ts";

/** Large enough that a statement's own cost vanishes, small enough for every server's `max_allowed_packet`. */
const CHUNK_MAX_CHARACTERS = 512 * 1024;
const CHUNK_MAX_ROWS = 4_000;
/** Ids in one `in (…)`. */
const INCREMENT_CHUNK_IDS = 5_000;

export type Table = "users" | "boards" | "posts" | "comments" | "likes";

export type Writer = {
  /** The first of `count` consecutive ids that nobody else is given from now on. Holds the table for some milliseconds. */
  reserveIds: (table: Table, count: number) => Promise<number>;
  /**
   * Inserts rows, each the text of one parenthesised tuple. Chunks are committed one by one, in no particular order.
   * @param duplicateFree the rows cannot violate a unique key but the primary one, so that the server need not look
   * @param onProgress is told how many rows are in
   */
  insert: (
    table: Table,
    columns: string,
    rows: Iterable<string>,
    options?: { duplicateFree?: boolean; onProgress?: (rows: number) => void },
  ) => Promise<number>;
  /** Adds to a column of many rows: `additions` maps an id to what is added. */
  increment: (table: Table, column: string, additions: Iterable<readonly [number, number]>) => Promise<void>;
  query: <Row>(sql: string) => Promise<Row[]>;
  close: () => Promise<void>;
};

/** Connects. @throws {CloudProblem} when there is no such database or it lets nobody in */
export async function openWriter(mysqlUrl: string, connections: number): Promise<Writer> {
  const open: Connection[] = [];
  try {
    while (open.length < connections) open.push(await connect(mysqlUrl));
  } catch (error) {
    for (const connection of open) connection.destroy();
    throw connectionProblem(mysqlUrl, error);
  }
  const [first] = open as [Connection];
  const run = createLanes(open);

  return {
    async reserveIds(table, count) {
      // The lock keeps a Worker from being given an id between the two statements.
      await first.query(`lock tables ${table} write`);
      try {
        const [[row]] = await first.query<RowDataPacket[]>(
          `select coalesce(max(id), 0) as last from ${table}`,
        );
        const last = Number(row?.["last"]);
        await first.query(`alter table ${table} auto_increment = ${last + count + 1}`);
        return last + 1;
      } finally {
        await first.query("unlock tables");
      }
    },

    async insert(table, columns, rows, { duplicateFree = false, onProgress } = {}) {
      const head = `insert into ${table} (${columns}) values `;
      let written = 0;
      const { push, finish } = run(async (connection, chunk: { text: string; rows: number }) => {
        await connection.query<ResultSetHeader>(head + chunk.text);
        written += chunk.rows;
        onProgress?.(written);
      });
      if (duplicateFree) await onAll(open, "set unique_checks = 0");
      try {
        let text = "";
        let count = 0;
        for (const row of rows) {
          text += count === 0 ? row : `,${row}`;
          count += 1;
          if (text.length < CHUNK_MAX_CHARACTERS && count < CHUNK_MAX_ROWS) continue;
          await push({ text, rows: count });
          text = "";
          count = 0;
        }
        if (count > 0) await push({ text, rows: count });
      } finally {
        await finish();
        if (duplicateFree) await onAll(open, "set unique_checks = 1");
      }
      return written;
    },

    async increment(table, column, additions) {
      const idsByAddition = new Map<number, number[]>();
      const { push, finish } = run((connection, { ids, addition }: { ids: number[]; addition: number }) =>
        connection.query(
          `update ${table} set ${column} = ${column} + ${addition} where id in (${ids.join(",")})`,
        ),
      );
      try {
        for (const [id, addition] of additions) {
          if (addition === 0) continue;
          const ids = idsByAddition.get(addition) ?? [];
          ids.push(id);
          if (ids.length >= INCREMENT_CHUNK_IDS) {
            await push({ ids, addition });
            idsByAddition.delete(addition);
          } else idsByAddition.set(addition, ids);
        }
        for (const [addition, ids] of idsByAddition) await push({ ids, addition });
      } finally {
        await finish();
      }
    },

    async query<Row>(sql: string) {
      const [rows] = await first.query<RowDataPacket[]>(sql);
      return rows as Row[];
    },

    close: async () => {
      await Promise.all(open.map((connection) => connection.end()));
    },
  };
}

type Lanes<Work> = {
  /** Waits for a free connection and starts the work on it. @throws what earlier work threw */
  push: (this: void, work: Work) => Promise<void>;
  /** Waits for all work. @throws what any of it threw */
  finish: (this: void) => Promise<void>;
};

/** Hands work to whichever connection is free. */
function createLanes(connections: readonly Connection[]) {
  return <Work>(perform: (connection: Connection, work: Work) => Promise<unknown>): Lanes<Work> => {
    const free = [...connections];
    const busy = new Set<Promise<void>>();
    let failure: { error: unknown } | undefined;
    const rethrow = (): void => {
      if (failure) throw failure.error;
    };
    async function performOn(connection: Connection, work: Work): Promise<void> {
      try {
        await perform(connection, work);
      } catch (error) {
        failure ??= { error };
      }
      free.push(connection);
    }
    return {
      async push(work) {
        while (free.length === 0) await Promise.race(busy);
        rethrow();
        const done = performOn(free.pop() as Connection, work);
        busy.add(done);
        void done.finally(() => busy.delete(done));
      },
      async finish() {
        await Promise.all(busy);
        rethrow();
      },
    };
  };
}

async function connect(mysqlUrl: string): Promise<Connection> {
  const connection = await createConnection({
    uri: mysqlUrl,
    charset: "utf8mb4",
    timezone: "Z",
    connectTimeout: 5_000,
    // Statements are complete: nothing in half a megabyte of text is a placeholder.
    queryFormat: (sql) => sql,
  });
  // Texts are escaped with backslashes; a value that does not fit must fail instead of being cut.
  await connection.query("set sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'");
  return connection;
}

async function onAll(connections: readonly Connection[], sql: string): Promise<void> {
  await Promise.all(connections.map((connection) => connection.query(sql)));
}

function connectionProblem(mysqlUrl: string, error: unknown): CloudProblem {
  const { host, pathname } = new URL(mysqlUrl);
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ER_ACCESS_DENIED_ERROR") {
    return new CloudProblem(`${host} refuses the user or the password`, "Correct the address");
  }
  if (code === "ER_BAD_DB_ERROR" || code === "ER_DBACCESS_DENIED_ERROR") {
    return new CloudProblem(
      `${host} has no database ${pathname.slice(1)} for this user`,
      "Correct the address",
    );
  }
  return new CloudProblem(
    `The database at ${host} cannot be reached (${code ?? message})`,
    "Start `npm run dev` first, or name another one with --mysql",
  );
}
