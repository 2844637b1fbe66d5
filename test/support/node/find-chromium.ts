/**
 * The browser of the suite: that of this machine, else installed with apt.
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { aptInstall } from "../../../dev/cloud/apt.ts";
import { searchFolders } from "../../../dev/cloud/find-servers.ts";
import { type Machine, thisMachine } from "../../../dev/cloud/machine.ts";
import { CloudProblem } from "../../../dev/cloud/problem.ts";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
const APPLICATIONS = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];
/** Ubuntu's package of that name is a stub for a snap, and far older. */
const PACKAGES = [{ name: "chromium", oldest: [100, 0] }] as const;

/** Why tests are skipped on a machine that has no browser and no way to one. */
export const NO_CHROMIUM =
  "There is no Chromium on this machine, and none can be installed by itself. Install Chromium or Chrome, or name one with LIVEFORUM_CHROMIUM=/path/to/it";

/**
 * The path of Chromium or Chrome; `LIVEFORUM_CHROMIUM` names another. Installing takes a minute or two. Undefined where
 * there is none and apt is not there, may not be used, or has no usable one.
 * @throws {CloudProblem} when installing fails
 */
export async function ensureChromium(
  machine: Machine = thisMachine((line) => console.log(`[chromium] ${line}`)),
  find: () => string | undefined = findChromium,
): Promise<string | undefined> {
  const found = find();
  if (found !== undefined) return found;
  const hasApt = machine.platform === "linux" && (await machine.run("apt-get", ["--version"])).ok;
  if (!hasApt) return undefined;
  const outcome = await aptInstall(machine, [PACKAGES], "the tests of the client package need a browser");
  if (outcome === "no-way") return undefined;
  const installed = find();
  if (installed !== undefined) return installed;
  throw new CloudProblem(
    "Chromium could not be installed with apt",
    "Install Chromium or Chrome, or name one with LIVEFORUM_CHROMIUM=/path/to/it",
  );
}

function findChromium(): string | undefined {
  const own = process.env["LIVEFORUM_CHROMIUM"];
  if (own) return own;
  const candidates = searchFolders(process.env).flatMap((folder) => NAMES.map((name) => join(folder, name)));
  return [...candidates, ...APPLICATIONS].find((path) => existsSync(path));
}
