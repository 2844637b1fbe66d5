// What was made on each day, redrawn every minute: npm run example client/examples/daily-dashboard.ts Asia/Seoul
import { LiveForum } from "@liveforum/client";

const { LIVEFORUM_URL: url = "http://localhost:8787" } = process.env;
const timeZone = process.argv[2] ?? "UTC";
const REDRAW_MS = 60_000;
const WIDTH = 40;
const KINDS = ["posts", "comments", "likes", "users"] as const;

const forum = new LiveForum({ url });
await draw();
setInterval(() => void draw().catch(console.error), REDRAW_MS);

async function draw(): Promise<void> {
  const days = await forum.dailyStats({ timeZone });
  const totals = KINDS.map((kind) => `${days.reduce((sum, day) => sum + day[kind], 0)} ${kind}`);
  const most = Math.max(1, ...days.map((day) => day.comments));
  console.clear();
  console.log(`The last ${days.length} days (${timeZone}): ${totals.join(", ")}\n`);
  for (const { date, posts, comments } of days) {
    const bar = "█".repeat(Math.round((comments / most) * WIDTH)).padEnd(WIDTH);
    console.log(`${date}  ${bar}  ${comments} comments, ${posts} posts`);
  }
}
