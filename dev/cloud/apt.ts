/**
 * Installing with apt, where that asks nothing.
 * @module
 */
import type { Machine } from "./machine.ts";

/** A package, and the oldest version (major, minor) of it that will do. */
export type AptPackage = { name: string; oldest: readonly [number, number] };

/** Longest time for one command of apt. */
export const APT_TIMEOUT_MS = 300_000;

/**
 * Installs the first package of each list that the system has, as root or with password-less sudo.
 * @param note told with the names of what is installed
 * @returns `no-way`: nothing was tried, since it may not be asked for or apt has no such package
 */
export async function aptInstall(
  machine: Machine,
  wanted: readonly (readonly AptPackage[])[],
  note: string,
): Promise<"installed" | "failed" | "no-way"> {
  // No question is asked, no running service restarted, and another apt-get is waited for.
  const quietly = ["env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1", "apt-get", "-qq"];
  const [command = "", ...first] = machine.isRoot ? quietly : ["sudo", "-n", ...quietly];
  const apt = (...args: string[]) =>
    machine.run(command, [...first, "-o", "DPkg::Lock::Timeout=120", ...args], { timeoutMs: APT_TIMEOUT_MS });
  if (!machine.isRoot && !(await machine.run("sudo", ["-n", "true"])).ok) return "no-way";

  const choose = async (): Promise<(string | undefined)[]> => {
    const names: (string | undefined)[] = [];
    for (const packages of wanted) names.push(await firstAvailable(machine, packages));
    return names;
  };
  let names = await choose();
  let updated = false;
  const update = async (): Promise<void> => {
    if (updated) return;
    machine.log("updating the list of packages (apt-get update)");
    await apt("update");
    updated = true;
  };
  if (names.includes(undefined)) {
    await update();
    names = await choose();
  }
  const known = names.filter((name) => name !== undefined);
  if (known.length === 0) return "no-way";
  const installNow = async (): Promise<boolean> =>
    (await apt("install", "-y", "--no-install-recommends", ...known)).ok;
  machine.log(`installing ${known.join(" and ")} (${note})`);
  if (await installNow()) return "installed";
  // A list of packages from long ago names files that the mirror has replaced since.
  await update();
  return (await installNow()) ? "installed" : "failed";
}

async function firstAvailable(
  machine: Machine,
  packages: readonly AptPackage[],
): Promise<string | undefined> {
  for (const { name, oldest } of packages) {
    const { output } = await machine.run("apt-cache", ["policy", name]);
    const [, major, minor] = /Candidate: (?:\d+:)?(\d+)\.(\d+)/.exec(output) ?? [];
    if (major === undefined) continue;
    if (Number(major) > oldest[0] || (Number(major) === oldest[0] && Number(minor) >= oldest[1])) return name;
  }
  return undefined;
}
