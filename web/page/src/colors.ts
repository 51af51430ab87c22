// Colours of points, by what the user wants to see. Written into a buffer of red, green, blue and one unused byte per point: GPUs take
// attributes by four bytes.

import { nextTask, SLICE } from './next_task';
import { CONFIDENCE, HEIGHT, SIMILARITY, type Palette } from './palettes';
import type { Class } from './protocol';
import type { Up } from './up';

export const MODES = ['original', 'class', 'confidence', 'normal', 'height', 'features', 'similarity'] as const;
export type Mode = (typeof MODES)[number];

export const MODE_NAMES: Record<Mode, string> = {
  original: 'Original',
  class: 'Class',
  confidence: 'Confidence',
  normal: 'Normal',
  height: 'Height',
  features: 'Features',
  similarity: 'Similarity',
};

/** What is known of the points; null what is not (yet). */
export interface Layers {
  points: number;
  positions: Float32Array;
  up: Up;
  /** Lowest and highest point, metres along `up`. */
  heights: [number, number];
  colors: Uint8Array | null;
  normals: Float32Array | null;
  labels: Int32Array | null;
  confidence: Float32Array | null;
  features: Uint8Array | null;
  similarity: Float32Array | null;
  classes: Class[];
}

/** Of points without a class, and of scans without colours. */
const GREY = 148;

export function canShow(mode: Mode, layers: Layers): boolean {
  switch (mode) {
    case 'class':
    // Features are computed when they are first asked for.
    case 'features':
      return layers.labels !== null;
    case 'confidence':
      return layers.confidence !== null;
    case 'normal':
      return layers.normals !== null;
    case 'similarity':
      return layers.similarity !== null;
    case 'original':
    case 'height':
      return true;
  }
}

/** Fills `out` in slices. False if `stop` said so in between, because something else is to be shown. */
export async function paintMode(mode: Mode, layers: Layers, out: Uint8Array, stop: () => boolean): Promise<boolean> {
  for (let from = 0; from < layers.points; from += SLICE) {
    if (from > 0) await nextTask();
    if (stop()) return false;
    paintSlice(mode, layers, out, from, Math.min(from + SLICE, layers.points));
  }
  return true;
}

function paintSlice(mode: Mode, layers: Layers, out: Uint8Array, from: number, to: number): void {
  switch (mode) {
    case 'original':
      return copied(layers.colors, out, from, to);
    case 'features':
      return copied(layers.features, out, from, to);
    case 'class':
      return byClass(layers, out, from, to);
    case 'normal':
      return byNormal(layers.normals, out, from, to);
    case 'confidence':
      return byNumber(layers.confidence, 0, 1, CONFIDENCE, out, from, to);
    case 'similarity':
      return byNumber(layers.similarity, 0, 1, SIMILARITY, out, from, to);
    case 'height':
      return byHeight(layers, out, from, to);
  }
}

function copied(colors: Uint8Array | null, out: Uint8Array, from: number, to: number): void {
  if (!colors) {
    out.fill(GREY, 4 * from, 4 * to);
    return;
  }
  for (let i = from; i < to; i++) {
    out[4 * i] = colors[3 * i]!;
    out[4 * i + 1] = colors[3 * i + 1]!;
    out[4 * i + 2] = colors[3 * i + 2]!;
  }
}

function byClass({ labels, classes }: Layers, out: Uint8Array, from: number, to: number): void {
  const largest = classes.reduce((most, { id }) => Math.max(most, id), 0);
  const table = new Uint8Array(3 * (largest + 2)).fill(GREY);
  for (const { id, color } of classes) table.set(color, 3 * (id + 1));
  for (let i = from; i < to; i++) {
    const at = 3 * ((labels?.[i] ?? -1) + 1);
    out[4 * i] = table[at] ?? GREY;
    out[4 * i + 1] = table[at + 1] ?? GREY;
    out[4 * i + 2] = table[at + 2] ?? GREY;
  }
}

function byNormal(normals: Float32Array | null, out: Uint8Array, from: number, to: number): void {
  if (!normals) return;
  for (let i = from; i < to; i++) {
    for (let axis = 0; axis < 3; axis++) out[4 * i + axis] = 127.5 + 127.5 * normals[3 * i + axis]!;
  }
}

function byNumber(
  values: Float32Array | null,
  low: number,
  high: number,
  palette: Palette,
  out: Uint8Array,
  from: number,
  to: number,
): void {
  if (!values) return;
  const scale = 255 / (high - low);
  for (let i = from; i < to; i++) {
    const share = (values[i]! - low) * scale;
    const at = 3 * (share > 255 ? 255 : share > 0 ? share | 0 : 0);
    out[4 * i] = palette[at]!;
    out[4 * i + 1] = palette[at + 1]!;
    out[4 * i + 2] = palette[at + 2]!;
  }
}

function byHeight({ positions, up, heights: [low, high] }: Layers, out: Uint8Array, from: number, to: number): void {
  const scale = 255 / Math.max(high - low, 1e-9);
  for (let i = from; i < to; i++) {
    const share = (up.sign * positions[3 * i + up.axis]! - low) * scale;
    const at = 3 * (share > 255 ? 255 : share > 0 ? share | 0 : 0);
    out[4 * i] = HEIGHT[at]!;
    out[4 * i + 1] = HEIGHT[at + 1]!;
    out[4 * i + 2] = HEIGHT[at + 2]!;
  }
}
