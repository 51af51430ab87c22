// Files to take home, named after the scan.

import { tally } from './legend';
import { nextTask } from './next_task';
import type { Class, DeviceInfo, ModelInfo, OpenedScan, Segmentation } from './protocol';

/** Rows of text that are made before the browser is let in. */
const ROWS = 5_000;

export function save(name: string, file: Blob): void {
  const link = document.createElement('a');
  link.download = name;
  link.href = URL.createObjectURL(file);
  link.click();
  // Not at once: the browser may not have begun to read.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** `living_room.ply` → `living_room`. */
export function stem(name: string): string {
  return name.replace(/\.gz$/i, '').replace(/\.[^.]*$/, '') || 'scan';
}

/** One row per point: where it is in the file's coordinates, its class and how sure that is. */
export async function csv(scan: OpenedScan, { labels, confidence }: Segmentation, classes: Class[]): Promise<Blob> {
  const { positions, origin } = scan;
  const names = new Map(classes.map(({ id, name }) => [id, /[",\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name]));
  // A blob each, for the browser copies strings when they become one, and all of them at once would block it.
  const parts = [new Blob(['x,y,z,label,class,confidence\n'])];
  for (let from = 0; from < labels.length; from += ROWS) {
    if (from > 0) await nextTask();
    let text = '';
    for (let i = from; i < Math.min(from + ROWS, labels.length); i++) {
      const label = labels[i]!;
      for (let axis = 0; axis < 3; axis++) text += `${(positions[3 * i + axis]! + origin[axis]!).toFixed(4)},`;
      text += `${label},${names.get(label) ?? ''},${confidence[i]!.toFixed(4)}\n`;
    }
    parts.push(new Blob([text]));
  }
  return new Blob(parts, { type: 'text/csv' });
}

/** What was found, without the points. */
export function summary(
  scan: OpenedScan,
  segmentation: Segmentation,
  classes: Class[],
  model: ModelInfo | null,
  device: DeviceInfo | null,
): Blob {
  const { labels, confidence: _, ...run } = segmentation;
  const found = tally(labels, classes).map(({ class: { id, name, color }, points, share }) => ({ id, name, color, points, share }));
  const text = JSON.stringify(
    {
      scan: scan.description,
      model: model && { name: model.name, adapter: model.adapter, gridSize: model.gridSize, labels: model.labels.name },
      device,
      run,
      classes: found,
    },
    null,
    2,
  );
  return new Blob([text], { type: 'application/json' });
}
