import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { BalancedSequencer } from "./test/support/node/balanced-sequencer.ts";
import { LogKeeper } from "./test/support/node/log-keeper.ts";

export default defineConfig({
  test: {
    globalSetup: "./test/support/node/global-setup.ts",
    reporters: [
      "default",
      new LogKeeper(),
      ...(process.env.CI
        ? [["json", { outputFile: process.env.TEST_REPORT ?? ".local/test-report.json" }] as ["json", object]]
        : []),
    ],
    silent: "passed-only",
    // Files share one cloud, and some count its connections or switch parts of it off. `.ci/run` has a cloud for each shard.
    maxWorkers: 1,
    // The scan for leaks comes at the end; after this the process would go, and the scan with it.
    teardownTimeout: 300_000,
    sequence: { sequencer: BalancedSequencer },
    // A second, which is the default, is not enough on a busy machine.
    expect: { poll: { timeout: 20_000, interval: 20 } },
    projects: [
      {
        extends: true,
        plugins: [
          cloudflareTest(({ inject }) => {
            const { settings } = inject("cloud");
            return { wrangler: { configPath: "./wrangler.toml" }, miniflare: { bindings: settings } };
          }),
        ],
        test: {
          name: "worker",
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.node.test.ts"],
          setupFiles: ["test/support/before-each-file.ts"],
          // One runtime for all files, as one isolate serves all requests: starting one for each took a third of the time.
          isolate: false,
          // Bounds what hangs, not what is slow: the machine may be busy with other things.
          testTimeout: 600_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: "node",
          include: ["test/**/*.node.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
