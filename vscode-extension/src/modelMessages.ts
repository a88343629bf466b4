/** The Structs of server/remanence/engine/model_messages.py, field by field. */

import type { PackedMemory } from "./messages";

export interface AskRequest {
  prompt: string;
  model?: string | null;
  tokenBudget?: number | null;
  maxTokens?: number;
  temperature?: number;
  withMemory?: boolean;
  remember?: boolean;
  uri?: string | null;
  languageId?: string | null;
  symbol?: string | null;
  workspace?: string | null;
  conversationId?: string | null;
  window?: string | null;
}

export interface AskResponse {
  answer: string;
  memories: PackedMemory[];
  exchangeId: string | null;
  model: string | null;
  finish: string;
  promptTokens: number;
  answerTokens: number;
  degraded: string | null;
}

export interface ModelsRequest {
  action?: "list" | "load" | "unload";
  id?: string | null;
}

export interface ModelState {
  id: string;
  backend: string;
  place: string;
  state: "unloaded" | "loading" | "loaded" | "busy" | "failed" | "remote";
  isDefault: boolean;
  sizeMb: number;
  rssMb: number;
  pid: number | null;
  idleSeconds: number | null;
  context: number | null;
  adapter: string | null;
  problem: string | null;
}

export interface ModelAdvice {
  name: string;
  quantisation: string;
  sizeMb: number;
  note: string;
}

export interface ModelsResponse {
  models: ModelState[];
  profile: string;
  totalMb: number;
  limitMb: number;
  recommended: ModelAdvice[];
  warning: string | null;
}
