/**
 * Tells QStash's deliveries from everybody else's requests.
 * @module
 */
import { Receiver } from "@upstash/qstash";

/** How far the clocks of QStash and of the Worker may be apart. */
const CLOCK_TOLERANCE_SECONDS = 5;

/** The pair of signing keys: after a rotation deliveries are signed with what was the next one. */
export type SigningKeys = { current: string; next: string };

export type Delivery = {
  /** The header `Upstash-Signature`. */
  signature: string | undefined;
  /** The raw text, as it came. */
  body: string;
  /** Where QStash was told to deliver, character for character. */
  url: string;
};

/** Whether the delivery was signed by QStash for this address and this body, not longer ago than QStash allows (5 min). */
export async function isSigned({ signature, body, url }: Delivery, keys: SigningKeys): Promise<boolean> {
  if (signature === undefined) return false;
  const receiver = new Receiver({
    currentSigningKey: keys.current,
    nextSigningKey: keys.next,
    devMode: false,
  });
  try {
    return await receiver.verify({ signature, body, url, clockTolerance: CLOCK_TOLERANCE_SECONDS });
  } catch {
    // Whatever it was thrown for, the delivery has not been proved to be one.
    return false;
  }
}
