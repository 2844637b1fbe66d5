/**
 * The REST page: what a newcomer needs, Swagger UI over the OpenAPI document, and the error codes.
 * @module
 */
import { html } from "hono/html";
import { PROBLEMS } from "../common/errors.ts";
import { ASSETS, layout, REST_PAGE, ROOMS_PAGE } from "./layout.ts";

export function docsPage() {
  const problems = Object.values(PROBLEMS).filter(
    ({ code }, index, all) => all.findIndex((other) => other.code === code) === index,
  );
  return layout({
    path: REST_PAGE,
    title: "LiveForum API",
    styles: ["swagger-ui.css", "page.css"],
    intro: html`<p>
        REST reference of a realtime community backend. The document behind this page is
        <a href="/api/openapi.json">/api/openapi.json</a> (OpenAPI 3.1). What goes over the sockets of rooms
        is under <a href="${ROOMS_PAGE}">Rooms</a>.
      </p>
      <p>
        To try a route that needs an account: call <code>POST /api/auth/register</code> or
        <code>POST /api/auth/login</code> below, copy <code>accessToken</code> from the answer and paste it
        under <strong>Authorize</strong>.
      </p>`,
    main: html`<main>
        <div id="reference"></div>
        <section id="problems">
          <h2>Errors</h2>
          <p>
            Every answer from status 400 up is a problem document (RFC 9457,
            <code>application/problem+json</code>). Its <code>code</code> is stable; <code>errors</code> names
            the refused fields.
          </p>
          <table>
            <thead>
              <tr>
                <th>code</th>
                <th>status</th>
                <th>meaning</th>
              </tr>
            </thead>
            <tbody>
              ${problems.map(
                ({ code, title }) =>
                  html`<tr id="problem-${code}">
                    <td><code>${code}</code></td>
                    <td>${statusesOf(code)}</td>
                    <td>${title}</td>
                  </tr>`,
              )}
            </tbody>
          </table>
        </section>
      </main>
      <noscript>This page needs JavaScript; the document itself is at /api/openapi.json.</noscript>
      <script src="${ASSETS}/swagger-ui-bundle.js"></script>
      <script src="${ASSETS}/page.js"></script>`,
  });
}

function statusesOf(code: string): string {
  const statuses = Object.values(PROBLEMS)
    .filter((problem) => problem.code === code)
    .map((problem) => problem.status);
  return [...new Set(statuses)].sort((a, b) => a - b).join(", ");
}
