// What the page asks about one point: what it is, and which are like it.

import { byId } from './element';
import { announce } from './live';
import { failed } from './notices';
import type { Page } from './page';
import { showPoint } from './point_card';

export async function askPoint(page: Page, point: number | null): Promise<void> {
  const { client, jobs, picking, shown } = page;
  if (!shown || !page.machine.is('labelled')) return;
  if (point === null) {
    closePoint(page);
    return;
  }
  if (page.refuseWhileBusy()) return;
  picking.point = point;
  try {
    const report = await jobs.run('Looking at the point', ({ onProgress }) => client.ask('point', { point }, onProgress));
    if (page.shown !== shown || picking.point !== point) return;
    const { positions, origin } = shown.opened;
    const place = origin.map((from, axis) => from + positions[3 * point + axis]!);
    announce(showPoint(point, place, report, shown.layers.classes));
    byId('point').hidden = false;
    byId('point').scrollIntoView({ block: 'nearest' });
  } catch (error) {
    picking.point = null;
    failed(error);
  }
}

export function closePoint({ picking, viewer }: Page): void {
  const card = byId('point');
  const focused = card.contains(document.activeElement);
  picking.point = null;
  card.hidden = true;
  if (focused) viewer.canvas.focus();
}

export async function askSimilar(page: Page): Promise<void> {
  const { client, controls, jobs, picking, shown } = page;
  const { point } = picking;
  if (!shown || point === null || page.refuseWhileBusy()) return;
  try {
    const found = await jobs.run('Comparing features', ({ onProgress }) => client.ask('similar', { point }, onProgress));
    shown.layers.similarity = found.similarity;
    await controls.choose('similarity');
    announce('Bright points are like the picked one');
  } catch (error) {
    failed(error);
  }
}
