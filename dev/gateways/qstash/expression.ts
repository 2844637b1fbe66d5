/**
 * The language of `Upstash-Retry-Delay`: arithmetic over numbers and the variable `retried`, with a fixed set of
 * functions. Read by recursive descent; nothing of it is ever evaluated as JavaScript.
 * @module
 */

type Evaluate = (retried: number) => number;

const FUNCTIONS: Record<string, { arity: number; apply: (...values: number[]) => number }> = {
  pow: { arity: 2, apply: Math.pow },
  sqrt: { arity: 1, apply: Math.sqrt },
  abs: { arity: 1, apply: Math.abs },
  exp: { arity: 1, apply: Math.exp },
  floor: { arity: 1, apply: Math.floor },
  ceil: { arity: 1, apply: Math.ceil },
  round: { arity: 1, apply: Math.round },
  min: { arity: 2, apply: Math.min },
  max: { arity: 2, apply: Math.max },
};

const TOKEN = /\s*(?:(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|([-+*/%(),]))/y;

const EXPRESSION_MAX_CHARS = 500;

type Token = { kind: "number" | "name" | "sign"; text: string };

/**
 * Compiles an expression. The result takes how often the message was retried before (0 at the first retry) and
 * gives milliseconds; it can be negative or not finite.
 * @throws SyntaxError with the reason.
 */
export function compileRetryDelay(text: string): Evaluate {
  const tokens = tokenize(text);
  let position = 0;

  function takeSign(...signs: string[]): string | undefined {
    const token = tokens[position];
    if (token?.kind !== "sign" || !signs.includes(token.text)) return undefined;
    position += 1;
    return token.text;
  }

  function expect(sign: string): void {
    if (takeSign(sign) === undefined) throw new SyntaxError(`"${sign}" expected`);
  }

  function sum(): Evaluate {
    let left = product();
    for (let sign = takeSign("+", "-"); sign !== undefined; sign = takeSign("+", "-")) {
      left = combine(sign, left, product());
    }
    return left;
  }

  function product(): Evaluate {
    let left = unary();
    for (let sign = takeSign("*", "/", "%"); sign !== undefined; sign = takeSign("*", "/", "%")) {
      left = combine(sign, left, unary());
    }
    return left;
  }

  function unary(): Evaluate {
    if (takeSign("+") !== undefined) return unary();
    if (takeSign("-") === undefined) return primary();
    const value = unary();
    return (retried) => -value(retried);
  }

  function primary(): Evaluate {
    if (takeSign("(") !== undefined) {
      const inner = sum();
      expect(")");
      return inner;
    }
    const token = tokens[position];
    if (token === undefined) throw new SyntaxError("unexpected end");
    position += 1;
    if (token.kind === "number") {
      const value = Number(token.text);
      return () => value;
    }
    if (token.kind === "sign") throw new SyntaxError(`unexpected "${token.text}"`);
    if (token.text === "retried") return (retried) => retried;
    return call(token.text);
  }

  function call(name: string): Evaluate {
    const known = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
    if (!known) throw new SyntaxError(`unknown name "${name}"`);
    expect("(");
    const values = [sum()];
    while (takeSign(",") !== undefined) values.push(sum());
    expect(")");
    if (values.length !== known.arity) throw new SyntaxError(`${name} takes ${known.arity} value(s)`);
    return (retried) => known.apply(...values.map((value) => value(retried)));
  }

  const compiled = sum();
  if (position < tokens.length) throw new SyntaxError(`unexpected "${tokens[position]?.text}"`);
  return compiled;
}

function combine(sign: string, left: Evaluate, right: Evaluate): Evaluate {
  switch (sign) {
    case "+":
      return (retried) => left(retried) + right(retried);
    case "-":
      return (retried) => left(retried) - right(retried);
    case "*":
      return (retried) => left(retried) * right(retried);
    case "/":
      return (retried) => left(retried) / right(retried);
    default:
      return (retried) => left(retried) % right(retried);
  }
}

function tokenize(text: string): Token[] {
  if (text.length > EXPRESSION_MAX_CHARS)
    throw new SyntaxError(`longer than ${EXPRESSION_MAX_CHARS} characters`);
  const source = text.trimEnd();
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const at = TOKEN.lastIndex;
    const [, number, name, sign] = TOKEN.exec(source) ?? [];
    const token: Token | undefined =
      number !== undefined
        ? { kind: "number", text: number }
        : name !== undefined
          ? { kind: "name", text: name }
          : sign !== undefined
            ? { kind: "sign", text: sign }
            : undefined;
    if (!token) throw new SyntaxError(`unexpected "${source.slice(at).trimStart().charAt(0)}"`);
    tokens.push(token);
  }
  return tokens;
}
