import { DurableObject } from "cloudflare:workers";

export class UserRoom extends DurableObject {}
