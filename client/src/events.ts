/**
 * Event targets that know their events.
 * @module
 */

/** The listener's side of an `EventTarget`, by the names and classes of its events. */
export type TypedEventTarget<Events> = {
  /** Calls `listener` at each event of that name. */
  addEventListener: <Name extends keyof Events & string>(
    name: Name,
    listener: (event: Events[Name]) => void,
    options?: { once?: boolean; signal?: AbortSignal },
  ) => void;
  removeEventListener: <Name extends keyof Events & string>(
    name: Name,
    listener: (event: Events[Name]) => void,
  ) => void;
  dispatchEvent: (event: Event) => boolean;
};

/** `EventTarget`, typed. A cast: whoever extends it dispatches events of the classes that it promises. */
export const TypedEventTarget = EventTarget as unknown as new <Events>() => TypedEventTarget<Events>;
