// The run, and what is shown of its result.

import { byId } from './element';
import { isCancelled, Rejection } from './failure';
import { tally } from './legend';
import { announce } from './live';
import type { Models } from './models';
import { failed, notice, say, type Action } from './notices';
import type { Page } from './page';
import type { Segmentation } from './protocol';
import { bytes, counted, duration, length, percent } from './quantities';
import { withRecovery } from './recovery';
import { estimate } from './scans';

export async function segment(page: Page, models: Models): Promise<void> {
  const { client, machine, jobs, plan, shown } = page;
  if (!shown || page.refuseWhileBusy()) return;
  const before = machine.state;
  machine.enter('running');
  try {
    const segmentation = await jobs.run(
      'Labelling the points',
      async ({ onProgress, signal }) => {
        await models.need();
        signal.throwIfAborted();
        const label = (smaller: boolean) => client.segment(plan.gridSize, smaller, onProgress);
        return withRecovery(client, label, say, 'Trying once more, in smaller tiles.');
      },
      { expected: shown.opened.estimate.seconds },
    );
    if (page.shown !== shown) return;
    shown.layers.classes = page.model?.labels.classes ?? [];
    machine.enter('labelled');
    await showSegmentation(page, segmentation);
    sayResult(segmentation, page);
    shown.sent?.result(segmentation, shown.layers.classes);
    // The device has shown how fast it is.
    void estimate(page);
  } catch (error) {
    if (page.shown !== shown) return;
    machine.enter(before);
    failed(error, remedies(error, page, models));
    if (error instanceof Error && !isCancelled(error)) shown.sent?.failure(error.message);
  }
}

/** What the page can offer to do about a failure. */
function remedies(error: unknown, page: Page, models: Models): Action[] {
  const { plan, shown } = page;
  if (!(error instanceof Rejection)) return [];
  if (error.kind === 'memory') {
    const size = shown?.opened.estimate.fittingGridSize ?? plan.coarser;
    return [{ text: `Use voxels of ${length(size)}`, run: () => plan.choose(size) }];
  }
  return error.kind === 'crash' ? [{ text: 'Try again', run: () => void segment(page, models) }] : [];
}

/** Shows labels in place of those before. Colours of the old ones give way to the classes. */
export async function showSegmentation(page: Page, segmentation: Segmentation): Promise<void> {
  const { shown, picking, viewer } = page;
  if (!shown) return;
  const { labels, confidence, voxels, seconds, peakBytes } = segmentation;
  shown.segmentation = segmentation;
  Object.assign(shown.layers, { labels, confidence, features: null, similarity: null });
  picking.point = null;
  byId('point').hidden = true;
  picking.enabled = page.machine.is('labelled');
  page.plan.labelled = true;
  viewer.cloud?.setLabels(labels);
  page.legend.show(tally(labels, shown.layers.classes));
  byId('result-line').textContent = `${counted(voxels, 'voxel')} in ${duration(seconds)}, ${bytes(peakBytes)} at most`;
  await page.controls.choose('class');
}

function sayResult({ labels, seconds, warnings }: Segmentation, { shown }: Page): void {
  const rows = tally(labels, shown?.layers.classes ?? []);
  const top = rows.slice(0, 3).map((row) => `${row.class.name} ${percent(row.share)}`);
  announce(`Labelled in ${duration(seconds)}. ${counted(rows.length, 'class', 'classes')}: ${top.join(', ')}`);
  for (const warning of warnings) notice('info', warning);
}
