/**
 * Run by `data-folder.ts` beside each owner of a data folder: `watchdog.ts <folder> <owner's pid> [--remove]`.
 * Its standard input ends when the owner is gone, however it went. Unless the owner said goodbye first, the
 * processes it had started are ended and, with `--remove`, the folder is deleted.
 * @module
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { endProcesses, survivors } from "./processes.ts";

const [folder, owner, option] = process.argv.slice(2);
let goodbye = "";
process.stdin.setEncoding("utf8");
for await (const chunk of process.stdin as AsyncIterable<string>) goodbye += chunk;

if (folder !== undefined && goodbye === "") {
  // Only what this owner wrote down: the next one may own the folder by now, and ends what it finds itself.
  await endProcesses(survivors(join(folder, "processes.json"), Number(owner)));
  if (option === "--remove") rmSync(folder, { recursive: true, force: true });
}
