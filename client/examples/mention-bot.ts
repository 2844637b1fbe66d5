// A bot that answers mentions of its name: npm run example client/examples/mention-bot.ts
// Started twice, or again after a crash, it still answers each mention once: the comment names the answer's key.
import { type Comment, LiveForum, type RoomComment, RoomClosedError } from "@liveforum/client";

const {
  LIVEFORUM_URL: url = "http://localhost:8787",
  LIVEFORUM_EMAIL: email = "tobias@liveforum.local",
  LIVEFORUM_PASSWORD: password = "liveforum-demo",
} = process.env;
const NEWEST_POSTS = 15;
const LOOK_FOR_POSTS_MS = 30_000;
/** The server knows an answer's key for a day. What is older was answered, or nobody waits for it any more. */
const ANSWER_WITHIN_MS = 12 * 3_600_000;

const forum = new LiveForum({ url });
const me = await forum.auth.login({ email, password });
const followed = new Set<number>();
await followNewPosts();
console.log(`${me.username} answers in ${followed.size} posts`);
const looking = setInterval(() => void followNewPosts().catch(console.error), LOOK_FOR_POSTS_MS);
process.once("SIGINT", () => {
  clearInterval(looking);
  forum.close();
});

async function followNewPosts(): Promise<void> {
  const { items } = await forum.posts.list({ limit: NEWEST_POSTS }).page();
  for (const { id } of items.filter((post) => !followed.has(post.id))) {
    followed.add(id);
    follow(id).catch((error: unknown) => {
      if (!(error instanceof RoomClosedError)) console.error(error);
    });
  }
}

async function follow(postId: number): Promise<void> {
  for await (const event of forum.room(`post:${postId}`)) {
    if (event.type === "comment_added") await answer(event.data);
    // What was said before, or while it was away.
    else if (event.type === "resync") {
      for await (const comment of forum.comments.list(postId, { limit: 100 })) await answer(comment);
    }
  }
}

async function answer({ id, postId, author, content, createdAt }: Comment | RoomComment): Promise<void> {
  const old = Date.now() - Date.parse(createdAt) > ANSWER_WITHIN_MS;
  if (!author || author.id === me.id || old || !content?.includes(`@${me.username}`)) return;
  const said = { content: `${author.username}, you called at ${createdAt.slice(11, 16)} UTC?` };
  await forum.comments.create(postId, said, { idempotencyKey: `mention-${id}` });
  console.log(`answered ${author.username} in post ${postId}`);
}
