// Puts the page together: which input leads to what.

import type { NamedFile } from './client';
import { showDevice } from './device_card';
import { stem } from './downloads';
import { byId } from './element';
import { startEmbedding, type Sent } from './embedding';
import type { Running } from './job';
import { startKeyboard } from './keyboard';
import { segment } from './labelling';
import { enterTeaching, learn, leaveTeaching, undoLesson } from './lessons';
import { announce } from './live';
import { isAdapter, isModelName } from './model_file';
import { Models } from './models';
import { failed, say } from './notices';
import { workOffline } from './offline';
import { Page } from './page';
import { askPoint, askSimilar, closePoint } from './point_questions';
import { backToDescription, estimate, openScan } from './scans';
import { bytes, sizeOf } from './quantities';
import { startSheet } from './sheet';
import { shortcuts } from './shortcuts';
import { fetchAddress, fetchSample, SAMPLES, startSources, type Sample } from './sources';
import { startDownloads } from './take_home';
import { startTheme } from './theme';

let page: Page;
try {
  page = new Page();
} catch (error) {
  failed(new Error('This browser gives no WebGL 2, which draws the points. Is graphics acceleration switched off in its settings?'));
  throw error;
}
const { client, controls, jobs, legend, picking, plan, teach, viewer } = page;
const models = new Models(page);
const query = new URLSearchParams(location.search);

const open = (title: string, load: (running: Running) => Promise<NamedFile>, sent: Sent | null = null): Promise<boolean> =>
  openScan(page, models, title, load, sent);
const label = (): void => void segment(page, models);

function showClasses(): void {
  viewer.cloud?.setClasses(teach.classes, (id) => legend.visible(id));
  viewer.draw();
}

legend.onChange = showClasses;
teach.onClasses = showClasses;
models.onChange = () => backToDescription(page);
plan.onGrid = () => void estimate(page);
picking.onPick = (point) => void askPoint(page, point);
teach.onLearn = (lesson) => void learn(page, lesson);
controls.onFailure = failed;
controls.needFeatures = async () => {
  const { colors } = await jobs.run('Reading the features', ({ onProgress }) => client.ask('features', {}, onProgress));
  return colors;
};
viewer.onContext = (lost) => {
  if (lost) say('The browser has taken the view away to save graphics memory. It comes back by itself; nothing is lost.');
  else announce('The view is back');
};
client.onDevice = (device) => {
  page.device = device;
  announce(showDevice(device));
};

const clicks: Record<string, () => void> = {
  'run-button': label,
  'point-close': () => closePoint(page),
  'similar-button': () => void askSimilar(page),
  'teach-button': () => enterTeaching(page),
  'teach-leave': () => leaveTeaching(page),
  'teach-undo': () => void undoLesson(page),
  'adapter-remove': () => void models.removeAdapter(),
};
for (const [id, act] of Object.entries(clicks)) byId(id).addEventListener('click', act);

const deviceChoice = byId<HTMLSelectElement>('device-choice');
deviceChoice.addEventListener('change', async () => {
  try {
    await jobs.run('Starting the device', async () => {
      await client.start(deviceChoice.value);
      await models.need();
    });
    await estimate(page);
  } catch (error) {
    failed(error);
  }
});

/** A model before an adapter, and both before the scan that they are for. */
async function openFiles(files: File[]): Promise<void> {
  const brought = files.filter(({ name }) => isModelName(name));
  const adapters = await Promise.all(brought.map(isAdapter));
  for (const wanted of [false, true]) {
    for (const [i, file] of brought.entries()) if (adapters[i] === wanted) await models.open(file);
  }
  const scan = files.find(({ name }) => !isModelName(name));
  if (scan) await open(`Reading ${scan.name}`, async () => ({ name: scan.name, file: scan }));
}

const openSample = (sample: Sample): void => void open(`Reading ${sample.name}`, () => fetchSample(sample));

function openQuery(): void {
  const [address, wanted] = [query.get('url'), query.get('sample')];
  if (address) {
    void open(`Downloading ${address}`, ({ onProgress }) =>
      fetchAddress(new URL(address, document.baseURI).href, (got, done) => {
        onProgress({ stage: bytes(got), done: done ?? 0, loss: null });
      }),
    );
  } else if (wanted) {
    const sample = SAMPLES.find(({ name }) => name === wanted || stem(name) === wanted);
    if (sample) openSample(sample);
    else failed(new Error(`There is no sample ${wanted}. There are ${SAMPLES.map(({ name }) => stem(name)).join(', ')}.`));
  }
}

startSources((files) => void openFiles(files), openSample);
startEmbedding(async (sent) => {
  if ((await open(`Reading ${sent.name}`, async () => sent, sent)) && sent.run) label();
});
startDownloads(page);
startKeyboard(shortcuts(page, label));
startTheme(() => viewer.draw());
startSheet();
workOffline();

client.memory = sizeOf(query.get('memory') ?? '');
const device = query.get('device') ?? 'auto';
if (device === 'cpu') deviceChoice.value = 'cpu';
client
  .start(device)
  .then(() => models.need())
  .catch(failed);
openQuery();
