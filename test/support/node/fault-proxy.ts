/**
 * A network that fails on demand: an HTTP and WebSocket proxy between a client and the Worker.
 * @module
 */
import { once } from "node:events";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as httpRequest,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { SignJWT } from "jose";

/** How tokens are made to end early: really, whatever number of seconds the client is told. Only the next `times`, if given. */
export type ShortTokens = { seconds: number; told: number | "15 minutes"; times?: number };

export type ProxiedCall = { name: string; key: string | undefined; status: number | "lost" };

type Answer = { status: number; headers: IncomingHttpHeaders; body: Buffer };

const TOKEN_EXPIRED = JSON.stringify({
  status: 401,
  code: "token_expired",
  detail: "Refresh the session and send the new access token",
  requestId: "fault-proxy",
});
const REFRESH = "POST /api/auth/refresh";
const SESSION_PATHS = ["/api/auth/login", "/api/auth/register", "/api/auth/refresh"];

export class FaultProxy {
  /** Where the Worker is. */
  target = "";
  /** `refuse`: nobody gets through. `stall`: nothing moves, and nobody is told. */
  mode: "pass" | "refuse" | "stall" = "pass";
  /** Upgrades are cut off, as by a network that knows no WebSocket. */
  blockUpgrades = false;
  /** The answers to so many of the next writes are lost after they happened. */
  loseAnswers = 0;
  shortTokens: ShortTokens | undefined;
  /** So many of the next calls are told that their token has ended. */
  refuseTokens = 0;
  /** Rooms are asked for the events of a log that was lost. */
  otherEpoch = false;
  /** All calls that got through so far. */
  readonly calls: ProxiedCall[] = [];
  /** Upgrades that got through. */
  upgrades = 0;
  /** Files that the proxy serves itself, by path. */
  readonly files = new Map<string, { type: string; body: string | Buffer }>();
  readonly #server = createServer((request, response) => {
    this.#serve(request, response).catch(() => request.socket.destroy());
  });
  readonly #sockets = new Set<Duplex>();
  readonly #signingKey: { kid: string; secret: Uint8Array };
  #passed: (() => void)[] = [];

  /** @param jwtKeys the Worker's setting `JWT_KEYS` */
  constructor(jwtKeys: string) {
    const [kid = "", secret = ""] = jwtKeys.split(/[,:]/);
    this.#signingKey = { kid, secret: new TextEncoder().encode(secret) };
    this.#server.on("connection", (socket) => {
      if (this.mode === "refuse") socket.destroy();
      else this.#keep(socket);
    });
    this.#server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#upgrade(request, socket, head).catch(() => socket.destroy());
    });
  }

  /** @returns its address */
  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Cuts all connections. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Nobody gets through from now on. */
  refuse(): void {
    this.mode = "refuse";
    this.drop();
  }

  /** Nothing moves from now on. */
  stall(): void {
    this.mode = "stall";
    for (const socket of this.#sockets) socket.pause();
  }

  /** Everything gets through again; what stood still moves on. */
  heal(): void {
    this.mode = "pass";
    for (const socket of this.#sockets) socket.resume();
    for (const go of this.#passed.splice(0)) go();
  }

  /** How many refreshes got through. */
  get refreshes(): number {
    return this.calls.filter(({ name }) => name === REFRESH).length;
  }

  async close(): Promise<void> {
    this.heal();
    this.drop();
    this.#server.close();
    await once(this.#server, "close");
  }

  #keep(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
  }

  #address(url = "/"): string {
    return this.otherEpoch ? url.replace(/epoch=[\w-]+/, "epoch=another") : url;
  }

  async #whenPassing(): Promise<void> {
    while (this.mode === "stall") await new Promise<void>((resolve) => this.#passed.push(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "GET", url = "/" } = request;
    const path = url.split("?")[0] ?? "";
    const file = method === "GET" ? this.files.get(path) : undefined;
    const body = await readAll(request);
    await this.#whenPassing();
    if (file) {
      response.writeHead(200, { "content-type": file.type, "cache-control": "no-store" }).end(file.body);
      return;
    }
    if (this.refuseTokens > 0 && request.headers.authorization !== undefined) {
      this.refuseTokens -= 1;
      response.writeHead(401, { "content-type": "application/problem+json" }).end(TOKEN_EXPIRED);
      return;
    }
    const answer = await this.#forward(request, body);
    await this.#whenPassing();
    const call: ProxiedCall = {
      name: `${method} ${path}`,
      key: request.headers["idempotency-key"]?.toString(),
      status: answer.status,
    };
    this.calls.push(call);
    if (this.loseAnswers > 0 && method !== "GET" && !SESSION_PATHS.includes(path)) {
      this.loseAnswers -= 1;
      call.status = "lost";
      request.socket.destroy();
      return;
    }
    // An answer that is cut off is lost as well.
    response.once("close", () => {
      if (!response.writableFinished) call.status = "lost";
    });
    const short = SESSION_PATHS.includes(path) && answer.status < 300 ? this.#nextShortToken() : undefined;
    const sent = short ? await this.#shortened(answer.body, short) : answer.body;
    const { "content-length": _, "transfer-encoding": __, ...headers } = answer.headers;
    response.writeHead(answer.status, { ...headers, "content-length": sent.length }).end(sent);
  }

  #nextShortToken(): ShortTokens | undefined {
    const short = this.shortTokens;
    if (short?.times === undefined) return short;
    const times = short.times - 1;
    this.shortTokens = times > 0 ? { ...short, times } : undefined;
    return short;
  }

  async #forward(request: IncomingMessage, body: Buffer): Promise<Answer> {
    const { method, url, headers } = request;
    const { connection: _, "accept-encoding": __, ...passed } = headers;
    const upstream = httpRequest(`${this.target}${this.#address(url)}`, {
      method,
      headers: passed,
      agent: false,
    });
    upstream.end(body);
    const [response] = (await once(upstream, "response")) as [IncomingMessage];
    return { status: response.statusCode ?? 502, headers: response.headers, body: await readAll(response) };
  }

  /** The same session with a token that ends early. */
  async #shortened(body: Buffer, { seconds, told }: ShortTokens): Promise<Buffer> {
    const session = JSON.parse(body.toString()) as { accessToken: string; expiresIn: number };
    const [, payload = ""] = session.accessToken.split(".");
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as Record<string, unknown>;
    const exp = Math.ceil(Date.now() / 1000) + seconds;
    const { kid, secret } = this.#signingKey;
    session.accessToken = await new SignJWT({ ...claims, exp })
      .setProtectedHeader({ alg: "HS256", typ: "JWT", kid })
      .sign(secret);
    if (told !== "15 minutes") session.expiresIn = told;
    return Buffer.from(JSON.stringify(session));
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    if (this.blockUpgrades) {
      socket.destroy();
      return;
    }
    await this.#whenPassing();
    const { hostname, port } = new URL(this.target);
    const upstream: Socket = connect(Number(port), hostname);
    this.#keep(upstream);
    socket.on("close", () => upstream.destroy());
    upstream.on("close", () => socket.destroy());
    await once(upstream, "connect");
    this.upgrades += 1;
    const lines = request.rawHeaders.flatMap((value, index, all) =>
      index % 2 === 0 ? [`${value}: ${all[index + 1]}`] : [],
    );
    upstream.write(
      `${request.method} ${this.#address(request.url)} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`,
    );
    upstream.write(head);
    socket.pipe(upstream);
    upstream.pipe(socket);
    if (this.mode === "stall") this.stall();
  }
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
