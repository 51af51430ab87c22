// Learning from painted points, and undoing it.

import { byId } from './element';
import { showSegmentation } from './labelling';
import { failed, say } from './notices';
import type { Page } from './page';
import { closePoint } from './point_questions';
import { withRecovery } from './recovery';
import type { Lesson } from './teach';

export function enterTeaching(page: Page): void {
  const { controls, machine, picking, teach } = page;
  if (!machine.is('labelled') || page.refuseWhileBusy()) return;
  closePoint(page);
  picking.enabled = false;
  machine.enter('teaching');
  teach.active = true;
  teach.shown = true;
  void controls.choose('class');
}

export function leaveTeaching({ machine, picking, teach }: Page): void {
  if (!machine.is('teaching')) return;
  teach.active = false;
  teach.shown = false;
  machine.enter('labelled');
  picking.enabled = true;
}

export async function learn(page: Page, lesson: Lesson): Promise<void> {
  const { client, jobs, machine, model, shown, teach } = page;
  if (!shown?.segmentation || !model || page.refuseWhileBusy()) return;
  const before = { segmentation: shown.segmentation, model, adapter: client.adapter };
  machine.enter('learning');
  teach.active = false;
  teach.startLearning();
  try {
    const { report, adapter } = await jobs.run(
      'Learning from the paint',
      ({ onProgress }) => withRecovery(client, () => client.teach(lesson, onProgress), say),
      { onProgress: (progress) => teach.learning(progress) },
    );
    if (page.shown !== shown) return;
    page.beforeLesson = before;
    page.model = { ...model, labels: report.labels, adapter: adapter.name };
    page.picker.show(page.modelName, page.model);
    shown.layers.classes = report.labels.classes;
    const { labels } = report.segmentation;
    teach.learned(report, differing(before.segmentation.labels, labels), labels);
    await showSegmentation(page, report.segmentation);
    shown.sent?.result(report.segmentation, report.labels.classes);
  } catch (error) {
    teach.stopped();
    failed(error);
  }
  if (page.shown !== shown || !machine.is('learning')) return;
  machine.enter('teaching');
  teach.active = true;
}

function differing(a: Int32Array, b: Int32Array): number {
  let count = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) count += 1;
  return count;
}

export async function undoLesson(page: Page): Promise<void> {
  const { beforeLesson: before, client, jobs, shown, teach } = page;
  if (!shown || !before || page.refuseWhileBusy()) return;
  try {
    const undone = await jobs.run('Undoing', () => client.undo(before.adapter));
    const model = undone?.model ?? before.model;
    page.beforeLesson = null;
    page.model = model;
    page.picker.show(page.modelName, model);
    shown.layers.classes = model.labels.classes;
    teach.unlearned(model.labels.classes);
    await showSegmentation(page, undone?.segmentation ?? before.segmentation);
    byId('teach-title').focus({ preventScroll: true });
  } catch (error) {
    failed(error);
  }
}
