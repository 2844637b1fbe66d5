/**
 * What workerd is told of a Worker that it runs alone.
 * @module
 */
import { readFileSync } from "node:fs";
import { WRANGLER_CONFIG } from "../cloud/worker.ts";

const COMPATIBILITY_DATE =
  /^compatibility_date = "(.+)"$/m.exec(readFileSync(WRANGLER_CONFIG, "utf8"))?.[1] ?? "";

export type WorkerBundle = {
  name: string;
  /** `wrangler.toml` of the Worker, relative to the repository. */
  config: string;
  /** What the bundler calls the result. */
  module: string;
  /** Classes of Durable Objects by binding. */
  objects: Record<string, string>;
};

/** `cron.js`: calls the Worker's `scheduled`, which workerd leaves to another Worker, as wrangler does. */
export const CRON_WORKER = `export default {
  async fetch(request, { WORKER }) {
    const cron = new URL(request.url).searchParams.get("cron") ?? "";
    const { outcome } = await WORKER.scheduled({ cron, scheduledTime: new Date() });
    return new Response(outcome, { status: outcome === "ok" ? 200 : 500 });
  },
};
`;

/**
 * The configuration of workerd for a Worker, beside whose bundle it lies.
 * @param ports of the Worker, and where its triggers are fired, if anywhere
 * @param settings text bindings
 */
export function configuration(
  { module, objects }: WorkerBundle,
  { port, cronPort }: { port: number; cronPort?: number | undefined },
  settings: Record<string, string>,
): string {
  const text = (value: string) => JSON.stringify(value);
  const bindings = [
    ...Object.entries(objects).map(
      ([name, className]) => `(name = ${text(name)}, durableObjectNamespace = ${text(className)})`,
    ),
    ...Object.entries(settings).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`),
  ];
  const namespaces = Object.values(objects).map(
    (className) => `(className = ${text(className)}, uniqueKey = ${text(className)}, enableSql = true)`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = ["public", "private"])),
    (name = "objects", disk = (writable = true)),
    ${cronPort === undefined ? "" : '(name = "cron", worker = .cron),'}
  ],
  sockets = [
    (name = "http", address = "127.0.0.1:${port}", http = (), service = "main"),
    ${cronPort === undefined ? "" : `(name = "cron", address = "127.0.0.1:${cronPort}", http = (), service = "cron"),`}
  ],
);
const worker :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed ${text(module)})],
  compatibilityDate = ${text(COMPATIBILITY_DATE)},
  bindings = [${bindings.join(", ")}],
  durableObjectNamespaces = [${namespaces.join(", ")}],
  durableObjectStorage = (localDisk = "objects"),
);
const cron :Workerd.Worker = (
  modules = [(name = "cron", esModule = embed "cron.js")],
  compatibilityDate = ${text(COMPATIBILITY_DATE)},
  compatibilityFlags = ["service_binding_extra_handlers"],
  bindings = [(name = "WORKER", service = "main")],
);
`;
}
