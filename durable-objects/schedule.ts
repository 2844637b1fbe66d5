/**
 * Named due times over the one alarm that an object has. A time survives sleep and eviction.
 * @module
 */

export class Schedule {
  readonly #ctx: DurableObjectState;

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
    ctx.storage.sql.exec("create table if not exists schedule (name text primary key, due integer not null)");
  }

  /** Makes `name` due at `due` (milliseconds since the epoch), or earlier if it is already. One or two rows. */
  atLatest(name: string, due: number): void {
    const at = Math.ceil(due);
    const first = this.#first();
    const { rowsWritten } = this.#ctx.storage.sql.exec(
      "insert into schedule (name, due) values (?, ?) on conflict (name) do update set due = excluded.due where excluded.due < due",
      name,
      at,
    );
    if (rowsWritten > 0 && (first === null || at < first)) this.#arm(at);
    else this.revive();
  }

  /** An alarm that failed six times is not called again (a rule of the platform): what is overdue calls for another. */
  revive(): void {
    const first = this.#first();
    if (first !== null && first <= Date.now()) this.#arm(first);
  }

  /** Whether `name` is to come. */
  has(name: string): boolean {
    return this.#ctx.storage.sql.exec("select 1 from schedule where name = ?", name).toArray().length > 0;
  }

  /** Takes what is due, the longest overdue first. */
  take(now: number): string[] {
    return this.#ctx.storage.sql
      .exec<{ name: string; due: number }>("delete from schedule where due <= ? returning name, due", now)
      .toArray()
      .sort((a, b) => a.due - b.due)
      .map((row) => row.name);
  }

  /** After an alarm: sets the next. */
  rearm(): void {
    const first = this.#first();
    if (first !== null) this.#arm(first);
  }

  #first(): number | null {
    return this.#ctx.storage.sql
      .exec<{ first: number | null }>("select min(due) as first from schedule")
      .one().first;
  }

  #arm(at: number): void {
    this.#ctx.waitUntil(this.#ctx.storage.setAlarm(at));
  }
}
