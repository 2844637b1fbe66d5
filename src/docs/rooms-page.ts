/**
 * The Rooms page: the AsyncAPI document for people. Made on the server from the document alone; it needs no script.
 * @module
 */
import { html } from "hono/html";
import type { AsyncApiDocument, Channel, Message, RoomOperation } from "./asyncapi.ts";
import { type Field, fieldsOf } from "./fields.ts";
import { type Html, layout, ROOMS_PAGE } from "./layout.ts";

type Side = { title: string; summary: string; messages: Message[] };

/** @param document is read once for each page; the route keeps what comes out */
export function roomsPage(document: AsyncApiDocument) {
  const { info, channels, components } = document;
  const messages = Object.values(components.messages);
  const fromServer = messages.filter((message) => isSent(document, message));
  const fromClients = messages.filter((message) => !isSent(document, message));
  return layout({
    path: ROOMS_PAGE,
    title: "LiveForum rooms",
    styles: ["page.css", "rooms.css"],
    intro: html`<p>
      What goes over the sockets of rooms, both ways. The document behind this page is
      <a href="/api/asyncapi.json">/api/asyncapi.json</a> (AsyncAPI 3.0), version ${info.version}.
    </p>`,
    main: html`<div class="columns">
      <nav aria-label="On this page" class="contents">
        <a href="#rules">How rooms work</a>
        <a href="#sign-in">Signing in</a>
        ${Object.entries(channels).map(([name, { title }]) => html`<a href="#${name}">${title}</a>`)}
        <h2>From the room</h2>
        ${fromServer.map(link)}
        <h2>From the client</h2>
        ${fromClients.map(link)}
      </nav>
      <main>
        <section id="rules">
          <h2>How rooms work</h2>
          ${prose(info.description)}
        </section>
        ${signIn(document)}
        ${Object.entries(channels).map(([name, channel]) => room(document, name, channel))}
        <section>
          <h2>Frames from the room</h2>
          ${fromServer.map((message) => frame(document, message))}
        </section>
        <section>
          <h2>Frames from the client</h2>
          ${fromClients.map((message) => frame(document, message))}
        </section>
      </main>
    </div>`,
  });
}

function signIn({ components, channels }: AsyncApiDocument): Html {
  const query = fieldsOf(Object.values(channels)[0]?.bindings.ws.query ?? {}, components.schemas);
  return html`<section id="sign-in">
    <h2>Signing in</h2>
    ${Object.values(components.securitySchemes).map(({ description }) => prose(description))}
    <h3>Query</h3>
    ${fieldTable(query)}
  </section>`;
}

function room(document: AsyncApiDocument, name: string, channel: Channel): Html {
  return html`<section id="${name}">
    <h2>${channel.title}</h2>
    <p class="address"><code>GET ${channel.address}</code></p>
    <p>${channel.summary}.</p>
    ${prose(channel.description)}
    ${sidesOf(document, name).map(
      ({ title, summary, messages }) =>
        html`<h3>${title}</h3>
          <p>${inline(summary)}.</p>
          <p class="frames">${messages.map((message) => html`${link(message)} `)}</p>`,
    )}
    <h3>Closing codes</h3>
    <table>
      <thead>
        <tr>
          <th>code</th>
          <th>why</th>
        </tr>
      </thead>
      <tbody>
        ${Object.entries(channel["x-closing-codes"]).map(
          ([code, why]) =>
            html`<tr>
              <td><code>${code}</code></td>
              <td>${inline(why)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
    <p>
      ${inline(channel.externalDocs.description)}:
      <a href="${channel.externalDocs.url}">in the REST reference</a>.
    </p>
  </section>`;
}

/** The operations of a room, with an answer beside what it answers. */
function sidesOf({ operations, components, channels }: AsyncApiDocument, name: string): Side[] {
  const messageOf = ({ $ref }: { $ref: string }) => {
    const component = channels[name]?.messages[lastOf($ref)];
    const message = component && components.messages[lastOf(component.$ref)];
    return message ? [message] : [];
  };
  return Object.values(operations)
    .filter(({ channel }) => lastOf(channel.$ref) === name)
    .map(({ title, summary, messages, reply }: RoomOperation) => ({
      title,
      summary,
      messages: [...messages, ...(reply?.messages ?? [])].flatMap(messageOf),
    }));
}

function frame({ components }: AsyncApiDocument, message: Message): Html {
  const fields = fieldsOf(components.schemas[message.title] ?? {}, components.schemas);
  return html`<article id="${message.title}">
    <h3><code>${message.name}</code></h3>
    <p>${inline(message.description)}</p>
    <div class="frame">
      ${fieldTable(fields)}
      <div>
        ${message.examples.map(
          ({ payload }) => html`<pre tabindex="0"><code>${JSON.stringify(payload, null, 2)}</code></pre>`,
        )}
      </div>
    </div>
  </article>`;
}

function fieldTable(fields: Field[]): Html {
  return html`<table class="fields">
    <thead>
      <tr>
        <th>field</th>
        <th>type</th>
      </tr>
    </thead>
    <tbody>
      ${fields.map(
        ({ path, type, required, description }) =>
          html`<tr>
            <td><code>${path}</code>${required ? "" : html` <small>optional</small>`}</td>
            <td>${type}${description === "" ? "" : html`<br /><small>${inline(description)}</small>`}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function link({ name, title }: Message): Html {
  return html`<a href="#${title}"><code>${name}</code></a>`;
}

function isSent({ operations }: AsyncApiDocument, { title }: Message): boolean {
  return Object.values(operations).some(({ action, messages, reply }) =>
    (action === "send" ? messages : (reply?.messages ?? [])).some(({ $ref }) => lastOf($ref) === title),
  );
}

/** Paragraphs of the document's Markdown: what it uses is bold text and code. */
function prose(markdown: string): Html {
  return html`${markdown.split("\n\n").map((paragraph) => html`<p>${inline(paragraph)}</p>`)}`;
}

function inline(markdown: string): Html {
  return html`${markdown.split(/(\*\*[^*]+\*\*|`[^`]+`)/).map((part) => {
    if (part.startsWith("**")) return html`<strong>${part.slice(2, -2)}</strong>`;
    return part.startsWith("`") ? html`<code>${part.slice(1, -1)}</code>` : part;
  })}`;
}

function lastOf(reference: string): string {
  return reference.split("/").at(-1) ?? reference;
}
