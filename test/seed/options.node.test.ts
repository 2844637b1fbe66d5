import { describe, it } from "vitest";
import { parseBulkOptions } from "../../dev/seed/options.ts";

describe("the flags of npm run seed", () => {
  it("fill the local cloud unless another database is named", ({ expect }) => {
    expect(parseBulkOptions([], {})).toEqual({
      mysqlUrl: "mysql://liveforum:liveforum@127.0.0.1:13306/liveforum",
      users: 100,
      posts: 1_000,
      comments: 10_000,
      likes: 2_200,
      seed: 1,
      connections: 4,
    });
    const port = parseBulkOptions([], { LIVEFORUM_MYSQL_PORT: "4000" });
    expect(port).toMatchObject({ mysqlUrl: "mysql://liveforum:liveforum@127.0.0.1:4000/liveforum" });
    const env = { LIVEFORUM_MYSQL_URL: "mysql://a:b@db:1/own" };
    expect(parseBulkOptions([], env)).toMatchObject({ mysqlUrl: "mysql://a:b@db:1/own" });
    const flags = ["--mysql", "mysql://c:d@db:2/flag"];
    expect(parseBulkOptions(flags, env)).toMatchObject({ mysqlUrl: "mysql://c:d@db:2/flag" });
  });

  it("say how many rows there shall be", ({ expect }) => {
    const flags = ["--posts", "5", "--comments=0", "--users", "3", "--likes", "7", "--seed", "9"];
    expect(parseBulkOptions(flags, {})).toMatchObject({ posts: 5, comments: 0, users: 3, likes: 7, seed: 9 });
  });

  it.for([
    [["--posts", "many"], /--posts many makes no sense/],
    [["--posts=-1"], /--posts -1 makes no sense/],
    [["--posts", "1e5"], /whole number from 0 to 10000000/],
    [["--posts", "10000001"], /--posts 10000001 makes no sense/],
    [["--comments", "1.5"], /--comments 1.5 makes no sense/],
    [["--connections", "0"], /from 1 to 16/],
    [["--posts", "0", "--comments", "0", "--likes", "1"], /--likes needs something to like/],
    [["--post", "5"], /Unknown option '--post'/],
    [["--posts"], /--posts/],
    [["100000"], /100000/],
    [["--mysql", "http://a:b@db/x"], /not of the form mysql:/],
    [["--mysql", "mysql://a:b@db"], /not of the form mysql:/],
    [["--mysql", "mysql://a:b@aws.connect.psdb.cloud/x"], /is PlanetScale/],
  ] as const)("are refused by name when they make no sense: %j", ([flags, message], { expect }) => {
    expect(() => parseBulkOptions(flags, {})).toThrow(message);
  });

  it("never show a password when an address is refused", ({ expect }) => {
    expect(() => parseBulkOptions(["--mysql", "http://a:geheim@db/x"], {})).toThrow(/^(?!.*geheim)/s);
  });
});
