// What the page and its worker say to each other.
//
// The page sends a Request with a number of its own; the worker answers with one Answer of that number, and with any
// number of Progress messages before it. Requests are answered in order. To cancel, the page ends the worker and starts
// another one: work in WebAssembly cannot be interrupted, and a worker can.

/** A class of a label set. */
export interface Class {
  id: number;
  name: string;
  /** Red, green, blue, 0 to 255. */
  color: [number, number, number];
}

/** The device that computes. */
export interface DeviceInfo {
  /** `gpu`: a real one over WebGPU; `software`: an adapter that is a program; `cpu`: WebAssembly. */
  kind: 'gpu' | 'software' | 'cpu';
  /** For people, for example `NVIDIA GeForce RTX 3060 (BrowserWebGpu)`. */
  description: string;
  /** Why it is no GPU, in words; empty if it is one. */
  reason: string;
}

/** A model that is loaded. */
export interface ModelInfo {
  name: string;
  /** Bytes of its file. */
  bytes: number;
  parameters: number;
  /** Edge of a voxel, metres. */
  gridSize: number;
  labels: { name: string; classes: Class[] };
  licence: string | null;
  provenance: string | null;
  note: string | null;
  /** The adapter that was laid over it, if one was. */
  adapter: string | null;
}

export interface Guess {
  answer: string;
  reason: string;
}

/** What a scan file holds, before any work: as `pointtpa info --json` says it. */
export interface Description {
  file: string;
  format: string;
  points: number;
  non_finite_points: number;
  /** `name:type`, in file order. */
  properties: string[];
  elements: { name: string; count: number }[];
  faces: number;
  warnings: string[];
  up: Guess | null;
  units: Guess | null;
  [more: string]: unknown;
}

/** An opened scan. Arrays have one row per point, in the file's order. */
export interface OpenedScan {
  description: Description;
  /** [n, 3], metres about the middle of the scan's box. NaN where the file has no finite coordinates. */
  positions: Float32Array;
  /** Metres to add to get the file's coordinates. */
  origin: [number, number, number];
  /** [n, 3], 0 to 255, or null if the file has none. */
  colors: Uint8Array | null;
  /** [n, 3], or null if the file has none. */
  normals: Float32Array | null;
  /** What a run will take. */
  estimate: Estimate;
}

export interface Estimate {
  voxels: number;
  /** Bytes of tensors. */
  memory: number;
  /** Seconds; null until a run on this device has shown how fast it is. */
  seconds: number | null;
  /** In words, if the scan is too big for the device; with the voxel size that would fit. */
  problem: string | null;
  /** Metres; the smallest voxel that fits, if `problem`. */
  fittingGridSize: number | null;
}

export interface Segmentation {
  /** [n]: class ids, -1 where there is none. */
  labels: Int32Array;
  /** [n], 0 to 1. */
  confidence: Float32Array;
  voxels: number;
  seconds: number;
  /** Seconds per stage, in order. */
  stages: [string, number][];
  peakBytes: number;
  warnings: string[];
}

/** The most likely classes of a point, best first. */
export interface PointReport {
  label: number;
  top: { label: number; probability: number }[];
}

export interface TeachReport {
  steps: number;
  seconds: number;
  /** Loss of every step. */
  losses: number[];
  segmentation: Segmentation;
  labels: { name: string; classes: Class[] };
}

/** A failure, in plain words. */
export interface Failure {
  /** `scan`, `model`, `memory`, `device-lost`, `no-adapter`, `argument`, `diverged`, `other`. */
  kind: string;
  /** What was wrong, where, and what to do. */
  message: string;
}

/** Every request, with what answers it. */
export interface Calls {
  /** First of all. `cpu` asks for WebAssembly; `auto` takes a GPU, else WebAssembly; a name takes that adapter, also a
   *  software one; `software` takes such a one by any name. `memory`: the most bytes that
   *  tensors may take, null for what a tab can be trusted with. */
  start: { ask: { device: string; memory: number | null }; answer: DeviceInfo };
  /** Compiles every shader there is, to see whether this browser takes them all. */
  shaders: { ask: Record<string, never>; answer: { entryPoints: number; problems: string[] } };
  /** A model file (.safetensors); replaces the one before. */
  model: { ask: { name: string; bytes: ArrayBuffer }; answer: ModelInfo };
  /** A scan file; replaces the one before. */
  open: { ask: { name: string; bytes: ArrayBuffer }; answer: OpenedScan };
  estimate: { ask: { gridSize: number | null }; answer: Estimate };
  segment: { ask: { gridSize: number | null; smaller: boolean }; answer: Segmentation };
  /** [n, 3], 0 to 255: the first three principal components of the network's features. After `segment`. */
  features: { ask: Record<string, never>; answer: { colors: Uint8Array } };
  /** [n], -1 to 1: cosine of each point's features with those of one. */
  similar: { ask: { point: number }; answer: { similarity: Float32Array } };
  point: { ask: { point: number }; answer: PointReport };
  /**
   * The labelled scan: `ply` with every property of the input, or `las` with the class as classification. `leftOut`: points without
   * coordinates, which LAS has no place for.
   */
  export: { ask: { format: 'ply' | 'las'; recolor: boolean }; answer: { bytes: ArrayBuffer; leftOut: number } };
  /**
   * Fine-tunes head and adapter on painted points for about so many seconds, and segments the scan anew. `labels` [n] is
   * a class id per point, -1 for points that say nothing; ids from the end of the model's on are new classes, named in
   * `added`.
   */
  teach: { ask: { labels: Int32Array; added: Omit<Class, 'id'>[]; seconds: number }; answer: TeachReport };
  /** Goes back to before the last `teach`. */
  undo: { ask: Record<string, never>; answer: { model: ModelInfo; segmentation: Segmentation } };
  /** What `teach` learned, as a file for `pointtpa segment --adapter`. */
  adapter: { ask: Record<string, never>; answer: { bytes: ArrayBuffer } };
  /** Lays such a file over the model. */
  applyAdapter: { ask: { name: string; bytes: ArrayBuffer }; answer: ModelInfo };
}

export type Call = keyof Calls;

export type Request = { [C in Call]: { id: number; call: C; ask: Calls[C]['ask'] } }[Call];

export interface Progress {
  id: number;
  progress: {
    /** `voxelize`, `normals`, `pyramid`, `enc0`, …, `head`, `labels`; `step 12` while it learns. */
    stage: string;
    /** 0 to 1. */
    done: number;
    /** While it learns. */
    loss: number | null;
  };
}

export type Answer = { id: number; answer: unknown } | { id: number; failure: Failure };
