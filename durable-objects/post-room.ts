import { DurableObject } from "cloudflare:workers";

export class PostRoom extends DurableObject {}
