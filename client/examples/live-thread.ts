// A thread in the terminal, live: npm run example client/examples/live-thread.ts 1
import { type Comment, LiveForum } from "@liveforum/client";

const {
  LIVEFORUM_URL: url = "http://localhost:8787",
  LIVEFORUM_EMAIL: email = "mina@liveforum.local",
  LIVEFORUM_PASSWORD: password = "liveforum-demo",
} = process.env;

const forum = new LiveForum({ url });
await forum.auth.login({ email, password });
process.once("SIGINT", () => forum.close());

for await (const { post, comments, viewers, state } of forum.thread(Number(process.argv[2] ?? 1))) {
  console.clear();
  console.log(`[${state}] ${post.title}, by ${post.author?.username ?? "somebody who left"}`);
  console.log(`${post.likeCount} likes, ${post.commentCount} comments, ${viewers} here\n`);
  for (const comment of comments.slice(-20)) console.log(lineOf(comment));
}
await forum.auth.logout();

function lineOf({ author, content, likeCount }: Comment): string {
  if (content === null) return "  (deleted)";
  const likes = likeCount > 0 ? ` (${likeCount} likes)` : "";
  return `  ${author?.username ?? "somebody who left"}: ${content}${likes}`;
}
