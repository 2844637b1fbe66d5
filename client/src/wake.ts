/**
 * Signs that the network or the machine has changed, where a runtime gives them.
 * @module
 */
import { platform } from "./platform.ts";

const OF_WINDOW = ["online", "offline", "pageshow"];
const OF_DOCUMENT = ["visibilitychange", "resume"];

/** Calls back when a connection is worth a look: the page is shown or thawed, the network came or went. @returns how to stop that */
export function onWake(callback: () => void): () => void {
  const { document } = platform;
  const look = (): void => {
    if (document?.visibilityState !== "hidden") callback();
  };
  for (const name of OF_WINDOW) platform.addEventListener?.(name, look);
  for (const name of OF_DOCUMENT) document?.addEventListener(name, look);
  return () => {
    for (const name of OF_WINDOW) platform.removeEventListener?.(name, look);
    for (const name of OF_DOCUMENT) document?.removeEventListener(name, look);
  };
}
