// Puts the page together: what the user does, what the worker answers, and what is then shown.

import { Client, type NamedFile } from './client';
import { Cloud } from './cloud';
import { MODES, type Layers } from './colors';
import { describe } from './describe';
import { showDevice } from './device_card';
import { csv, save, stem, summary } from './downloads';
import { byId } from './element';
import { startEmbedding, type Sent } from './embedding';
import { extentOf } from './extent';
import { isCancelled, Rejection } from './failure';
import { Jobs } from './job';
import { startKeyboard } from './keyboard';
import { Legend, tally } from './legend';
import { announce } from './live';
import { isAdapter, isModelName } from './model_file';
import { clearNotices, failed, notice } from './notices';
import { workOffline } from './offline';
import { BUNDLED, ModelPicker } from './picker';
import { Picking } from './picking';
import { Plan } from './plan';
import { showPoint } from './point_card';
import type { Class, DeviceInfo, ModelInfo, OpenedScan, Segmentation } from './protocol';
import { bytes, counted, duration, length, percent } from './quantities';
import { withRecovery } from './recovery';
import { startSheet } from './sheet';
import { fetchAddress, fetchSample, SAMPLES, startSources, type Sample } from './sources';
import { Machine } from './state';
import { Teach, type Lesson } from './teach';
import { startTheme } from './theme';
import { upOf } from './up';
import { ViewControls } from './view_controls';
import { Viewer } from './viewer';

interface Shown {
  name: string;
  opened: OpenedScan;
  layers: Layers;
  segmentation: Segmentation | null;
  /** If the embedding page has sent it. */
  sent: Sent | null;
}

const query = new URLSearchParams(location.search);
const client = new Client();
const machine = new Machine();
const jobs = new Jobs(() => client.cancel());
const legend = new Legend();
const picker = new ModelPicker();
const plan = new Plan();
const viewer = new Viewer(byId<HTMLCanvasElement>('canvas'));
const controls = new ViewControls(viewer);
const picking = new Picking(viewer);
const teach = new Teach(viewer);

let device: DeviceInfo | null = null;
let model: ModelInfo | null = null;
let modelName = BUNDLED;
/** The bundled model on its way, or another one that was chosen. */
let modelReady: Promise<void> | null = null;
let shown: Shown | null = null;
/** What was there before the last lesson. */
let beforeLesson: { segmentation: Segmentation; model: ModelInfo; adapter: NamedFile | null } | null = null;

// ── the model ──

function setModel(name: string, info: ModelInfo): void {
  modelName = name;
  model = info;
  picker.show(name, info);
  plan.reset(info.gridSize);
  beforeLesson = null;
  teach.reset(info.labels.classes);
}

/** Sees to it that the worker has a model, or will have one when it is asked. */
function needModel(): Promise<void> {
  modelReady ??= (async () => {
    try {
      setModel(modelName, await client.model(await picker.file(modelName)));
    } catch (error) {
      modelReady = null;
      throw error;
    }
  })();
  return modelReady;
}

/** Another model or adapter: labels of the one before say nothing about it. */
async function changeModel(title: string, name: string, load: () => Promise<ModelInfo>): Promise<void> {
  try {
    setModel(name, await jobs.run(title, () => withRecovery(client, load, say)));
    modelReady = Promise.resolve();
    announce(`The model is ${name}`);
    if (shown) await backToDescription();
  } catch (error) {
    picker.refresh();
    failed(error);
  }
}

picker.onChoose = (name) => void changeModel(`Loading ${name}`, name, async () => client.model(await picker.file(name)));

async function openModelFile(file: File): Promise<void> {
  if (await isAdapter(file)) {
    await needModel().catch(failed);
    await changeModel(`Laying ${file.name} over ${modelName}`, modelName, () => client.applyAdapter({ name: file.name, file }));
    return;
  }
  const added = { name: file.name, file };
  await changeModel(`Loading ${file.name}`, file.name, async () => {
    const info = await client.model(added);
    picker.add(added);
    return info;
  });
}

byId('adapter-remove').addEventListener('click', () => {
  void changeModel('Taking the adapter off', modelName, () => client.removeAdapter());
});

// ── the scan ──

async function openScan(title: string, load: () => Promise<NamedFile>, sent: Sent | null = null): Promise<void> {
  clearNotices();
  try {
    const [name, opened] = await jobs.run(title, async () => {
      const file = await load();
      // Without a model a scan can still be looked at.
      await needModel().catch(failed);
      return [file.name, await withRecovery(client, () => client.open(file), say)] as const;
    });
    await showScan(name, opened, sent);
    if (sent?.run) await segment();
  } catch (error) {
    failed(error);
    if (error instanceof Error) sent?.failure(error.message);
  }
}

async function showScan(name: string, opened: OpenedScan, sent: Sent | null): Promise<void> {
  const { positions, normals, colors, description } = opened;
  const extent = await extentOf(positions, normals);
  const up = upOf(description.up);
  const cloud = await Cloud.of(opened, extent, up);
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
  shown = { name, opened, layers, segmentation: null, sent };
  beforeLesson = null;
  picking.point = null;
  viewer.show(cloud);
  teach.reset(layers.classes);
  describe(name, opened);
  plan.labelled = false;
  plan.show(opened.estimate);
  if (model) plan.reset(model.gridSize);
  machine.enter('described');
  picking.enabled = false;
  document.title = `${name}: pointtpa`;
  byId('scan-title').focus({ preventScroll: true });
  announce(`${name}: ${counted(description.points, 'point')}, ${counted(description.warnings.length, 'warning')}`);
  await controls.start(layers);
}

/** The scan as it was opened, with an estimate for the model of today. */
async function backToDescription(): Promise<void> {
  if (!shown) return;
  const { layers } = shown;
  Object.assign(layers, { labels: null, confidence: null, features: null, similarity: null });
  layers.classes = model?.labels.classes ?? [];
  shown.segmentation = null;
  picking.point = null;
  picking.enabled = false;
  viewer.cloud?.setLabels(null);
  teach.active = false;
  plan.labelled = false;
  machine.enter('described');
  await controls.recolor();
  await estimate();
}

async function estimate(): Promise<void> {
  if (!shown) return;
  try {
    shown.opened.estimate = await client.estimate(plan.gridSize);
    plan.show(shown.opened.estimate);
  } catch (error) {
    failed(error);
  }
}

plan.onGrid = () => void estimate();

// ── the run ──

function say(text: string): void {
  notice('info', text);
}

function refuseWhileBusy(): boolean {
  if (jobs.busy) announce('Something is still being computed. Cancel it first.');
  return jobs.busy;
}

async function segment(): Promise<void> {
  if (!shown || refuseWhileBusy()) return;
  const scan = shown;
  const before = machine.state;
  machine.enter('running');
  try {
    const segmentation = await jobs.run(
      'Labelling the points',
      async ({ onProgress }) => {
        await needModel();
        return withRecovery(client, () => client.segment(plan.gridSize, onProgress), say);
      },
      { expected: scan.opened.estimate.seconds },
    );
    if (shown !== scan) return;
    scan.layers.classes = model?.labels.classes ?? [];
    machine.enter('labelled');
    await showSegmentation(segmentation, true);
    for (const warning of segmentation.warnings) notice('info', warning);
    scan.sent?.result(segmentation, scan.layers.classes);
    void estimate();
  } catch (error) {
    if (shown !== scan) return;
    machine.enter(before);
    failed(error, remedies(error));
    if (error instanceof Error && !isCancelled(error)) scan.sent?.failure(error.message);
  }
}

/** What the page can offer to do about a failure. */
function remedies(error: unknown): { text: string; run: () => void }[] {
  if (!(error instanceof Rejection)) return [];
  if (error.kind === 'memory') {
    const size = shown?.opened.estimate.fittingGridSize ?? plan.coarser;
    return [{ text: `Use voxels of ${length(size)}`, run: () => plan.choose(size) }];
  }
  return error.kind === 'crash' ? [{ text: 'Try again', run: () => void segment() }] : [];
}

async function showSegmentation(segmentation: Segmentation, fresh: boolean): Promise<void> {
  if (!shown) return;
  const { layers } = shown;
  const { labels, confidence } = segmentation;
  shown.segmentation = segmentation;
  Object.assign(layers, { labels, confidence, features: null, similarity: null });
  picking.point = null;
  byId('point').hidden = true;
  picking.enabled = machine.is('labelled');
  plan.labelled = true;
  viewer.cloud?.setLabels(labels);
  const rows = tally(labels, layers.classes);
  legend.show(rows);
  const { voxels, seconds, peakBytes } = segmentation;
  byId('result-line').textContent = `${counted(voxels, 'voxel')} in ${duration(seconds)}, ${bytes(peakBytes)} at most`;
  if (fresh) {
    const top = rows.slice(0, 3).map((row) => `${row.class.name} ${percent(row.share)}`);
    announce(`Labelled in ${duration(seconds)}. ${counted(rows.length, 'class', 'classes')}: ${top.join(', ')}`);
    await controls.choose('class');
  } else {
    await controls.recolor();
  }
}

function showClasses(): void {
  viewer.cloud?.setClasses(teach.classes, (id) => legend.visible(id));
  viewer.draw();
}

legend.onChange = showClasses;
teach.onClasses = showClasses;

controls.onFailure = (error) => failed(error);
controls.needFeatures = async () => {
  const { colors } = await jobs.run('Reading the features', ({ onProgress }) => client.ask('features', {}, onProgress));
  return colors;
};

// ── a point ──

picking.onPick = (point) => void pick(point);

async function pick(point: number | null): Promise<void> {
  if (!shown || !machine.is('labelled')) return;
  if (point === null) {
    closePoint();
    return;
  }
  if (refuseWhileBusy()) return;
  const scan = shown;
  picking.point = point;
  try {
    const report = await jobs.run('Looking at the point', ({ onProgress }) => client.ask('point', { point }, onProgress));
    if (shown !== scan || picking.point !== point) return;
    const { positions, origin } = scan.opened;
    const place = [0, 1, 2].map((axis) => positions[3 * point + axis]! + origin[axis]!) as [number, number, number];
    announce(showPoint(point, place, report, scan.layers.classes));
    byId('point').hidden = false;
    byId('point').scrollIntoView({ block: 'nearest' });
  } catch (error) {
    picking.point = null;
    failed(error);
  }
}

function closePoint(): void {
  const within = byId('point').contains(document.activeElement);
  picking.point = null;
  byId('point').hidden = true;
  if (within) viewer.canvas.focus();
}

byId('point-close').addEventListener('click', closePoint);
byId('similar-button').addEventListener('click', () => void similar());

async function similar(): Promise<void> {
  const { point } = picking;
  if (!shown || point === null || refuseWhileBusy()) return;
  const { layers } = shown;
  try {
    const ask = { point };
    const { similarity } = await jobs.run('Comparing features', ({ onProgress }) => client.ask('similar', ask, onProgress));
    layers.similarity = similarity;
    await controls.choose('similarity');
    announce('Bright points are like the picked one');
  } catch (error) {
    failed(error);
  }
}

// ── teaching ──

byId('teach-button').addEventListener('click', () => {
  if (!machine.is('labelled') || refuseWhileBusy()) return;
  closePoint();
  picking.enabled = false;
  machine.enter('teaching');
  teach.active = true;
  void controls.choose('class');
});

function leaveTeaching(): void {
  if (!machine.is('teaching')) return;
  teach.active = false;
  machine.enter('labelled');
  picking.enabled = true;
}

byId('teach-leave').addEventListener('click', leaveTeaching);
teach.onLearn = (lesson) => void learn(lesson);

async function learn(lesson: Lesson): Promise<void> {
  if (!shown?.segmentation || !model || refuseWhileBusy()) return;
  const scan = shown;
  const before = { segmentation: shown.segmentation, model, adapter: client.adapter };
  machine.enter('learning');
  teach.active = false;
  teach.startLearning();
  try {
    const { report, adapter } = await jobs.run(
      'Learning from the paint',
      ({ onProgress }) => withRecovery(client, () => client.teach(lesson, onProgress), say),
      { expected: lesson.seconds, onProgress: (progress) => teach.learning(progress) },
    );
    if (shown !== scan) return;
    beforeLesson = before;
    model = { ...before.model, labels: report.labels, adapter: adapter.name };
    scan.layers.classes = report.labels.classes;
    teach.learned(report, differing(before.segmentation.labels, report.segmentation.labels));
    await showSegmentation(report.segmentation, false);
    await controls.choose('class');
    scan.sent?.result(report.segmentation, report.labels.classes);
  } catch (error) {
    teach.stopped();
    failed(error);
  }
  if (shown !== scan || !machine.is('learning')) return;
  machine.enter('teaching');
  teach.active = true;
}

function differing(a: Int32Array, b: Int32Array): number {
  let count = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) count += 1;
  return count;
}

byId('teach-undo').addEventListener('click', () => void undoLesson());

async function undoLesson(): Promise<void> {
  const before = beforeLesson;
  if (!shown || !before || refuseWhileBusy()) return;
  try {
    const undone = await jobs.run('Undoing', () => client.undo(before.adapter));
    beforeLesson = null;
    model = undone?.model ?? before.model;
    shown.layers.classes = model.labels.classes;
    teach.unlearned(model.labels.classes);
    await showSegmentation(undone?.segmentation ?? before.segmentation, false);
    byId('teach-title').focus({ preventScroll: true });
  } catch (error) {
    failed(error);
  }
}

byId('adapter-download').addEventListener('click', () => {
  if (shown && client.adapter) save(`${stem(shown.name)}.adapter.safetensors`, client.adapter.file);
});

// ── downloads ──

function download(id: string, ending: string, make: (scan: Shown & { segmentation: Segmentation }) => Promise<Blob>): void {
  byId(id).addEventListener('click', async () => {
    if (!shown?.segmentation || refuseWhileBusy()) return;
    const scan = { ...shown, segmentation: shown.segmentation };
    try {
      const name = stem(scan.name) + ending;
      save(name, await jobs.run(`Writing ${name}`, () => make(scan)));
      announce(`${name} is downloaded`);
    } catch (error) {
      failed(error);
    }
  });
}

download('download-ply', '.labelled.ply', async () => {
  const { bytes } = await client.ask('export', { recolor: byId<HTMLInputElement>('recolor').checked });
  return new Blob([bytes]);
});
download('download-csv', '.labels.csv', ({ opened, segmentation, layers }) => csv(opened, segmentation, layers.classes));
download('download-json', '.summary.json', async ({ opened, segmentation, layers }) => {
  if (!model) throw new Error('There is no model.');
  return summary(opened, segmentation, layers.classes, model, device);
});
download('download-png', '.png', () => viewer.png());

// ── the device ──

client.onDevice = (found) => {
  device = found;
  const text = showDevice(found);
  if (text) announce(text);
};

const deviceChoice = byId<HTMLSelectElement>('device-choice');
deviceChoice.addEventListener('change', async () => {
  try {
    await jobs.run('Starting the device', () => client.start(deviceChoice.value));
    if (!model) await needModel();
    if (shown) await estimate();
  } catch (error) {
    failed(error);
  }
});

viewer.onContext = (lost) => {
  if (lost) say('The browser has taken the view away to save graphics memory. It comes back by itself; nothing is lost.');
  else announce('The view is back');
};

// ── where scans come from ──

function openFiles(files: File[]): void {
  const models = files.filter(({ name }) => isModelName(name));
  const scan = files.find(({ name }) => !isModelName(name));
  void (async () => {
    // A model before an adapter, and both before the scan that they are for.
    const adapters = await Promise.all(models.map(isAdapter));
    for (const wanted of [false, true]) {
      for (const [i, file] of models.entries()) if (adapters[i] === wanted) await openModelFile(file);
    }
    if (scan) await openScan(`Reading ${scan.name}`, async () => ({ name: scan.name || 'scan.ply', file: scan }));
  })();
}

const openSample = (sample: Sample): void => void openScan(`Reading ${sample.name}`, () => fetchSample(sample));
startSources(openFiles, openSample);
startEmbedding((sent) => void openScan(`Reading ${sent.name}`, async () => sent, sent));

function openFromAddress(): void {
  const [address, wanted] = [query.get('url'), query.get('sample')];
  if (address) {
    void openScan(`Downloading ${address}`, () => fetchAddress(new URL(address, document.baseURI).href, () => {}));
  } else if (wanted) {
    const sample = SAMPLES.find(({ name }) => name === wanted || name === `${wanted}.ply`);
    if (sample) openSample(sample);
    else failed(new Error(`There is no sample ${wanted}. There are ${SAMPLES.map(({ name }) => stem(name)).join(', ')}.`));
  }
}

// ── keys and the rest ──

byId('run-button').addEventListener('click', () => void segment());

function enterInView(): void {
  if (machine.is('teaching')) teach.dab();
  else if (picking.enabled) void picking.pickMiddle();
}

function escape(): void {
  if (jobs.busy) jobs.cancel();
  else if (picking.point !== null) closePoint();
  else leaveTeaching();
}

startKeyboard([
  { key: 'o', shown: 'O', does: 'open a scan', run: () => byId('scan-input').click() },
  { key: 'l', shown: 'L', does: 'label the points', run: () => machine.is('described', 'labelled') && void segment() },
  { key: 'Enter', shown: 'Enter', does: 'pick or paint the middle of the view', view: true, run: enterInView },
  { key: '.', shown: '.', does: 'turn about the point in the middle', run: () => void picking.focusMiddle() },
  ...MODES.map((mode, i) => ({
    key: String(i + 1),
    shown: i === 0 ? `1 … ${MODES.length}` : '',
    does: 'colours: original, class, confidence, …',
    run: () => void controls.choose(mode),
  })),
  { key: 'c', shown: 'C', does: 'compare with the original colours', run: () => controls.compare() },
  { key: '[', shown: '[  ]', does: 'smaller, larger points', run: () => controls.resize(-0.25) },
  { key: ']', shown: '', does: '', run: () => controls.resize(0.25) },
  { key: 'r', shown: 'R  T  F', does: 'reset the view, from the top, from the front', run: () => controls.look('reset') },
  { key: 't', shown: '', does: '', run: () => controls.look('top') },
  { key: 'f', shown: '', does: '', run: () => controls.look('front') },
  { key: 'z', ctrl: true, shown: 'Ctrl Z', does: 'undo a stroke', run: () => machine.is('teaching') && teach.undoStroke() },
  { key: 'Escape', shown: 'Esc', does: 'cancel, or close', run: escape },
]);

startTheme(() => viewer.draw());
startSheet();
workOffline();

const wantedDevice = query.get('device') ?? 'auto';
if (wantedDevice === 'cpu') deviceChoice.value = 'cpu';
client
  .start(wantedDevice)
  .then(needModel)
  .catch(failed);
openFromAddress();
