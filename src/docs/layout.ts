/**
 * What both documentation pages share: head, heading and the switch between them. All assets come from the Worker
 * (`dev/docs-assets.ts` puts them into `public/`).
 * @module
 */
import { html } from "hono/html";

export const ASSETS = "/api/docs/assets";
export const REST_PAGE = "/api/docs";
export const ROOMS_PAGE = "/api/docs/rooms";

const PAGES = [
  { path: REST_PAGE, name: "REST" },
  { path: ROOMS_PAGE, name: "Rooms" },
];

/** A piece of a page; hono escapes what is put into one. */
export type Html = ReturnType<typeof html>;

/** A page. @param path its own, marked in the switch */
export function layout(page: { path: string; title: string; intro: Html; styles: string[]; main: Html }) {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${page.title}</title>
        <link rel="icon" href="${ASSETS}/favicon-32x32.png" />
        ${page.styles.map((name) => html`<link rel="stylesheet" href="${ASSETS}/${name}" />`)}
      </head>
      <body>
        <header>
          <h1>LiveForum API</h1>
          <nav aria-label="Documentation" class="switch">
            ${PAGES.map(({ path, name }) =>
              path === page.path
                ? html`<a href="${path}" aria-current="page">${name}</a>`
                : html`<a href="${path}">${name}</a>`,
            )}
          </nav>
          ${page.intro}
        </header>
        ${page.main}
      </body>
    </html>`;
}
