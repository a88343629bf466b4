import * as vscode from "vscode";
import type { Job } from "../messages";
import type { Server } from "../server";
import { ageOf, figuresOf } from "../wording";
import { followJob, hasEnded, tellImported } from "./followJob";

interface JobItem extends vscode.QuickPickItem {
  readonly job: Job;
}

/** Lists the jobs, the newest first; choosing one that runs shows its progress, from where it can be cancelled. */
export async function showJobs(server: Server): Promise<void> {
  const { jobs } = await server.call("remanence.jobs", {});
  if (jobs.length === 0) {
    void vscode.window.showInformationMessage("Remanence: there are no jobs.");
    return;
  }
  const newestFirst = [...jobs].sort((a, b) => b.createdAt - a.createdAt);
  const chosen = await vscode.window.showQuickPick<JobItem>(newestFirst.map(jobItem), {
    title: "Remanence: Jobs",
    placeHolder: "Choose a job to follow it",
  });
  if (chosen === undefined) {
    return;
  }
  const { job } = chosen;
  const what = `the job “${job.kind}”`;
  tellImported(hasEnded(job) ? job : await followJob(server, job.jobId, `Remanence: ${job.kind}`), what);
}

/** Cancels the job that is chosen among those that run. */
export async function cancelJob(server: Server): Promise<void> {
  const running = (await server.call("remanence.jobs", {})).jobs.filter((job) => !hasEnded(job));
  if (running.length === 0) {
    void vscode.window.showInformationMessage("Remanence: no job is running.");
    return;
  }
  const chosen = await vscode.window.showQuickPick<JobItem>(running.map(jobItem), {
    title: "Remanence: Cancel Job",
    placeHolder: "Choose a job to cancel it",
  });
  if (chosen !== undefined) {
    await server.call("remanence.cancel", { jobId: chosen.job.jobId });
    void vscode.window.showInformationMessage(`Remanence: the job “${chosen.job.kind}” is being cancelled.`);
  }
}

function jobItem(job: Job): JobItem {
  const state = job.state === "running" ? `running, ${Math.round(job.progress * 100)} %` : job.state;
  return {
    label: job.kind,
    description: job.createdAt === 0 ? state : `${state} · ${ageOf(job.createdAt, Date.now())}`,
    detail: job.error ?? (job.message || figuresOf(job)),
    job,
  };
}
