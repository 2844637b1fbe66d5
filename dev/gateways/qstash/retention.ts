/**
 * Forgetting: what is over is kept for a week, so that the data file of a development machine does not grow for ever.
 * @module
 */
import type { Database } from "./database.ts";

const RETENTION_MS = 7 * 86_400_000;

const SWEEP_INTERVAL_MS = 10 * 60_000;

/** Rows deleted in one go, to keep each transaction short. */
const SWEEP_MAX_ROWS = 5000;

/** Sweeps now and every ten minutes until the returned function is called. */
export function startRetention(db: Database): () => void {
  sweep(db, Date.now());
  const timer = setInterval(() => sweep(db, Date.now()), SWEEP_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Log entries and dead letters age by themselves; a message goes when neither refers to it any more. */
function sweep(db: Database, now: number): void {
  const before = now - RETENTION_MS;
  db.transaction(() => {
    db.run("DELETE FROM deduplications WHERE expires_at <= ?", now);
    db.run("DELETE FROM dead_letters WHERE created_at < ?", before);
    db.run(
      "DELETE FROM logs WHERE seq IN (SELECT seq FROM logs WHERE time < ? ORDER BY time LIMIT ?)",
      before,
      SWEEP_MAX_ROWS,
    );
    db.run(
      `DELETE FROM messages WHERE seq IN (
         SELECT m.seq FROM messages m WHERE m.finished_at < ?
           AND NOT EXISTS (SELECT 1 FROM logs l WHERE l.message = m.seq)
           AND NOT EXISTS (SELECT 1 FROM dead_letters d WHERE d.message = m.seq)
         ORDER BY m.finished_at LIMIT ?)`,
      before,
      SWEEP_MAX_ROWS,
    );
  });
}
