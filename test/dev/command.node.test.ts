/** With which code a command ends, and what it prints then. */
import { spawnSync } from "node:child_process";
import { it } from "vitest";

const [command, problem, stopSignal] = ["command", "problem", "stop-signal"].map(
  (name) => new URL(`../../dev/cloud/${name}.ts`, import.meta.url).href,
);

/** A program whose command has this body. `stopped` is a signal, and `stop()` does what Ctrl-C does. */
function run(body: string, options = ""): { code: number | null; printed: string; complained: string } {
  const program = `
    import { runCommand } from ${JSON.stringify(command)};
    import { CloudProblem } from ${JSON.stringify(problem)};
    import { stopSignal } from ${JSON.stringify(stopSignal)};
    const stopped = stopSignal(() => {});
    const stop = async () => {
      process.kill(process.pid, "SIGINT");
      while (!stopped.aborted) await new Promise(setImmediate);
    };
    await runCommand({ name: "test", ${options} async main() { ${body} } });`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
  });
  return { code: status, printed: stdout, complained: stderr };
}

it.for([
  { title: "0 when all went well", body: "return true;", code: 0 },
  { title: "1 when not", body: "return false;", code: 1 },
  {
    title: "130 when it was stopped before its end",
    body: "await stop(); stopped.throwIfAborted();",
    code: 130,
  },
  {
    title: "0 when being stopped is its end",
    options: "endless: true,",
    body: "await stop(); stopped.throwIfAborted();",
    code: 0,
  },
  {
    title: "0 when it was stopped and got to its end all the same",
    body: "await stop(); return true;",
    code: 0,
  },
  {
    title: "1 when not, being stopped its end or not",
    options: "endless: true,",
    body: "return false;",
    code: 1,
  },
])("a command ends with $title", ({ body, options, code }, { expect }) => {
  // It ends although something is still open.
  expect(run(`setInterval(() => {}, 1_000); ${body}`, options)).toEqual({
    code,
    printed: "",
    complained: "",
  });
});

it("a problem is told in one line behind the part's last ones, without a stack", ({ expect }) => {
  const { code, complained } = run(`throw new CloudProblem("It is full", "Empty it", ["first", "last"]);`);
  expect([code, complained]).toEqual([1, "  | first\n  | last\n[test] It is full. Empty it.\n"]);
});

it("anything else is told with its stack", ({ expect }) => {
  const { code, complained } = run(`throw new TypeError("a bug");`);
  expect(code).toBe(1);
  expect(complained).toMatch(/TypeError: a bug\n\s+at /);
});
