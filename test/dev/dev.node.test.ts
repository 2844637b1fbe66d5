import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it, onTestFinished } from "vitest";
import { loopbackHosts } from "../../dev/cloud/ports.ts";
import { allGone, copyCheckout, groupMembers, startDev, until } from "./checkout.ts";

const ACCOUNT = { email: "ann@example.com", username: "ann", password: "correct horse" };

/** A stand-in for somebody's production: counts who comes. */
async function production() {
  let visits = 0;
  const server = createServer((_request, response) => {
    visits += 1;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  return {
    settings: {
      DATABASE_URL: url.replace("//", "//user:password@"),
      UPSTASH_REDIS_REST_URL: url,
      UPSTASH_REDIS_REST_TOKEN: "production",
      QSTASH_URL: url,
      QSTASH_TOKEN: "production",
      PUBLIC_URL: "https://forum.example.com",
      JWT_KEYS: "prod:0123456789012345678901234567890123456789",
      CLOUDFLARE_ENV: "staging",
      CLOUDFLARE_INCLUDE_PROCESS_ENV: "true",
    },
    visits: () => visits,
  };
}

async function post(url: string, body: unknown): Promise<{ status: number; json: Record<string, unknown> }> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

describe("npm run dev", () => {
  it("serves once it says ready, with local settings alone, and keeps its data through kill -9, and names a part that dies", async ({
    expect,
  }) => {
    const checkout = copyCheckout();
    const foreign = await production();
    const lines = Object.entries(foreign.settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join("");
    writeFileSync(checkout.file(".dev.vars"), lines);
    writeFileSync(checkout.file(".env"), lines);
    writeFileSync(checkout.file(".dev.vars.staging"), lines);

    const dev = startDev(checkout, { env: { ...foreign.settings, RATE_LIMIT_SCALE: "0" } });
    const [, url = ""] = await dev.says(/^ready (\S+)$/m);
    const port = new URL(url).port;
    for (const host of ["localhost", ...(await loopbackHosts())]) {
      const name = host.includes(":") ? `[${host}]` : host;
      const health = await fetch(`http://${name}:${port}/api/health`);
      expect(await health.json(), host).toMatchObject({ status: "ok" });
    }
    expect(dev.output()).toMatch(/^Demo admin +admin@liveforum\.local +liveforum-admin$/m);
    expect(dev.output()).not.toContain("env.DATABASE_URL");

    const registered = await post(`${url}/api/auth/register`, ACCOUNT);
    expect(registered.status).toBe(201);
    const token = String(registered.json["accessToken"]);
    const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as unknown;
    expect(claims).toMatchObject({ iss: url });

    const second = startDev(checkout);
    expect(await second.exited).toBe(1);
    expect(second.output()).toContain(
      `A local cloud is already running on ${checkout.file(".local/dev")} (${url})`,
    );

    const parts = checkout.running();
    expect(Object.keys(parts)).toHaveLength(6);
    process.kill(dev.pid, "SIGKILL");
    await dev.exited;
    await allGone(Object.values(parts));

    const again = startDev(checkout, { env: foreign.settings });
    const [, newUrl = ""] = await again.says(/^ready (\S+)$/m);
    const { email, password } = ACCOUNT;
    expect((await post(`${newUrl}/api/auth/login`, { email, password })).status).toBe(200);
    expect(foreign.visits()).toBe(0);

    const newParts = checkout.running();
    process.kill(newParts["QStash gateway"]?.pid ?? 0, "SIGKILL");
    expect(await again.exited).toBe(1);
    expect(again.output()).toMatch(
      /^\[dev\] QStash gateway was killed by SIGKILL\. Everything else was stopped/m,
    );
    await allGone(Object.values(newParts));
  });

  it("waits while the code does not build, reloads changes, and ends when the runtime crashes", async ({
    expect,
  }) => {
    const checkout = copyCheckout();
    const app = checkout.file("src/health/routes.ts");
    const good = readFileSync(app, "utf8");
    writeFileSync(app, `${good}\nconst broken = ;\n`);
    const dev = startDev(checkout);
    await dev.says(/Unexpected ";"/);
    await dev.says(/^\[dev\] the Worker does not build/m);
    expect(dev.output()).not.toMatch(/^ready/m);
    writeFileSync(app, good);
    const [, url = ""] = await dev.says(/^ready (\S+)$/m);

    writeFileSync(
      app,
      good.replace('c.header("cache-control"', 'c.header("x-changed", "yes");\n  c.header("cache-control"'),
    );
    await until(
      async () => (await fetch(`${url}/api/health`)).headers.get("x-changed") === "yes",
      () => `the change to be served:\n${dev.output()}`,
    );
    appendFileSync(app, "\nconsole.error(new Error('loud'));\n");
    await dev.says(/Error: loud\n\s+at /);

    const parts = checkout.running();
    const [runtime] = groupMembers(parts["The Worker"]?.pid ?? 0, "workerd");
    process.kill(runtime ?? 0, "SIGKILL");
    expect(await dev.exited).toBe(1);
    expect(dev.output()).toMatch(/^\[dev\] The Worker's runtime \(workerd\) crashed\. /m);
    await allGone(Object.values(parts));
  });

  it("stops what it has started when it is told to stop, at any moment", async ({ expect }) => {
    const checkout = copyCheckout();
    const dev = startDev(checkout);
    await until(
      () => Object.keys(checkout.running()).length > 1,
      () => `the servers:\n${dev.output()}`,
    );
    const parts = checkout.running();
    // As npm does it: once from the terminal, once passed on.
    process.kill(dev.pid, "SIGINT");
    process.kill(dev.pid, "SIGINT");
    expect(await dev.exited).toBe(0);
    expect(dev.output()).toContain("[dev] stopping (again to force)");
    await allGone(Object.values(parts));
  });

  it("refuses flags and settings that make no sense, before it starts anything", async ({ expect }) => {
    const checkout = copyCheckout();
    const flag = startDev(checkout, { args: ["--rest"] });
    const port = startDev(checkout, { env: { PORT: "http" } });
    expect(await flag.exited).toBe(1);
    expect(flag.output()).toBe(
      "[dev] Unknown option '--rest'. `npm run dev -- --help` lists what there is.\n",
    );
    expect(await port.exited).toBe(1);
    expect(port.output()).toBe(
      "[dev] PORT=http is not a port. Use a number from 0 (any free port) to 65535.\n",
    );
    expect(checkout.running()).toEqual({});
  });
});
