import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { homedir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

const MAY_TAKE_TO_END_MS = 5_000; // the server writes what it still holds before it ends

export type ServerProcess = ChildProcessWithoutNullStreams;

/** Starts the server's process; rejects where there is no such program. */
export async function launch([program, ...args]: readonly [string, ...string[]]): Promise<ServerProcess> {
  // The home folder: with the open folder as its own, a `python -m` would import modules lying there.
  const child = spawn(program, args, { cwd: homedir(), windowsHide: true });
  await once(child, "spawn"); // rejects at an "error" event
  child.on("error", () => child.kill("SIGKILL")); // a signal or a message that did not reach it
  return child;
}

/** Gives a process that was asked to end the time to do so, then kills it. */
export function endInTime(child: ServerProcess): void {
  const timer = setTimeout(() => child.kill("SIGKILL"), MAY_TAKE_TO_END_MS);
  child.once("exit", () => { clearTimeout(timer); });
}

/** Kills a process whose start failed. Gives its exit code where it had ended by itself. */
export async function discard(child: ServerProcess): Promise<number | null> {
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  if (!hasEnded()) {
    await Promise.race([once(child, "exit"), sleep(500)]); // a broken pipe is noticed before the exit behind it
  }
  if (!hasEnded()) {
    child.kill("SIGKILL");
  }
  return child.exitCode;
}
