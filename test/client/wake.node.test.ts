/** When a connection takes another look: the page is shown or thawed, the network came or went. */
import { beforeEach, describe, it, onTestFinished, vi } from "vitest";
import { onWake } from "../../client/src/wake.ts";

type Page = EventTarget & { visibilityState: string };

let window: EventTarget;
let document: Page;

beforeEach(() => {
  window = new EventTarget();
  document = Object.assign(new EventTarget(), { visibilityState: "visible" });
});

/** Makes this runtime a page, or a worker of one where there is no document, until the test ends. */
function browse(shown: Page | undefined): void {
  onTestFinished(() => {
    vi.unstubAllGlobals();
  });
  vi.stubGlobal("document", shown);
  vi.stubGlobal("addEventListener", window.addEventListener.bind(window));
  vi.stubGlobal("removeEventListener", window.removeEventListener.bind(window));
}

const SIGNS = [
  ...["online", "offline", "pageshow"].map((name) => ({ name, of: () => window })),
  ...["visibilitychange", "resume"].map((name) => ({ name, of: (): EventTarget => document })),
];

describe("a page", () => {
  it.for(SIGNS)("looks at $name", ({ name, of }, { expect }) => {
    browse(document);
    const look = vi.fn<() => void>();
    onTestFinished(onWake(look));
    of().dispatchEvent(new Event(name));
    expect(look).toHaveBeenCalledTimes(1);
  });

  it.for(SIGNS)(
    "does not look at $name while nobody sees it, and does when it is shown",
    ({ name, of }, { expect }) => {
      browse(document);
      const look = vi.fn<() => void>();
      onTestFinished(onWake(look));
      document.visibilityState = "hidden";
      of().dispatchEvent(new Event(name));
      expect(look).not.toHaveBeenCalled();
      document.visibilityState = "visible";
      document.dispatchEvent(new Event("visibilitychange"));
      expect(look).toHaveBeenCalledTimes(1);
    },
  );

  it("hears of nothing any more once it has stopped", ({ expect }) => {
    browse(document);
    const look = vi.fn<() => void>();
    onWake(look)();
    for (const { name, of } of SIGNS) of().dispatchEvent(new Event(name));
    expect(look).not.toHaveBeenCalled();
  });
});

it("a worker of a browser, which has no document, looks when the network comes", ({ expect }) => {
  browse(undefined);
  const look = vi.fn<() => void>();
  onTestFinished(onWake(look));
  window.dispatchEvent(new Event("online"));
  expect(look).toHaveBeenCalledTimes(1);
});

it("a runtime without such events is left as it is", ({ expect }) => {
  expect(onWake(() => undefined)).not.toThrow();
});
