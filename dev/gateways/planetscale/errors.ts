/**
 * SQL failures as PlanetScale reports them: a gRPC code, and a message in the form vttablet gives it.
 * @module
 */

export type ErrorCode =
  | "ABORTED"
  | "ALREADY_EXISTS"
  | "CANCELED"
  | "DEADLINE_EXCEEDED"
  | "FAILED_PRECONDITION"
  | "INVALID_ARGUMENT"
  | "NOT_FOUND"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "UNAVAILABLE"
  | "UNIMPLEMENTED"
  | "UNKNOWN";

/** What goes into `error` of an Execute answer. */
export type WireError = { code: ErrorCode; message: string };

/** A statement that failed, whether the server, the connection or the gateway refused it. */
export class SqlFailure extends Error {
  readonly code: ErrorCode;
  /** MySQL's error number; null when Vitess gives none, as for a transaction that is gone. */
  readonly errno: number | null;
  readonly sqlState: string;

  constructor(code: ErrorCode, text: string, errno: number | null = null, sqlState = "HY000") {
    super(text);
    this.name = "SqlFailure";
    this.code = code;
    this.errno = errno;
    this.sqlState = sqlState;
  }
}

// Vitess' mapping (go/vt/vttablet/tabletserver, convertErrorCode); 1317, 1927 and 1969 are MariaDB's own numbers
// for an interrupted statement, a killed connection and max_statement_time.
const ERRNOS: Partial<Record<ErrorCode, number[]>> = {
  ABORTED: [1078, 1080, 1152, 1213],
  ALREADY_EXISTS: [1050, 1062, 1086, 1125],
  CANCELED: [1317, 1927, 2013],
  DEADLINE_EXCEEDED: [1205, 1969, 3024],
  FAILED_PRECONDITION: [
    1046, 1082, 1091, 1099, 1100, 1104, 1148, 1162, 1165, 1169, 1173, 1179, 1207, 1215, 1216, 1217, 1223,
    1230, 1241, 1242, 1264, 1288, 1289, 1291, 1451, 1452,
  ],
  INVALID_ARGUMENT: [
    1047, 1048, 1049, 1051, 1052, 1055, 1056, 1057, 1058, 1059, 1060, 1061, 1063, 1064, 1065, 1066, 1067,
    1068, 1069, 1070, 1071, 1072, 1073, 1074, 1075, 1083, 1084, 1085, 1089, 1090, 1093, 1096, 1097, 1101,
    1102, 1103, 1106, 1107, 1108, 1110, 1111, 1113, 1115, 1116, 1117, 1118, 1120, 1121, 1128, 1136, 1138,
    1139, 1140, 1144, 1149, 1166, 1167, 1170, 1171, 1172, 1193, 1204, 1210, 1221, 1222, 1225, 1228, 1229,
    1231, 1232, 1233, 1234, 1238, 1239, 1240, 1245, 1247, 1248, 1250, 1253, 1267, 1270, 1271, 1272, 1273,
    1280, 1281, 1283, 1292, 1293, 1294, 1298, 1300, 1366, 1406, 1690,
  ],
  NOT_FOUND: [1029, 1032, 1054, 1094, 1109, 1122, 1141, 1146, 1147, 1176],
  PERMISSION_DENIED: [1044, 1045, 1095, 1211, 1227],
  RESOURCE_EXHAUSTED: [1021, 1037, 1038, 1040, 1041, 1114, 1129, 1135, 1151, 1153, 1203, 1206, 1226],
  UNAVAILABLE: [1053, 2002, 2003, 2006],
  UNIMPLEMENTED: [1235],
};

const CODE_BY_ERRNO = new Map(
  Object.entries(ERRNOS).flatMap(([code, errnos]) =>
    errnos.map((errno) => [errno, code as ErrorCode] as const),
  ),
);

/** The gRPC code of a MySQL error number; `UNKNOWN` for one that Vitess does not map. */
export function codeOfErrno(errno: number): ErrorCode {
  return CODE_BY_ERRNO.get(errno) ?? "UNKNOWN";
}

/** The server has closed the connection, or the network has: errno 2006. */
export function connectionLost(): SqlFailure {
  return new SqlFailure("UNAVAILABLE", "MySQL server has gone away", 2006);
}

/** A refusal by the server (error packet), or the loss of the connection. */
export function failureOfStatement(error: unknown): SqlFailure {
  return serverFailure(error) ?? connectionLost();
}

/** Why no connection could be had: the server's own refusal, or errno 2003 with the cause of the network. */
export function failureOfConnecting(error: unknown, host: string, port: number): SqlFailure {
  const { code: cause } = Object(error) as Record<string, unknown>;
  const text = `Can't connect to MySQL server on '${host}:${port}' (${typeof cause === "string" ? cause : String(error)})`;
  return serverFailure(error) ?? new SqlFailure("UNAVAILABLE", text, 2003);
}

function serverFailure(error: unknown): SqlFailure | null {
  if (error instanceof SqlFailure) return error;
  const { errno, sqlState, sqlMessage } = error as {
    errno?: unknown;
    sqlState?: unknown;
    sqlMessage?: unknown;
  };
  // Errors of the network have a negative errno of the operating system and no SQL text.
  if (typeof errno !== "number" || errno <= 0 || typeof sqlMessage !== "string") return null;
  return new SqlFailure(
    codeOfErrno(errno),
    sqlMessage,
    errno,
    typeof sqlState === "string" ? sqlState : "HY000",
  );
}

const SQL_IN_MESSAGE_LIMIT = 1_000;

/** `error` of the answer. The statement in the message is cut at 1,000 characters. */
export function toWireError(
  failure: SqlFailure,
  context: { database: string; user: string; sql: string },
): WireError {
  const rpcCode = failure.code
    .split("_")
    .map((word) => word.charAt(0) + word.slice(1).toLowerCase())
    .join("");
  const target = `target: ${context.database}.-.primary: vttablet: rpc error: code = ${rpcCode} desc =`;
  const caller = `(CallerID: ${context.user})`;
  if (failure.errno === null) {
    return { code: failure.code, message: `${target} ${failure.message} ${caller}` };
  }
  const numbers = `(errno ${failure.errno}) (sqlstate ${failure.sqlState})`;
  const { sql } = context;
  const shown = sql.length > SQL_IN_MESSAGE_LIMIT ? `${sql.slice(0, SQL_IN_MESSAGE_LIMIT)} [TRUNCATED]` : sql;
  return {
    code: failure.code,
    message: `${target} ${failure.message} ${numbers} ${caller}: Sql: ${JSON.stringify(shown)}, BindVars: {}`,
  };
}
