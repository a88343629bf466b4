import { setTimeout as sleep } from "node:timers/promises";
import * as vscode from "vscode";
import type { Job } from "../messages";
import type { Server } from "../server";
import { figuresOf } from "../wording";

const ASK_EVERY_MS = 300;

/** Gives a job's last state once it has ended; until then tells `seen` how it goes. */
export async function endOf(server: Server, jobId: string, seen?: (job: Job) => Promise<void>): Promise<Job> {
  for (;;) {
    const job = (await server.call("remanence.jobs", { jobId })).jobs[0];
    if (job === undefined) {
      throw new Error(`the server knows no job ${jobId}`);
    }
    if (hasEnded(job)) {
      return job;
    }
    await seen?.(job);
    await sleep(ASK_EVERY_MS);
  }
}

/**
 * Shows the progress of a job that this window did not start, and cancels it when the user does.
 * (A job that a command of this window starts is shown by the server itself.)
 */
export function followJob(server: Server, jobId: string, title: string): Thenable<Job> {
  const options = { location: vscode.ProgressLocation.Notification, title, cancellable: true };
  return vscode.window.withProgress(options, (progress, token) => {
    let cancelling = false;
    let shown = 0;
    return endOf(server, jobId, async (job) => {
      progress.report({ message: job.message, increment: Math.max(0, (job.progress - shown) * 100) });
      shown = Math.max(shown, job.progress);
      if (token.isCancellationRequested && !cancelling) {
        cancelling = true;
        await server.call("remanence.cancel", { jobId });
      }
    });
  });
}

export function hasEnded(job: Job): boolean {
  return job.state !== "queued" && job.state !== "running";
}

/** Says how an import ended: its counts that are not zero, and the first failures. */
export function tellImported(job: Job, what: string): void {
  const figures = figuresOf(job);
  if (job.state === "failed") {
    void vscode.window.showErrorMessage(`Remanence: ${what} failed: ${job.error ?? "the output says why"}`);
  } else if (job.state === "cancelled") {
    void vscode.window.showInformationMessage(`Remanence: ${what} was cancelled. What was stored until then stays: ${figures}.`);
  } else if (job.reasons.length > 0) {
    void vscode.window.showWarningMessage(`Remanence: ${what} is done: ${figures}. ${job.reasons.slice(0, 3).join("; ")}`);
  } else {
    void vscode.window.showInformationMessage(`Remanence: ${what} is done: ${figures}.`);
  }
}
