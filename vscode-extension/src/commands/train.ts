import * as vscode from "vscode";
import type { TrainRequest } from "../learningMessages";
import type { Job } from "../messages";
import type { Server } from "../server";
import { planOf } from "../wording";
import { endOf, followJob } from "./followJob";

const TRAIN = "Train";
const AFRESH = "From the Bare Model";

/** Shows what a run would learn and take, and begins it once the user agrees. */
export async function train(server: Server): Promise<void> {
  const options = { location: vscode.ProgressLocation.Notification, title: "Remanence: planning a training run" };
  const { plan } = await vscode.window.withProgress(options, () => server.call("remanence.train", { dryRun: true }));
  if (plan.refusal !== null) {
    void vscode.window.showWarningMessage(`Remanence: ${plan.refusal}`, { modal: true, detail: planOf(plan) });
    return;
  }
  const what = plan.facts.length === 1 ? "1 fact" : `${plan.facts.length} facts`;
  const answer = await vscode.window.showInformationMessage(
    `Train the language model on ${what}?`,
    { modal: true, detail: planOf(plan) },
    TRAIN,
    ...(plan.parent === null ? [] : [AFRESH]),
  );
  if (answer !== undefined) {
    await begin(server, { afresh: answer === AFRESH });
  }
}

async function begin(server: Server, request: TrainRequest): Promise<void> {
  const { jobId, note } = await server.call("remanence.train", request);
  if (jobId === null) {
    return;
  }
  // The server shows the progress of what this window began, and only of that.
  tellLearned(note === null ? await endOf(server, jobId) : await followJob(server, jobId, `Remanence: ${note}`));
}

/** Says how a job that makes or judges an adapter ended, with the gate's reasons where it was not activated. */
export function tellLearned(job: Job): void {
  if (job.state === "failed") {
    void vscode.window.showErrorMessage(`Remanence: ${job.error ?? "the job failed; the output says why"}`);
  } else if (job.state === "cancelled") {
    void vscode.window.showInformationMessage("Remanence: cancelled. No adapter was activated.");
  } else {
    void vscode.window.showInformationMessage(`Remanence: ${[job.message, ...job.reasons.slice(0, 3)].join("; ")}`);
  }
}
