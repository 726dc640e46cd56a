/** A model's bytes. They are only read. A Blob is read piece by piece in a worker, and as a whole elsewhere. */
export type Model = Uint8Array | ArrayBuffer | Blob;
export type Files = Record<string, Model>;
/** Called for what takes longer than a second, with a step's name and how much of it is done, 0 to 1. */
export type Progress = (step: string, fraction: number) => void;

interface Common {
  /** What lies beside the model, by name: external data. */
  files?: Files;
  progress?: Progress;
}

/** The options of the command, in camelCase. A list is one option for each of its elements. */
export interface FuseOptions extends Common {
  /** What messages call the model; "model.onnx". */
  name?: string;
  only?: string | string[];
  skip?: string | string[];
  maxGrowth?: number;
  tolerance?: number;
  noCheck?: boolean;
  freeze?: string | string[];
  outputs?: string | string[];
  /** "NAME:1,3,224,224" */
  inputShape?: string | string[];
  equalize?: 'tensor' | 'channel';
  /** Measured ranges for `equalize`, as JSON or NPZ. */
  statistics?: Model;
  externalData?: string;
  dryRun?: boolean;
  /** Also make the report as an HTML page with pictures. */
  html?: boolean;
}

/** docs/report.md describes all of it. */
export interface Report {
  changed: boolean;
  fusions: { pass: string; output: string; source: string; [field: string]: unknown }[];
  refusals: unknown[];
  warnings: unknown[];
  before: { ops: number; [field: string]: unknown };
  after: { ops: number; [field: string]: unknown };
  [field: string]: unknown;
}

export interface Fused {
  /** Undefined after a dry run. */
  model: Uint8Array | undefined;
  changed: boolean;
  report: Report;
  /** Each fusion and each refusal with its reason, and the table. */
  explanation: string;
  html: string | undefined;
  /** What else was written beside the model: external data. */
  files: Record<string, Uint8Array>;
}

interface CompareOptions extends Common {
  /** What messages call the two; ["a.onnx", "b.onnx"]. */
  names?: [string, string];
  rtol?: number;
  atol?: number;
}

export interface DiffOptions extends CompareOptions {
  strict?: boolean;
  all?: boolean;
  ignore?: string | string[];
}

export interface VerifyOptions extends CompareOptions {
  trials?: number;
  seed?: number;
  outputs?: 'all' | 'common';
  layers?: boolean;
  /** Arrays to try beside random ones, as numpy.savez writes them. */
  inputs?: Model;
}

export interface Run {
  /** As of the command: 0 done or the same, 1 a warning or different, 2 an error or undecided. */
  status: number;
  stdout: string;
  stderr: string;
  /** What was written. */
  files: Record<string, Uint8Array>;
}

/** Fuses a model. Throws an Error with the command's message; so do the functions below. */
export function fuse(model: Model, options?: FuseOptions): Promise<Fused>;
/** What changed from a to b. docs/diff.md describes the report. */
export function diff(a: Model, b: Model, options?: DiffOptions):
  Promise<{ verdict: 'same' | 'different'; report: Record<string, unknown> }>;
/** Whether a and b compute the same. docs/verify.md describes the report. */
export function verify(a: Model, b: Model, options?: VerifyOptions):
  Promise<{ verdict: 'same' | 'different' | 'undecided'; report: Record<string, unknown> }>;
/** What is in a model, and what fusing would make of it. docs/info.md describes the report. */
export function info(model: Model, options?: Common & { name?: string }): Promise<Record<string, unknown>>;
/** The command with these words behind its name, on these files and no others. Throws for no error of the command. */
export function run(words: string[], files?: Files, progress?: Progress): Promise<Run>;
