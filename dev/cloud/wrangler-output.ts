/**
 * What wrangler prints, sorted: the Worker's log and everything that went wrong is shown, what is the same at each
 * start is not.
 * @module
 */
import { stripVTControlCharacters } from "node:util";

/** What a line tells about the state of the Worker. */
export type WorkerEvent = "building" | "broken build" | "crashed runtime";

/** Blocks that are left out as a whole: from the line that opens one to the line that closes it. */
const BLOCKS = [
  // The settings, in full.
  { opens: /^Your Worker has access to the following bindings:$/, closes: /^$/ },
  // `dev/cloud/cron.ts` fires the triggers.
  {
    opens: /WARNING.*Scheduled Workers are not automatically triggered during local development/,
    closes: /test-cron-triggers-locally$/,
  },
];
const NOISE =
  /^$|^Using secrets defined in |^\[custom build\] Running: |^\[wrangler:info\] (?:Ready on |(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) \S+ \d{3} |✨ Parsed \d+ valid header rule)|Logs were written to "/;
const EVENTS: [RegExp, WorkerEvent][] = [
  [/The Workers runtime crashed unexpectedly/, "crashed runtime"],
  [/ERROR.*Build failed with \d+ error/, "broken build"],
  [/^⎔ (?:Starting|Reloading) local server|restarting build\.\.\.$/, "building"],
];

/** Takes the lines in their order; `show` is false for noise. */
export function createWranglerOutput(): (line: string) => { show: boolean; event?: WorkerEvent } {
  let closes: RegExp | undefined;
  return (line) => {
    const text = stripVTControlCharacters(line).trim();
    if (closes) {
      if (closes.test(text)) closes = undefined;
      return { show: false };
    }
    const block = BLOCKS.find(({ opens }) => opens.test(text));
    if (block) {
      ({ closes } = block);
      return { show: false };
    }
    const event = EVENTS.find(([pattern]) => pattern.test(text))?.[1];
    return { show: !NOISE.test(text), ...(event && { event }) };
  };
}
