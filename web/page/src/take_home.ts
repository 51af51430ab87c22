// The buttons that download something.

import { csv, save, stem, summary } from './downloads';
import { byId } from './element';
import { announce } from './live';
import { failed, say } from './notices';
import type { Page, Shown } from './page';
import type { Segmentation } from './protocol';
import { counted } from './quantities';

type Labelled = Shown & { segmentation: Segmentation };

export function startDownloads(page: Page): void {
  const download = (id: string, ending: string, make: (scan: Labelled) => Promise<Blob>): void => {
    byId(id).addEventListener('click', async () => {
      const { shown } = page;
      if (!shown?.segmentation || page.refuseWhileBusy()) return;
      const scan = { ...shown, segmentation: shown.segmentation };
      const name = stem(scan.name) + ending;
      try {
        save(name, await page.jobs.run(`Writing ${name}`, () => make(scan)));
        announce(`${name} is downloaded`);
      } catch (error) {
        failed(error);
      }
    });
  };
  for (const format of ['ply', 'las'] as const) {
    download(`download-${format}`, `.labelled.${format}`, async () => {
      const { bytes, leftOut } = await page.client.ask('export', { format, recolor: byId<HTMLInputElement>('recolor').checked });
      if (leftOut > 0) say(`${counted(leftOut, 'point')} without coordinates cannot be in a LAS file.`);
      return new Blob([bytes]);
    });
  }
  download('download-csv', '.labels.csv', ({ opened, segmentation, layers }) => csv(opened, segmentation, layers.classes));
  download('download-json', '.summary.json', async ({ opened, segmentation, layers }) =>
    summary(opened, segmentation, layers.classes, page.model, page.device),
  );
  download('download-png', '.png', () => page.viewer.png());
  byId('adapter-download').addEventListener('click', () => {
    const { adapter } = page.client;
    if (page.shown && adapter) save(`${stem(page.shown.name)}.adapter.safetensors`, adapter.file);
  });
}
