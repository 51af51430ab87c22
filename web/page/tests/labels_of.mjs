// The labels of a labelled PLY, as the program and the page write it for a binary little-endian scan without lists.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SIZES = { char: 1, uchar: 1, int8: 1, uint8: 1, short: 2, ushort: 2, int16: 2, uint16: 2, int: 4, uint: 4, int32: 4, uint32: 4, float: 4, float32: 4, double: 8, float64: 8 };
const TARGET = fileURLToPath(new URL('../../../target/', import.meta.url));

/** `[n]`, class ids. */
export function labelsOf(bytes) {
  const end = bytes.indexOf('end_header\n') + 'end_header\n'.length;
  const lines = bytes.toString('latin1', 0, end).split('\n');
  if (!lines.includes('format binary_little_endian 1.0')) throw new Error(`not binary: ${lines[1]}`);
  const count = Number(lines.find((line) => line.startsWith('element vertex ')).split(' ')[2]);
  let stride = 0;
  let at = -1;
  for (const [word, type, name] of lines.map((line) => line.split(' '))) {
    if (word !== 'property') continue;
    if (name === 'label') at = stride;
    stride += SIZES[type];
  }
  if (at < 0 || bytes.length !== end + count * stride) throw new Error('no labels, or more than vertices');
  return Int32Array.from({ length: count }, (_, row) => bytes.readInt32LE(end + row * stride + at));
}

/** What the native program says of a scan on the CPU, with voxels of the model's size or so many metres; POINTTPA names the program. */
export function nativeLabels(scan, voxels = null) {
  const named = process.env.POINTTPA;
  if (named && !existsSync(named)) throw new Error(`POINTTPA names ${named}, which is not there`);
  const programs = [named, join(TARGET, 'release/pointtpa'), join(TARGET, 'debug/pointtpa')];
  const program = programs.find((path) => path && existsSync(path));
  if (!program) throw new Error('build the program first (cargo build --release), or name it with POINTTPA');
  const folder = mkdtempSync(join(tmpdir(), 'pointtpa-native-'));
  try {
    const out = join(folder, 'labelled.ply');
    execFileSync(program, ['segment', scan, '-o', out, '--device', 'cpu', '--quiet', ...(voxels ? ['--grid', String(voxels)] : [])]);
    return labelsOf(readFileSync(out));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Points of each class, most first. */
export function tally(labels) {
  const points = new Map();
  for (const label of labels) points.set(label, (points.get(label) ?? 0) + 1);
  return [...points.values()].sort((a, b) => b - a);
}

/** The share of points on which two agree. */
export function agreement(a, b) {
  if (a.length !== b.length) throw new Error(`${a.length} and ${b.length} labels`);
  return a.filter((label, row) => label === b[row]).length / a.length;
}
