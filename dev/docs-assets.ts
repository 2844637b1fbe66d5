/**
 * Puts the assets of the documentation page into `public/`, from where the Worker serves them. Wrangler runs this
 * before it builds; the suite's set-up does too.
 * @module
 */
import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const FROM_SWAGGER_UI = ["swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"];

/** Copies; repeating it changes nothing. @throws when the dependencies are not installed */
export function copyDocsAssets(): void {
  const target = join(ROOT, "public/api/docs/assets");
  mkdirSync(target, { recursive: true });
  for (const name of FROM_SWAGGER_UI) {
    copyFileSync(join(ROOT, "node_modules/swagger-ui-dist", name), join(target, name));
  }
  const own = join(ROOT, "src/docs/assets");
  for (const name of readdirSync(own)) copyFileSync(join(own, name), join(target, name));
}

if (import.meta.main) copyDocsAssets();
