/**
 * The two kinds of thing that can be liked.
 * @module
 */
export type LikeTarget = { type: "post" | "comment"; id: number };
