/**
 * What a client has to know to reach a local QStash: the published credentials of Upstash's own development
 * server, so that the two are interchangeable.
 * @module
 */

/** The port of this gateway. Upstash's development server uses 8080, which peer suites need free. */
export const DEFAULT_PORT = 8082;

export const DEFAULT_TOKEN = "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=";

export const DEFAULT_CURRENT_SIGNING_KEY = "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r";

export const DEFAULT_NEXT_SIGNING_KEY = "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs";
