/** The commands of the server. */

import type {
  AdaptersRequest,
  AdaptersResponse,
  AutomaticRequest,
  AutomaticResponse,
  ConsolidateRequest,
  DecisionsRequest,
  DecisionsResponse,
  EvaluateRequest,
  FactsRequest,
  FactsResponse,
  TrainRequest,
  TrainResponse,
} from "./learningMessages";
import type {
  CancelRequest,
  CaptureRequest,
  CaptureResponse,
  EnrichPromptRequest,
  EnrichPromptResponse,
  ForgetRequest,
  ForgetResponse,
  ImportRequest,
  ImportResponse,
  JobStarted,
  JobsRequest,
  JobsResponse,
  RecallRequest,
  RecallResponse,
  SourcesRequest,
  SourcesResponse,
  StatusResponse,
  SyncRequest,
} from "./messages";
import type {
  AskRequest,
  AskResponse,
  ModelsRequest,
  ModelsResponse,
} from "./modelMessages";

/** Each command of the server, with what it takes and what it gives. */
export interface Verbs {
  "remanence.capture": { takes: CaptureRequest; gives: CaptureResponse };
  "remanence.recall": { takes: RecallRequest; gives: RecallResponse };
  "remanence.enrichPrompt": { takes: EnrichPromptRequest; gives: EnrichPromptResponse };
  "remanence.ask": { takes: AskRequest; gives: AskResponse };
  "remanence.models": { takes: ModelsRequest; gives: ModelsResponse };
  "remanence.forget": { takes: ForgetRequest; gives: ForgetResponse };
  "remanence.import": { takes: ImportRequest; gives: ImportResponse };
  "remanence.sync": { takes: SyncRequest; gives: ImportResponse };
  "remanence.sources": { takes: SourcesRequest; gives: SourcesResponse };
  "remanence.jobs": { takes: JobsRequest; gives: JobsResponse };
  "remanence.cancel": { takes: CancelRequest; gives: JobsResponse };
  "remanence.status": { takes: Record<string, never>; gives: StatusResponse };
  "remanence.facts": { takes: FactsRequest; gives: FactsResponse };
  "remanence.decisions": { takes: DecisionsRequest; gives: DecisionsResponse };
  "remanence.consolidate": { takes: ConsolidateRequest; gives: JobStarted };
  "remanence.train": { takes: TrainRequest; gives: TrainResponse };
  "remanence.evaluate": { takes: EvaluateRequest; gives: JobStarted };
  "remanence.adapters": { takes: AdaptersRequest; gives: AdaptersResponse };
  "remanence.automatic": { takes: AutomaticRequest; gives: AutomaticResponse };
}
