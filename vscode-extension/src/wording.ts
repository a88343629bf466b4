/** How things are said in lists and messages. Knows nothing of VS Code. */

import type { AdapterFigures, TrainPlan } from "./learningMessages";
import type { Job } from "./messages";
import type { ModelState } from "./modelMessages";

const SHOWN_FACTS = 12;

/** "today", "3 days ago", "2 months ago": how long before `now` (both epoch milliseconds). */
export function ageOf(at: number, now: number): string {
  const days = Math.floor((now - at) / 86_400_000);
  const ago = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  if (days < 1) {
    return "today";
  }
  if (days < 60) {
    return ago.format(-days, "day");
  }
  return days < 730 ? ago.format(-Math.floor(days / 30), "month") : ago.format(-Math.floor(days / 365), "year");
}

export function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim().slice(0, 200);
}

/** "why-does-it-fail": a name for the document of a question, at most 60 characters; empty where it has no words. */
export function nameOf(question: string): string {
  return (question.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? []).join("-").slice(0, 60).replace(/-+$/, "");
}

/** "3 stored, 1 failed": the counts of a job that are not zero. */
export function figuresOf(job: Job): string {
  const parts = Object.entries(job.figures).filter(([, count]) => count > 0);
  return parts.length === 0 ? "nothing new" : parts.map(([name, count]) => `${count} ${name}`).join(", ");
}

/** "loaded, 812 MB, idle for 40 s": where a model is and what it takes. */
export function residencyOf({ state, rssMb, idleSeconds, sizeMb }: ModelState): string {
  const size = rssMb > 0 ? rssMb : sizeMb;
  const parts = [state, size > 0 ? `${size.toFixed(0)} MB` : "", idleSeconds === null ? "" : `idle for ${idleSeconds.toFixed(0)} s`];
  return parts.filter((part) => part !== "").join(", ");
}

/** Code as a Markdown block, behind a fence that nothing in it closes. */
export function fenced(code: string, language: string): string {
  const longest = Math.max(2, ...(code.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${code.replace(/\s+$/, "")}\n${fence}`;
}

/** What a training run would learn and take, in lines. */
export function planOf(plan: TrainPlan): string {
  const more = plan.facts.length - SHOWN_FACTS;
  return [
    ...plan.facts.slice(0, SHOWN_FACTS).map((fact) => `• ${oneLine(fact)}`),
    ...(more > 0 ? [`… and ${more} more`] : []),
    `Repeats ${plan.known} that were learned before.`,
    plan.parent === null ? `On ${plan.base}` : `On ${plan.base}, on from the adapter ${plan.parent}`,
    `At most about ${durationOf(plan.seconds)} and ${plan.memoryMb} MB, by the recipe ${plan.recipe}, at low priority.`,
    ...(plan.note === null ? [] : [plan.note]),
  ].join("\n");
}

/** "45 s", "12 min", "3.5 h". */
export function durationOf(seconds: number): string {
  if (seconds < 120) {
    return `${seconds.toFixed(0)} s`;
  }
  return seconds < 7200 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** An adapter in a list: its id and state, what it learned and when, and how it did when it was evaluated. */
export function adapterOf(adapter: AdapterFigures, now: number): { label: string; description: string; detail: string } {
  const from = adapter.parent === null ? [] : [adapter.mergedWith === null ? `on from ${adapter.parent}` : `of ${adapter.parent} and ${adapter.mergedWith}`];
  const judged = adapter.passed === null ? "not evaluated" : adapter.passed ? "passed its evaluation" : "did not pass its evaluation";
  const purpose = adapter.purpose === "facts" ? [] : [`for ${adapter.purpose}`];
  return {
    label: `${adapter.state === "active" ? "$(check) " : ""}${adapter.id}`,
    description: [adapter.state, ...purpose, `${adapter.facts} facts`, ageOf(adapter.createdAt, now)].join(" · "),
    detail: [judged, ...from, adapter.recipe, adapter.base].join(" · "),
  };
}

/** Adapters beside each other as a Markdown table: the share answered right, by kind of question, without and with recall. */
export function comparisonOf(adapters: AdapterFigures[], note: string | null): string {
  const kinds = [...new Set(adapters.flatMap(({ evaluation }) => Object.values(evaluation).flatMap((side) => Object.keys(side))))].sort();
  const sides = (adapter: AdapterFigures): string[] => ["adapter", "adapter with recall"].map((side) => row(adapter, side, kinds));
  const head = [`| adapter | asked | ${kinds.join(" | ")} |`, `|---|---|${kinds.map(() => "---:|").join("")}`];
  const made = adapters.map((adapter) => `- **${adapter.id}**: ${adapter.state}, ${adapter.facts} facts, ${adapter.recipe}`);
  return `# Adapters\n\n${made.join("\n")}\n\n${[...head, ...adapters.flatMap(sides)].join("\n")}\n${note === null ? "" : `\n${note}\n`}`;
}

function row(adapter: AdapterFigures, side: string, kinds: string[]): string {
  const scores = adapter.evaluation[side] ?? {};
  const cells = kinds.map((kind) => (scores[kind] === undefined ? "–" : `${(scores[kind].exact * 100).toFixed(0)} %`));
  return `| ${adapter.id} | ${side === "adapter" ? "alone" : "with recall"} | ${cells.join(" | ")} |`;
}
