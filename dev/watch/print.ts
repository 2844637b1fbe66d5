/**
 * Frames as lines for a terminal.
 * @module
 */
import type { RoomEvent } from "../../client/src/client.ts";

/** The lines that a frame is worth; none for what is not of interest. */
export function linesOf(frame: RoomEvent): string[] {
  switch (frame.type) {
    case "resync":
      return frame.reason === "joined" ? [] : ["… more was missed than the room remembers"];
    case "comment_added":
      return spoken(`+ ${nameOf(frame.data.author)}`, frame.data.content);
    case "comment_updated":
      return spoken(`~ ${nameOf(frame.data.author)}, edited`, frame.data.content);
    case "comment_deleted":
      return [`- comment ${frame.data.id} was deleted`];
    case "post_updated":
      return spoken("~ the post was edited", frame.data.title);
    case "post_deleted":
      return ["- the post was deleted"];
    case "post_liked":
      return [`♥ ${likes(frame.data.likeCount)} of the post`];
    case "comment_liked":
      return [`♥ ${likes(frame.data.likeCount)} of comment ${frame.data.targetId}`];
    case "notify_user":
      return [`! ${printable(frame.data.notification.message)} (${frame.data.unreadCount} unread)`];
    case "notification_read":
      return [`! ${frame.data.unreadCount} unread`];
    case "presence":
      return [`  ${frame.data.viewers} ${frame.data.viewers === 1 ? "person" : "people"} here`];
    case "typing":
      return [`  ${printable(frame.data.user.username)} is typing …`];
    default:
      // A type that is newer than this program.
      return [];
  }
}

/** When a frame happened, as the terminal's clock shows it; now for what has no time. */
export function timeOf(frame: RoomEvent): string {
  const at = "at" in frame ? new Date(frame.at) : new Date();
  return at.toTimeString().slice(0, 8);
}

function spoken(who: string, text: string | null): string[] {
  const [first = "", ...rest] = (text ?? "").split("\n");
  return [`${who}: ${printable(first)}`, ...rest.map((line) => `    ${printable(line)}`)];
}

function nameOf(author: { username: string } | null): string {
  return author ? printable(author.username) : "somebody who left";
}

function likes(count: number): string {
  return `${count} ${count === 1 ? "like" : "likes"}`;
}

/** What others wrote must not steer the terminal: no control characters, no change of direction. */
function printable(text: string): string {
  return text.replaceAll("\t", "    ").replaceAll(/[\p{Cc}\u{202a}-\u{202e}\u{2066}-\u{2069}]/gu, "\u{fffd}");
}
