// The box around a scan, how dense it is, and which way its normals look: what a view of it starts from. In slices.

import { nextTask, SLICE } from './next_task';

export interface Extent {
  low: [number, number, number];
  high: [number, number, number];
  /** Points with finite coordinates. */
  finite: number;
  /** Metres between neighbours, roughly. */
  spacing: number;
  /** Of the points with a normal, the share whose normal looks towards the middle of the box: near 1 for a room seen from within. */
  inward: number;
}

export async function extentOf(positions: Float32Array, normals: Float32Array | null): Promise<Extent> {
  const low: Extent['low'] = [Infinity, Infinity, Infinity];
  const high: Extent['high'] = [-Infinity, -Infinity, -Infinity];
  const points = positions.length / 3;
  let finite = 0;
  let inward = 0;
  let directed = 0;
  for (let from = 0; from < points; from += SLICE) {
    if (from > 0) await nextTask();
    for (let i = 3 * from; i < 3 * Math.min(from + SLICE, points); i += 3) {
      const x = positions[i]!;
      const y = positions[i + 1]!;
      const z = positions[i + 2]!;
      if (!Number.isFinite(x + y + z)) continue;
      finite += 1;
      if (x < low[0]) low[0] = x;
      if (y < low[1]) low[1] = y;
      if (z < low[2]) low[2] = z;
      if (x > high[0]) high[0] = x;
      if (y > high[1]) high[1] = y;
      if (z > high[2]) high[2] = z;
      if (!normals) continue;
      // The middle of the box is the origin (OpenedScan.positions).
      const towards = -(x * normals[i]! + y * normals[i + 1]! + z * normals[i + 2]!);
      if (towards !== 0) directed += 1;
      if (towards > 0) inward += 1;
    }
  }
  if (finite === 0) return { low: [0, 0, 0], high: [0, 0, 0], finite, spacing: 0.01, inward: 0 };
  const [a, b, c] = [high[0] - low[0], high[1] - low[1], high[2] - low[2]];
  // As if the points lay evenly on the faces of the box.
  const spacing = Math.sqrt((2 * (a * b + b * c + c * a)) / finite) || 0.01;
  return { low, high, finite, spacing, inward: directed ? inward / directed : 0 };
}
