/**
 * Which commands are served over REST, and which of them with the read-only token.
 * @module
 */
import type { Command } from "./request.ts";

/** What a token may do: everything that is served, or reads alone. */
export type Access = "full" | "read-only";

/**
 * Refused as Upstash refuses them over REST. They wait (and would hold up everybody on the shared connection),
 * change the state of a connection that many requests share, or administer the server.
 */
const REFUSED = new Set(
  `BLPOP BRPOP BLMOVE BRPOPLPUSH BLMPOP BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF
  MULTI EXEC DISCARD WATCH UNWATCH
  SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE SSUBSCRIBE SUNSUBSCRIBE MONITOR
  SELECT AUTH HELLO RESET QUIT CLIENT ASKING READONLY READWRITE HIMPORT SWAPDB MOVE
  SHUTDOWN CONFIG DEBUG ACL MODULE SAVE BGSAVE BGREWRITEAOF LATENCY SLOWLOG MIGRATE
  CLUSTER FAILOVER REPLICAOF SLAVEOF REPLCONF SYNC PSYNC RESTORE-ASKING PFDEBUG PFSELFTEST`.split(/\s+/),
);

/** Redis's read category without the commands that walk the whole key space. */
const READS = new Set(
  `GET GETRANGE SUBSTR MGET STRLEN LCS GETBIT BITCOUNT BITPOS BITFIELD_RO
  HGET HGETALL HKEYS HVALS HLEN HMGET HEXISTS HSTRLEN HRANDFIELD HSCAN HTTL HPTTL HEXPIRETIME HPEXPIRETIME
  LINDEX LLEN LPOS LRANGE SCARD SDIFF SINTER SINTERCARD SISMEMBER SMISMEMBER SMEMBERS SRANDMEMBER SSCAN SUNION
  ZCARD ZCOUNT ZDIFF ZINTER ZINTERCARD ZLEXCOUNT ZMSCORE ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANK
  ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNION
  GEODIST GEOHASH GEOPOS GEOSEARCH GEORADIUS_RO GEORADIUSBYMEMBER_RO PFCOUNT
  XINFO XLEN XPENDING XRANGE XREAD XREVRANGE
  EXISTS TYPE TTL PTTL EXPIRETIME PEXPIRETIME RANDOMKEY TOUCH DUMP OBJECT MEMORY SORT_RO DBSIZE
  EVAL_RO EVALSHA_RO FCALL_RO PING ECHO TIME`.split(/\s+/),
);

/** Why the command is not run, as an error reply; null when it is to be run. */
export function refusalOf(command: Command, access: Access): Error | null {
  const name = command[0]?.toString().toUpperCase() ?? "";
  const debugsScripts = name === "SCRIPT" && command[1]?.toString().toUpperCase() === "DEBUG";
  if (REFUSED.has(name) || debugsScripts || waits(name, command)) {
    return new Error(`ERR Command is not available: '${name}'`);
  }
  if (access === "read-only" && !READS.has(name)) {
    return new Error(`NOPERM this user has no permissions to run the '${name.toLowerCase()}' command`);
  }
  return null;
}

/** XREAD and XREADGROUP wait only with BLOCK, an option before STREAMS; a key or a group may be called BLOCK too. */
function waits(name: string, command: Command): boolean {
  if (name !== "XREAD" && name !== "XREADGROUP") return false;
  let index = name === "XREAD" ? 1 : 4;
  while (index < command.length) {
    const option = command[index]?.toString().toUpperCase();
    if (option === "BLOCK") return true;
    if (option === "STREAMS") return false;
    index += option === "COUNT" ? 2 : 1;
  }
  return false;
}
