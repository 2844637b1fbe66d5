/**
 * The load comes from processes of its own, so that it waits for nothing but the answers.
 * @module
 */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

export type LoadProcess<Task, Result> = {
  /** Hands a task over. @throws what it failed with */
  run: (task: Task) => Promise<Result>;
  stop: () => void;
};

type Reply<Result> = { result: Result } | { error: string };

/** Starts `dev/bench/load/<name>.ts`; it ends with this program, however that ends. */
export function startLoad<Task extends object, Result>(name: string): LoadProcess<Task, Result> {
  const child: ChildProcess = fork(fileURLToPath(new URL(`${name}.ts`, import.meta.url)), {
    serialization: "advanced",
  });
  return {
    run: (task) =>
      new Promise((resolve, reject) => {
        const ended = () => reject(new Error(`the load process ${name} ended`));
        child.once("exit", ended);
        child.once("message", (reply: Reply<Result>) => {
          child.off("exit", ended);
          if ("error" in reply) reject(new Error(reply.error));
          else resolve(reply.result);
        });
        child.send(task);
      }),
    stop: () => child.kill(),
  };
}

/** The other side: does one task after the other. */
export function serveLoad<Task, Result>(perform: (task: Task) => Promise<Result>): void {
  const reply = (message: Reply<Result>) => process.send?.(message);
  process.on("message", (task: Task) => {
    void perform(task).then(
      (result) => reply({ result }),
      (error: unknown) => reply({ error: error instanceof Error ? error.message : String(error) }),
    );
  });
  process.on("disconnect", () => process.exit());
}
