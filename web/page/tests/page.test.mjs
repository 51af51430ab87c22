// The page in Chromium: what a user does, from an empty page to an adapter file.
//
//   npm run build:fake && npm run test:fake     with the fake engine of this folder
//   npm run test                                with the real one, in web/dist
//
// SHOTS=folder keeps a picture of every state. DEVICE=name asks for a device, as ?device= does; SwiftShader, which is
// DEVICE=software, computes with voxels as coarse as the page offers, since it is hundreds of times slower than a GPU.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { agreement, labelsOf, nativeLabels } from './labels_of.mjs';
import { compileShaders } from './shaders.mjs';
import { serve } from './static_server.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const FAKE = process.argv.includes('--fake');
const FOLDER = here(FAKE ? '../../node_modules/.fake-dist' : '../../dist');
const SHOTS = process.env.SHOTS;
const DEVICE = process.env.DEVICE ? `device=${process.env.DEVICE}` : '';
const SCENE = readFileSync(here('../../../assets/scenes/living_room.ply'));
const POINTS = Number(/element vertex (\d+)/.exec(SCENE.toString('latin1', 0, 2000))[1]);
const AXE = readFileSync(here('../../node_modules/axe-core/axe.min.js'), 'utf8');

/** Milliseconds: a software adapter on a busy machine is slow. SwiftShader compiles a minute long before the first lesson. */
const PATIENCE = process.env.DEVICE === 'software' ? 400_000 : 120_000;
/** A cancel must free the page in this time, and the page must never be blocked for longer than that. */
const MOST_CANCEL = 250;
const MOST_BLOCKED = 100;

let host;
let browser;

before(async () => {
  if (SHOTS) mkdirSync(SHOTS, { recursive: true });
  host = await serve(FOLDER, { '/embedder.html': embedder });
  browser = await launch(['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']);
});

/** A browser that draws on the CPU. */
function launch(more) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
      '--disable-sync', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', ...more,
    ],
  });
}

after(async () => {
  await browser?.close();
  host?.close();
});

/** A page of its own, with what it complains about, asks the network for, and how long it was blocked. */
async function visit(query = '', options = {}, visitor = browser) {
  const context = await visitor.newContext({ viewport: { width: 1280, height: 800 }, acceptDownloads: true, ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const complaints = [];
  const requests = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.stack));
  context.on('request', (request) => requests.push(request.url()));
  await page.addInitScript(() => {
    globalThis.blocked = [];
    new PerformanceObserver((list) => globalThis.blocked.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask' });
  });
  await page.goto(`${host.address}?${[DEVICE, query].filter(Boolean).join('&')}`);
  await page.waitForFunction(() => document.querySelector('#model-name').textContent !== '');
  return { page, context, complaints, requests };
}

const state = (page, wanted) => page.waitForSelector(`body[data-state=${wanted}]`);

/** Until the scan is described. */
async function described(page) {
  await state(page, 'described');
  if (process.env.DEVICE === 'software') await page.selectOption('#grid', { index: (await page.locator('#grid option').count()) - 1 });
}

const text = (page, selector) => page.locator(selector).innerText();
const said = (page, pattern) => page.waitForFunction((source) => new RegExp(source).test(document.querySelector('#live').textContent), pattern.source);

/** So many copies of the scene in a row, for what needs time. */
function copies(times) {
  const end = SCENE.indexOf('end_header\n') + 'end_header\n'.length;
  const header = SCENE.toString('latin1', 0, end).replace(`element vertex ${POINTS}`, `element vertex ${times * POINTS}`);
  const body = SCENE.subarray(end);
  const rows = Array.from({ length: times }, (_, copy) => {
    const moved = Buffer.from(body);
    // x is the first property, and the rooms are six metres apart.
    for (let at = 0; at < moved.length; at += body.length / POINTS) moved.writeFloatLE(moved.readFloatLE(at) + 6 * copy, at);
    return moved;
  });
  return Buffer.concat([Buffer.from(header, 'latin1'), ...rows]);
}

async function openFile(page, name, bytes = SCENE) {
  await page.setInputFiles('#scan-input', { name, mimeType: 'application/octet-stream', buffer: bytes });
}

async function label(page) {
  await page.click('#run-button');
  await state(page, 'labelled');
}

async function shot(page, name) {
  if (!SHOTS) return;
  await page.waitForTimeout(500);
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}

/** No violation of WCAG 2.2 AA, nor of what axe calls best practice. */
async function accessible(page, where) {
  // A colour on its way to another one has the contrast of neither.
  await page.evaluate(() => {
    const passing = document.getAnimations().filter(({ effect }) => effect.getTiming().iterations !== Infinity);
    return Promise.allSettled(passing.map(({ finished }) => finished));
  });
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 120)} ${failureSummary}`).join(' | ')}`);
  assert.deepEqual(found, [], where);
}

async function downloaded(page, button) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click(button)]);
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
}

/** The place on the canvas with the given shares of its width and height. */
async function at(page, x, y) {
  const box = await page.locator('#canvas').boundingBox();
  return [box.x + x * box.width, box.y + y * box.height];
}

async function stroke(page, from, to) {
  await page.mouse.move(...(await at(page, ...from)));
  await page.mouse.down();
  await page.mouse.move(...(await at(page, ...to)), { steps: 6 });
  await page.mouse.up();
}

/** A hash of the view's picture once that has come to rest, to see whether it changes. */
async function view(page) {
  const { x, y, width, height } = await page.locator('#canvas').boundingBox();
  // Without the toolbar, whose shadow is not always drawn alike.
  const clip = { x, y: y + 100, width, height: height - 100 };
  const look = async () => createHash('sha256').update(await page.screenshot({ clip })).digest('hex');
  let before = await look();
  for (;;) {
    await page.waitForTimeout(300);
    const after = await look();
    if (after === before) return after;
    before = after;
  }
}

test('a scan is described, labelled, looked at and taken home', async () => {
  const { page, context, complaints, requests } = await visit();
  await page.evaluate(() => navigator.serviceWorker.ready);
  await accessible(page, 'empty');
  await shot(page, 'empty-light');

  await openFile(page, 'living_room.ply');
  await described(page);
  assert.match(await text(page, '#scan'), new RegExp(`living_room.ply[^]*${POINTS.toLocaleString('en')} points`));
  assert.match(await text(page, '#estimate'), /voxels/);
  await accessible(page, 'described');
  await shot(page, 'described-light');

  const asked = requests.length;
  await page.evaluate(() => (globalThis.blocked.length = 0));
  await label(page);
  const blocked = await page.evaluate(() => globalThis.blocked);
  assert.ok(Math.max(0, ...blocked) <= MOST_BLOCKED, `blocked for ${blocked} ms during the run`);
  await said(page, /Labelled in/);
  await accessible(page, 'labelled');
  await shot(page, 'labelled-light');

  const counts = (await page.locator('.legend .count').allInnerTexts()).map((count) => Number(count.replaceAll(',', '')));
  assert.equal(counts.reduce((sum, count) => sum + count, 0), POINTS);
  assert.deepEqual(counts, counts.toSorted((a, b) => b - a));

  const all = await view(page);
  await page.locator('.legend input').first().uncheck();
  assert.notEqual(await view(page), all, 'hiding a class changes the picture');
  await page.locator('.legend .solo').nth(1).click();
  assert.equal(await page.locator('.legend input:checked').count(), 1);
  assert.equal(await page.locator('.legend .solo').nth(1).getAttribute('aria-pressed'), 'true');
  await shot(page, 'solo-light');
  await page.click('#show-all');
  assert.equal(await page.locator('.legend input:not(:checked)').count(), 0);

  await page.click('#compare-button');
  await page.focus('#split-handle');
  await page.keyboard.press('PageUp');
  assert.equal(await page.getAttribute('#split-handle', 'aria-valuenow'), '60');
  await accessible(page, 'compared');
  await shot(page, 'compared-light');
  await page.click('#compare-button');

  await page.mouse.click(...(await at(page, 0.5, 0.55)));
  await page.waitForSelector('#point:not([hidden])');
  assert.equal(await page.locator('#point .top li').count(), 3);
  assert.ok(await page.isVisible('#marker'));
  await accessible(page, 'point');
  await shot(page, 'point-light');
  await page.click('#similar-button');
  await said(page, /Bright points/);
  assert.equal(await page.inputValue('#color-mode'), 'similarity');
  assert.ok(await page.isVisible('#ramp'));
  await shot(page, 'similar-light');
  for (const mode of ['features', 'confidence', 'normal', 'height', 'original', 'class']) {
    await page.selectOption('#color-mode', mode);
    await page.waitForTimeout(200);
    assert.equal(await page.inputValue('#color-mode'), mode);
  }

  const ply = await downloaded(page, '#download-ply');
  assert.equal(ply.name, 'living_room.labelled.ply');
  assert.match(ply.bytes.toString('latin1', 0, 4000), new RegExp(`^ply[^]*element vertex ${POINTS}[^]*property int label[^]*end_header`));
  const las = await downloaded(page, '#download-las');
  assert.equal(las.name, 'living_room.labelled.las');
  assert.equal(las.bytes.toString('latin1', 0, 4), 'LASF');
  const csv = await downloaded(page, '#download-csv');
  const rows = csv.bytes.toString().trimEnd().split('\n');
  assert.equal(rows.length, POINTS + 1);
  assert.match(rows[1], /^-?\d+\.\d{4},-?\d+\.\d{4},-?\d+\.\d{4},\d+,\w+,[01]\.\d{4}$/);
  const json = JSON.parse((await downloaded(page, '#download-json')).bytes);
  assert.deepEqual(json.classes.map(({ points }) => points), counts);
  const png = await downloaded(page, '#download-png');
  assert.equal(png.bytes.toString('latin1', 1, 4), 'PNG');
  if (SHOTS) writeFileSync(join(SHOTS, 'download.png'), png.bytes);

  assert.deepEqual(requests.slice(asked).filter((url) => !url.startsWith('blob:')), [], 'no request after the scan was opened');
  assert.deepEqual(complaints, []);
  await context.close();
});

test('everything works by keys alone', async () => {
  const { page, context, complaints } = await visit('sample=living_room');
  await described(page);
  await page.focus('#canvas');
  await page.keyboard.press('l');
  await state(page, 'labelled');
  await page.focus('#canvas');
  const before = await view(page);
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('+');
  assert.notEqual(await view(page), before, 'keys move the view');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#point:not([hidden])');
  await page.keyboard.press('Escape');
  assert.ok(await page.isHidden('#point'));
  await page.keyboard.press('5');
  await page.waitForFunction(() => document.querySelector('#color-mode').value === 'height');

  await page.focus('#help-button');
  await page.keyboard.press('Enter');
  assert.ok(await page.isVisible('#help'));
  await accessible(page, 'help');
  await shot(page, 'help-light');
  await page.keyboard.press('Escape');
  assert.ok(await page.isHidden('#help'));
  assert.equal(await page.evaluate(() => document.activeElement.id), 'help-button');

  await page.focus('.legend input');
  await page.keyboard.press('Space');
  assert.equal(await page.locator('.legend input').first().isChecked(), false);
  await page.focus('#teach-button');
  await page.keyboard.press('Enter');
  await state(page, 'teaching');
  await page.focus('#canvas');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#painted .count');
  await page.keyboard.press('Control+z');
  await page.waitForSelector('#painted .count', { state: 'detached' });
  await page.keyboard.press('Escape');
  await state(page, 'labelled');
  assert.deepEqual(complaints, []);
  await context.close();
});

test('it learns a new class, forgets it again, and its adapter can be loaded', async () => {
  const { page, context, complaints } = await visit('sample=living_room', { colorScheme: 'dark' });
  await described(page);
  await shot(page, 'described-dark');
  await label(page);
  await shot(page, 'labelled-dark');
  await page.click('#teach-button');
  await state(page, 'teaching');
  if (DEVICE) await page.selectOption('#teach-seconds', { index: 0 });
  await page.fill('#new-class-name', 'lamp');
  await page.keyboard.press('Enter');
  await stroke(page, [0.45, 0.5], [0.55, 0.55]);
  await page.waitForSelector('#painted .count');
  await accessible(page, 'teaching');
  await shot(page, 'teaching-dark');

  await page.click('#learn-button');
  await page.waitForFunction(() => /after \d+ steps?$/.test(document.querySelector('#loss-caption').textContent));
  await accessible(page, 'learning');
  await shot(page, 'learning-dark');
  const start = Date.now();
  await page.click('#job-cancel');
  await state(page, 'teaching');
  assert.ok(Date.now() - start < 4 * MOST_CANCEL, `cancelled in ${Date.now() - start} ms, clicking included`);
  assert.equal(await page.locator('.legend .name', { hasText: 'lamp' }).count(), 0);

  await page.click('#learn-button');
  await page.waitForSelector('#taught:not([hidden])');
  assert.match(await text(page, '#taught-text'), /points? ha(s|ve) another class/);
  // SwiftShader takes no more than two steps in the time of a lesson.
  if (!DEVICE) assert.equal(await page.locator('.legend .name', { hasText: 'lamp' }).count(), 1);
  await shot(page, 'taught-dark');
  const adapter = await downloaded(page, '#adapter-download');
  assert.equal(adapter.name, 'living_room.adapter.safetensors');

  await page.click('#teach-undo');
  await page.waitForSelector('#taught', { state: 'hidden' });
  assert.equal(await page.locator('.legend .name', { hasText: 'lamp' }).count(), 0);
  assert.match(await text(page, '#painted'), /lamp/, 'the paint is still there');

  await page.click('#teach-leave');
  await page.setInputFiles('#model-input', { name: 'lamps.safetensors', mimeType: 'application/octet-stream', buffer: adapter.bytes });
  await described(page);
  assert.match(await text(page, '#model-name'), /lamps/);
  await label(page);
  await page.click('#model summary');
  await page.click('#adapter-remove');
  await described(page);
  assert.doesNotMatch(await text(page, '#model-name'), /lamps/);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('a run can be cancelled in the middle, and started again', async () => {
  const { page, context, complaints } = await visit();
  await openFile(page, 'slow.ply', copies(8));
  await described(page);
  await page.click('#run-button');
  await page.waitForFunction(() => document.querySelector('#job-bar').value > 0.1);
  await accessible(page, 'running');
  await shot(page, 'running-light');
  const took = await page.evaluate(async () => {
    const start = performance.now();
    document.querySelector('#job-cancel').click();
    while (document.body.dataset.state !== 'described') await new Promise((resolve) => setTimeout(resolve));
    return performance.now() - start;
  });
  assert.ok(took < MOST_CANCEL, `cancelled in ${took} ms`);
  await label(page);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('what cannot be opened is refused with a reason', async () => {
  const { page, context, complaints } = await visit();
  await openFile(page, 'notes.ply', Buffer.from('these are my notes'));
  await page.waitForSelector('.notice.error');
  assert.match(await text(page, '.notice.error'), /notes\.ply/);
  await accessible(page, 'refused');
  await openFile(page, 'cut.ply', SCENE.subarray(0, SCENE.length / 2));
  await page.waitForFunction(() => /cut\.ply/.test(document.querySelector('.notice.error')?.textContent ?? ''));
  await shot(page, 'refused-light');
  await page.setInputFiles('#model-input', { name: 'broken.safetensors', mimeType: 'application/octet-stream', buffer: Buffer.from('no') });
  await page.waitForFunction(() => /broken/.test(document.querySelector('#notices').textContent));
  assert.equal(await text(page, '#model-name'), 'rooms');
  await openFile(page, 'good.ply');
  await described(page);
  assert.equal(await page.locator('.notice.error').count(), 0, 'a good file clears what was said of the others');
  await label(page);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('without a GPU it says so and computes on the CPU', async () => {
  const { page, context, complaints } = await visit('device=cpu&sample=office');
  await described(page);
  await page.click('#device summary');
  assert.match(await text(page, '#device'), /Computed on the CPU/);
  assert.match(await text(page, '#plan'), /Computed on the CPU/);
  if (FAKE) await label(page);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('nothing but its own files can be reached, from the page or from the worker', async () => {
  const { page, context } = await visit();
  const tries = () => fetch('https://example.com/', { mode: 'no-cors' }).then(() => 'reached', (error) => String(error));
  const spy = () => {
    globalThis.violations = [];
    addEventListener('securitypolicyviolation', ({ blockedURI }) => globalThis.violations.push(blockedURI));
  };
  for (const place of [page, page.workers()[0]]) {
    await place.evaluate(spy);
    assert.match(await place.evaluate(tries), /Failed to fetch/);
    assert.deepEqual(await place.evaluate(() => globalThis.violations), ['https://example.com/']);
  }
  await context.close();
});

test('a view that the browser has taken away comes back', async () => {
  const { page, context, complaints } = await visit('sample=office');
  await described(page);
  const before = await view(page);
  await page.evaluate(() => {
    globalThis.loss = document.querySelector('#canvas').getContext('webgl2').getExtension('WEBGL_lose_context');
    globalThis.loss.loseContext();
  });
  await page.waitForSelector('.notice.info');
  await page.evaluate(() => globalThis.loss.restoreContext());
  await said(page, /view is back/);
  assert.equal(await view(page), before);
  assert.deepEqual(complaints.filter((text) => !/context (lost|restored)/i.test(text)), []);
  await context.close();
});

test('after the first visit it works without a network', async () => {
  const { page, context, complaints } = await visit();
  await page.evaluate(() => navigator.serviceWorker.ready);
  await context.setOffline(true);
  await page.goto(`${host.address}?sample=office`);
  await described(page);
  await label(page);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('?url= fetches a scan, and says why if it cannot', async () => {
  const good = await visit(`url=${encodeURIComponent('samples/office.ply')}`);
  await state(good.page, 'described');
  assert.match(await text(good.page, '#scan-title'), /office\.ply/);
  await good.context.close();
  const bad = await visit(`url=${encodeURIComponent('samples/nowhere.ply')}`);
  await bad.page.waitForSelector('.notice.error');
  assert.match(await text(bad.page, '.notice.error'), /nowhere\.ply cannot be fetched: its host answers 404/);
  await bad.context.close();
});

/** A page that embeds the demo, sends it a scan, and keeps what comes back. */
function embedder(_, response) {
  response.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html><title>embedder</title><iframe src="./" width="1000" height="700"></iframe><script>
    globalThis.got = [];
    addEventListener('message', async ({ data, source }) => {
      got.push(data);
      if (data.type !== 'pointtpa:ready') return;
      const bytes = await (await fetch('samples/office.ply')).arrayBuffer();
      source.postMessage({ type: 'pointtpa:open', name: 'office.ply', bytes }, '*', [bytes]);
    });
  </script>`);
}

test('a page that embeds it gets the labels of the scan that it sends, and of no other', async () => {
  const context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  await page.goto(`${host.address}embedder.html`);
  await page.waitForFunction(() => globalThis.got.some(({ type }) => type === 'pointtpa:result'));
  const result = await page.evaluate(() => {
    const { name, labels, classes } = globalThis.got.find(({ type }) => type === 'pointtpa:result');
    return { name, points: labels.length, classes: classes.length };
  });
  assert.equal(result.name, 'office.ply');
  assert.ok(result.points > 1000 && result.classes > 10);
  const frame = page.frames()[1];
  await frame.setInputFiles('#scan-input', { name: 'mine.ply', mimeType: 'application/octet-stream', buffer: SCENE });
  await frame.waitForSelector('body[data-state=described]');
  await frame.click('#run-button');
  await frame.waitForSelector('body[data-state=labelled]');
  assert.equal(await page.evaluate(() => globalThis.got.filter(({ type }) => type === 'pointtpa:result').length), 1);
  await context.close();
});

test('on a phone, in both themes, all of it fits', async () => {
  for (const colorScheme of ['light', 'dark']) {
    const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2, colorScheme };
    const { page, context, complaints } = await visit('', phone);
    const fits = async () => assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
    await fits();
    await accessible(page, `phone, empty, ${colorScheme}`);
    await shot(page, `phone-empty-${colorScheme}`);
    await page.tap('[data-sample="living_room.ply"]');
    await described(page);
    await accessible(page, `phone, described, ${colorScheme}`);
    await shot(page, `phone-described-${colorScheme}`);
    await page.tap('#run-button');
    await state(page, 'labelled');
    await fits();
    await page.touchscreen.tap(...(await at(page, 0.5, 0.55)));
    await page.waitForSelector('#point:not([hidden])');
    await accessible(page, `phone, labelled, ${colorScheme}`);
    await shot(page, `phone-point-${colorScheme}`);
    await page.tap('#point-close');
    await page.tap('#teach-button');
    await fits();
    await accessible(page, `phone, teaching, ${colorScheme}`);
    await shot(page, `phone-teaching-${colorScheme}`);
    assert.deepEqual(complaints, []);
    await context.close();
  }
});

// These are about what the real engine computes.
if (!FAKE) {
  const SCENES = here('../../../assets/scenes');
  test('its labels are those of the native program', async () => {
    for (const scene of readdirSync(SCENES).filter((name) => name.endsWith('.ply'))) {
      const { page, context } = await visit(`sample=${scene.replace('.ply', '')}`);
      await described(page);
      await label(page);
      const own = labelsOf((await downloaded(page, '#download-ply')).bytes);
      const same = agreement(own, nativeLabels(join(SCENES, scene)));
      assert.ok(same >= 0.999, `${scene}: ${100 * same} % of the labels agree`);
      await context.close();
    }
  });

  test('in a browser without WebGPU it computes on the CPU', async () => {
    const plain = await launch(['--disable-features=WebGPU,WebGPUService']);
    try {
      const { page, complaints } = await visit('sample=office', {}, plain);
      assert.equal(await page.evaluate(() => navigator.gpu?.requestAdapter() ?? null), null);
      await described(page);
      assert.match(await text(page, '#plan'), /Computed on the CPU/);
      await label(page);
      assert.equal(await page.getAttribute('body', 'data-device'), 'cpu');
      // Chromium says so itself when a page asks for an adapter.
      assert.deepEqual(complaints.filter((text) => text !== 'Failed to create WebGPU Context Provider'), []);
    } finally {
      await plain.close();
    }
  });

  test('a checkpoint of PyTorch is a model, too', async () => {
    const { page, context, complaints } = await visit('sample=office');
    await described(page);
    await page.setInputFiles('#model-input', here('../../../tests/checkpoints/trainer.pth'));
    await page.waitForFunction(() => document.querySelector('#model-name').textContent === 'trainer');
    await described(page);
    await label(page);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('a scan too big for the memory there is is offered coarser voxels', async () => {
    const { page, context, complaints } = await visit('memory=40M&sample=living_room');
    await described(page);
    assert.match(await text(page, '#problem'), /voxels need 0\.\d+ GB, and there are 0\.04 GB/);
    await page.click('#use-fitting');
    await page.waitForSelector('#problem', { state: 'hidden' });
    await label(page);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('a GPU that is lost in the middle of a run is tried once more', async () => {
    const { page, context } = await visit('device=software&sample=office');
    await described(page);
    await page.workers()[0].evaluate(() => {
      const create = GPUDevice.prototype.createCommandEncoder;
      let calls = 0;
      GPUDevice.prototype.createCommandEncoder = function (...options) {
        if (++calls === 3) this.destroy();
        return create.apply(this, options);
      };
    });
    await label(page);
    assert.match(await text(page, '#notices'), /Trying once more/);
    assert.equal(await page.getAttribute('body', 'data-device'), 'software');
    await context.close();
  });

  test('the browser takes every shader', async () => {
    const { page, context } = await visit();
    const compiled = await compileShaders(page, FOLDER);
    assert.deepEqual(compiled.problems, []);
    assert.ok(compiled.entryPoints > 100, `${compiled.entryPoints}`);
    await context.close();
  });
}

// These ask the fake engine for trouble by the name of the scan.
if (FAKE) {
  test('a lost GPU is tried once more, then the CPU', async () => {
    const { page, context } = await visit();
    await openFile(page, 'lost-always.ply');
    await described(page);
    await label(page);
    assert.match(await text(page, '#notices'), /Trying once more[^]*on the CPU instead/);
    assert.equal(await page.getAttribute('body', 'data-device'), 'cpu');
    await context.close();
  });

  test('a scan too big is offered coarser voxels', async () => {
    const { page, context } = await visit();
    await openFile(page, 'too-big.ply');
    await described(page);
    assert.match(await text(page, '#problem'), /needs 6\.1 GB/);
    await accessible(page, 'too big');
    await shot(page, 'too-big-light');
    await page.click('#use-fitting');
    await page.waitForSelector('#problem', { state: 'hidden' });
    assert.equal(await page.inputValue('#grid'), '0.08');
    await openFile(page, 'no-memory.ply');
    await page.waitForFunction(() => document.querySelector('#scan-title').textContent === 'no-memory.ply');
    await page.click('#run-button');
    await page.waitForSelector('.notice.error');
    await page.click('.notice.error .button >> text=Use voxels of 6 cm');
    assert.equal(await page.inputValue('#grid'), '0.06');
    await context.close();
  });

  test('after a crash of the module another worker goes on', async () => {
    const { page, context } = await visit();
    await openFile(page, 'crash.ply');
    await described(page);
    await page.click('#run-button');
    await page.waitForSelector('.notice.error');
    assert.match(await text(page, '.notice.error'), /broke off/);
    await openFile(page, 'good.ply');
    await page.waitForFunction(() => document.querySelector('#scan-title').textContent === 'good.ply');
    await label(page);
    await context.close();
  });

  test('a software adapter is named as such', async () => {
    const { page, context } = await visit('device=fake-software');
    assert.match(await text(page, '#device'), /software adapter/i);
    await context.close();
  });
}
