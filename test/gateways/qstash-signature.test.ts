import { Receiver } from "@upstash/qstash";
import { afterEach, describe, inject, it, vi } from "vitest";
import { callApi, connect, destination, type Delivery } from "./qstash-support.ts";

const client = connect();
const { settings, qstash } = inject("cloud");
const keys = {
  currentSigningKey: settings["QSTASH_CURRENT_SIGNING_KEY"] ?? "",
  nextSigningKey: settings["QSTASH_NEXT_SIGNING_KEY"] ?? "",
};
const receiver = new Receiver({ ...keys, devMode: false });

/** What the SDK is given for a delivery that arrived at `url`. */
function signed(delivery: Delivery | undefined, url: string) {
  return { signature: delivery?.headers["upstash-signature"] ?? "", body: delivery?.body.text ?? "", url };
}

describe("the signature of a delivery", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it("verifies for the raw body and exactly the URL that was published", async ({ expect }) => {
    const target = destination("signed");
    const url = `${target.url}?name=%EC%95%88%EB%85%95&x=1`;
    await client.publishJSON({ url, body: { text: "한글 🎉" } });
    const [delivery] = await target.received(1);
    expect(await receiver.verify(signed(delivery, url))).toBe(true);
  });

  it("verifies for a request without a body", async ({ expect }) => {
    const target = destination("signed-get");
    await client.publish({ url: target.url, method: "GET" });
    const [delivery] = await target.received(1);
    expect(await receiver.verify(signed(delivery, target.url))).toBe(true);
  });

  it("is refused for another body, another URL and other keys", async ({ expect }) => {
    const target = destination("tampered");
    await client.publishJSON({ url: target.url, body: { amount: 1 } });
    const [delivery] = await target.received(1);
    const request = signed(delivery, target.url);
    await expect(receiver.verify({ ...request, body: '{"amount":2}' })).rejects.toThrow("body hash");
    await expect(receiver.verify({ ...request, url: `${target.url}/` })).rejects.toThrow("invalid subject");
    const stranger = new Receiver({ currentSigningKey: "sig_a", nextSigningKey: "sig_b", devMode: false });
    await expect(stranger.verify(request)).rejects.toThrow("signature verification failed");
  });

  it("is valid for five minutes", async ({ expect }) => {
    const target = destination("expired");
    await client.publish({ url: target.url, body: "x" });
    const [delivery] = await target.received(1);
    const request = signed(delivery, target.url);
    vi.useFakeTimers({ toFake: ["Date"], now: (delivery?.time ?? 0) + 290_000 });
    // The SDK reports the failure of the last key it tried, so both are the one that signed.
    const key = keys.currentSigningKey;
    const receiver = new Receiver({ currentSigningKey: key, nextSigningKey: key, devMode: false });
    expect(await receiver.verify(request)).toBe(true);
    vi.setSystemTime((delivery?.time ?? 0) + 301_000);
    await expect(receiver.verify(request)).rejects.toThrow('"exp" claim timestamp check failed');
  });

  it("is made anew for every attempt", async ({ expect }) => {
    const target = destination("signed-again");
    await target.answers({ status: 500, remaining: 1 });
    await client.publish({ url: target.url, body: "x", retryDelay: "1" });
    const deliveries = await target.received(2);
    expect(new Set(deliveries.map(({ headers }) => headers["upstash-signature"])).size).toBe(2);
    expect(await receiver.verify(signed(deliveries[1], target.url))).toBe(true);
  });

  // Others that verify meanwhile are not disturbed: one rotation is what the pair of keys is for.
  it("verifies with the old pair of keys after one rotation", async ({ expect }) => {
    const before = await readKeys();
    expect(before).toEqual({ current: keys.currentSigningKey, next: keys.nextSigningKey });
    try {
      const response = await callApi("POST", "/v2/keys/rotate");
      const rotated = (await response.json()) as { current: string; next: string };
      expect(rotated.current).toBe(before.next);
      expect(rotated.next).not.toBe(before.next);

      const target = destination("rotated");
      await client.publish({ url: target.url, body: "after the rotation" });
      const [delivery] = await target.received(1);
      const request = signed(delivery, target.url);
      expect(await receiver.verify(request)).toBe(true);
      const updated = new Receiver({
        currentSigningKey: rotated.current,
        nextSigningKey: rotated.next,
        devMode: false,
      });
      expect(await updated.verify(request)).toBe(true);
      const behind = new Receiver({
        currentSigningKey: before.current,
        nextSigningKey: before.current,
        devMode: false,
      });
      await expect(behind.verify(request)).rejects.toThrow("signature verification failed");
    } finally {
      await fetch(`${qstash}/_local/keys/reset`, { method: "PUT" });
    }
    expect(await readKeys()).toEqual(before);
  });
});

async function readKeys(): Promise<{ current: string; next: string }> {
  const response = await callApi("GET", "/v2/keys");
  return (await response.json()) as { current: string; next: string };
}
