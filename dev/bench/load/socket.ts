/**
 * A WebSocket that only listens, on a bare TCP connection: the clients share the machine with what they measure, so that
 * what they do with a frame has to cost next to nothing.
 * @module
 */
import { randomBytes } from "node:crypto";
import { connect } from "node:net";

export type Listener = {
  /** Goes without a goodbye, as a phone does that loses its network. */
  close: () => void;
  /** Says goodbye, and goes when the server has answered that. */
  leave: () => void;
};

const TEXT = 1;
const CLOSE = 8;
/** The server closed, or went, without a code. */
const NO_STATUS = 1005;
const ABNORMAL = 1006;
/** A masked close frame with 1000; the mask is 0. */
const GOODBYE = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);
const OPEN_WITHIN_MS = 60_000;

/**
 * Resolves when the connection is upgraded.
 * @param onText is told each text frame; `undefined` and the closing code when the connection ends
 * @throws when the upgrade is refused, or takes over 60 s
 */
export function listen(
  url: string,
  headers: Record<string, string>,
  onText: (text: Buffer | undefined, code?: number) => void,
): Promise<Listener> {
  const { hostname, port, pathname, search, host } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    let closedWith = ABNORMAL;
    const onClose = (code: number): void => {
      closedWith = code;
      socket.destroy();
    };
    let parse = (chunk: Buffer): void => {
      const end = chunk.indexOf("\r\n\r\n");
      const status = /^HTTP\/1\.1 (\d+)/.exec(chunk.toString("latin1"))?.[1];
      if (status !== "101" || end < 0) {
        socket.destroy(new Error(`the upgrade was answered with ${status}`));
        return;
      }
      socket.setTimeout(0);
      parse = frameParser(onText, onClose);
      resolve({ close: () => socket.destroy(), leave: () => socket.write(GOODBYE) });
      if (chunk.length > end + 4) parse(chunk.subarray(end + 4));
    };
    socket.setTimeout(OPEN_WITHIN_MS, () => socket.destroy(new Error("no answer to an upgrade")));
    socket.on("data", (chunk) => parse(chunk));
    socket.once("error", reject);
    socket.once("close", () => {
      reject(new Error("the connection was closed"));
      onText(undefined, closedWith);
    });
    const lines = Object.entries({
      host,
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": randomBytes(16).toString("base64"),
      ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`GET ${pathname}${search} HTTP/1.1\r\n${lines.join("")}\r\n`);
  });
}

/** Frames of a server: unmasked and, here, never in pieces. */
function frameParser(
  onText: (text: Buffer) => void,
  onClose: (code: number) => void,
): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      const frame = readFrame(rest);
      if (!frame) return;
      if (frame.opcode === TEXT) onText(frame.payload);
      if (frame.opcode === CLOSE)
        onClose(frame.payload.length < 2 ? NO_STATUS : frame.payload.readUInt16BE(0));
      rest = rest.subarray(frame.end);
    }
  };
}

/** The first frame of the bytes; undefined while it is not whole. */
export function readFrame(bytes: Buffer): { opcode: number; payload: Buffer; end: number } | undefined {
  if (bytes.length < 2) return undefined;
  const short = bytes.readUInt8(1) & 0x7f;
  const start = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (bytes.length < start) return undefined;
  const length =
    short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short;
  const end = start + length;
  if (bytes.length < end) return undefined;
  return { opcode: bytes.readUInt8(0) & 0x0f, payload: bytes.subarray(start, end), end };
}
