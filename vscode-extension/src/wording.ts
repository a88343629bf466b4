/** How things are said in lists and messages. Knows nothing of VS Code. */

import type { Job, ModelState } from "./messages";

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
