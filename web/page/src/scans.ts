// Opening a scan, and what is shown of it before a run.

import type { NamedFile } from './client';
import { Cloud } from './cloud';
import type { Layers } from './colors';
import { describe } from './describe';
import { byId } from './element';
import type { Sent } from './embedding';
import { extentOf } from './extent';
import type { Running } from './job';
import { announce } from './live';
import type { Models } from './models';
import { nextTask } from './next_task';
import { clearNotices, failed, say } from './notices';
import type { Page } from './page';
import type { OpenedScan } from './protocol';
import { counted } from './quantities';
import { withRecovery } from './recovery';
import { upOf } from './up';

/** Opens what `load` brings; false if that has not worked. */
export async function openScan(
  page: Page,
  models: Models,
  title: string,
  load: (running: Running) => Promise<NamedFile>,
  sent: Sent | null = null,
): Promise<boolean> {
  clearNotices();
  try {
    const [name, opened] = await page.jobs.run(title, async (running) => {
      const file = await load(running);
      // Without a model a scan can still be looked at.
      await models.need().catch(failed);
      running.signal.throwIfAborted();
      return [file.name, await withRecovery(page.client, () => page.client.open(file), say)] as const;
    });
    await showScan(page, name, opened, sent);
    return true;
  } catch (error) {
    failed(error);
    if (error instanceof Error) sent?.failure(error.message);
    return false;
  }
}

async function showScan(page: Page, name: string, opened: OpenedScan, sent: Sent | null): Promise<void> {
  const { model, plan, picking, viewer } = page;
  const { positions, normals, colors, description } = opened;
  const up = upOf(description.up);
  const cloud = await Cloud.of(opened, await extentOf(positions, normals), up);
  await nextTask();
  const layers: Layers = {
    points: cloud.count,
    positions,
    up,
    heights: cloud.heights,
    colors,
    normals,
    labels: null,
    confidence: null,
    features: null,
    similarity: null,
    classes: model?.labels.classes ?? [],
  };
  page.shown = { name, opened, layers, segmentation: null, sent };
  page.beforeLesson = null;
  picking.point = null;
  picking.enabled = false;
  viewer.show(cloud);
  page.teach.active = false;
  page.teach.reset(layers.classes);
  describe(name, opened);
  if (model) plan.reset(model.gridSize);
  plan.labelled = false;
  plan.show(opened.estimate);
  page.machine.enter('described');
  document.title = `${name}: pointtpa`;
  byId('scan-title').focus({ preventScroll: true });
  announce(`${name}: ${counted(description.points, 'point')}, ${counted(description.warnings.length, 'warning')}`);
  await page.controls.start(layers);
}

/** The scan as it was opened, with an estimate for the model of today. */
export async function backToDescription(page: Page): Promise<void> {
  const { shown, picking, viewer } = page;
  if (!shown) return;
  const { layers } = shown;
  Object.assign(layers, { labels: null, confidence: null, features: null, similarity: null });
  layers.classes = page.model?.labels.classes ?? [];
  shown.segmentation = null;
  picking.point = null;
  picking.enabled = false;
  viewer.cloud?.setLabels(null);
  page.teach.active = false;
  page.plan.labelled = false;
  page.machine.enter('described');
  await page.controls.recolor();
  await estimate(page);
}

/** Asks anew what a run will take, after something that it depends on has changed. */
export async function estimate({ client, plan, shown }: Page): Promise<void> {
  if (!shown) return;
  try {
    shown.opened.estimate = await client.estimate(plan.gridSize);
    plan.show(shown.opened.estimate);
  } catch (error) {
    failed(error);
  }
}
