/**
 * The environment that the parts of the local cloud are given.
 * @module
 */

/** What programs need to run at all on Linux, macOS and Windows, and how Docker is reached. */
const PASSED_ON =
  /^(?:PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_.*|TZ|TMPDIR|TEMP|TMP|TERM|COLORTERM|NO_COLOR|FORCE_COLOR|LD_LIBRARY_PATH|DYLD_.*|DOCKER_.*|SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC|PATHEXT|PROGRAMDATA|PROGRAMFILES.*|APPDATA|LOCALAPPDATA|USERPROFILE|USERNAME|HOMEDRIVE|HOMEPATH|PROCESSOR_.*|NUMBER_OF_PROCESSORS)$/i;

/**
 * The caller's environment without its settings: a `DATABASE_URL`, `QSTASH_TOKEN` or `CLOUDFLARE_ENV` that
 * somebody exported for production would otherwise win over the local one.
 */
export function systemEnvironment(env: NodeJS.Dict<string> = process.env): NodeJS.Dict<string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => PASSED_ON.test(name)));
}

/** For `spawn`: the generated types promise that every environment has the Worker's settings. */
export function asProcessEnv(env: NodeJS.Dict<string>): NodeJS.ProcessEnv {
  return env as NodeJS.ProcessEnv;
}
