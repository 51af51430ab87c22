// The page in Firefox, the other implementation of WebGPU: what a user does, with the real engine in web/dist.
//
//   npm run test:firefox     on a display of its own (xvfb), because headless Firefox has no WebGL without a GPU
//
// FIREFOX=program, SHOTS=folder keeps a picture of every state.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import puppeteer from 'puppeteer-core';
import { compileShaders } from './shaders.mjs';
import { serve } from './static_server.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const SHOTS = process.env.SHOTS;
const SCENES = here('../../../assets/scenes');
const POINTS = (name) => Number(/element vertex (\d+)/.exec(readFileSync(join(SCENES, name)).toString('latin1', 0, 2000))[1]);

/** Milliseconds: a software adapter on a busy machine is slow. */
const PATIENCE = 120_000;

let host;
const work = mkdtempSync(join(tmpdir(), 'pointtpa-firefox-'));
const downloads = join(work, 'downloads');

before(async () => {
  mkdirSync(downloads);
  if (SHOTS) mkdirSync(SHOTS, { recursive: true });
  host = await serve(here('../../dist'));
});

after(() => {
  host?.close();
  rmSync(work, { recursive: true, force: true });
});

/** A browser of its own, because a preference is for all of its pages. It ends with the test. */
async function visit(t, query, { webgpu = true, address = host.address } = {}) {
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
    // Headless it has no WebGL without a GPU.
    headless: !process.env.DISPLAY,
    env: { ...process.env, LIBGL_ALWAYS_SOFTWARE: '1' },
    extraPrefsFirefox: {
      'dom.webgpu.enabled': webgpu,
      'dom.webgpu.workers.enabled': webgpu,
      'dom.webgpu.allow-unsafe-adapters': true,
      'gfx.webgpu.ignore-blocklist': true,
      'gfx.webrender.software': true,
      'webgl.force-enabled': true,
      'browser.download.folderList': 2,
      'browser.download.dir': downloads,
      'browser.download.useDownloadDir': true,
      'browser.helperApps.neverAsk.saveToDisk': 'application/octet-stream,text/csv,application/json,image/png',
    },
  });
  t.after(() => browser.close());
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  await page.setViewport({ width: 1280, height: 800 });
  const complaints = [];
  page.on('console', (message) => ['error', 'warn'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error.stack ?? error)));
  await page.goto(`${address}?${query}`);
  await page.waitForFunction(() => document.querySelector('#model-name').textContent !== '');
  return { page, complaints };
}

const state = (page, wanted) => page.waitForSelector(`body[data-state=${wanted}]`);
const text = (page, selector) => page.$eval(selector, (element) => element.innerText);

async function openFile(page, path) {
  await (await page.$('#scan-input')).uploadFile(path);
}

async function label(page) {
  await page.click('#run-button');
  await state(page, 'labelled');
}

async function shot(page, name) {
  if (SHOTS) await page.screenshot({ path: join(SHOTS, `firefox-${name}.png`) });
}

/** The file that a button downloads. */
async function downloaded(page, button, name) {
  const path = join(downloads, name);
  rmSync(path, { force: true });
  await page.click(button);
  const end = Date.now() + PATIENCE;
  // It lies there whole once no part of it lies beside it.
  while (!existsSync(path) || readdirSync(downloads).some((file) => file.endsWith('.part'))) {
    assert.ok(Date.now() < end, `${name} is not downloaded: ${readdirSync(downloads)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return readFileSync(path);
}

test('a scan is opened, labelled, looked at, taken home and taught', async (t) => {
  const { page, complaints } = await visit(t, 'device=software');
  assert.match(await text(page, '#device-kind'), /software/i);
  await openFile(page, join(SCENES, 'living_room.ply'));
  await state(page, 'described');
  await label(page);
  const counts = (await page.$$eval('.legend .count', (all) => all.map((each) => each.innerText))).map((count) => Number(count.replaceAll(',', '')));
  assert.equal(counts.reduce((sum, count) => sum + count, 0), POINTS('living_room.ply'));
  await shot(page, 'labelled');
  await page.click('.legend input');
  assert.equal(await page.$eval('.legend input', (box) => box.checked), false);
  await page.click('#show-all');

  const box = await (await page.$('#canvas')).boundingBox();
  const at = (x, y) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.click(...at(0.5, 0.55));
  await page.waitForSelector('#point:not([hidden])');
  assert.equal((await page.$$('#point .top li')).length, 3);

  const ply = (await downloaded(page, '#download-ply', 'living_room.labelled.ply')).toString('latin1');
  assert.match(ply.slice(0, 4000), new RegExp(`^ply[^]*element vertex ${POINTS('living_room.ply')}[^]*property int label`));
  writeFileSync(join(work, 'again.ply'), ply, 'latin1');

  await page.click('#teach-button');
  await state(page, 'teaching');
  await page.select('#teach-seconds', '5');
  await page.type('#new-class-name', 'lamp');
  await page.keyboard.press('Enter');
  await page.mouse.move(...at(0.45, 0.5));
  await page.mouse.down();
  await page.mouse.move(...at(0.55, 0.55), { steps: 6 });
  await page.mouse.up();
  await page.waitForSelector('#painted .count');
  await page.click('#learn-button');
  await page.waitForSelector('#taught:not([hidden])');
  assert.match(await text(page, '#taught-text'), /points? ha(s|ve) another class/);
  await shot(page, 'taught');

  await openFile(page, join(work, 'again.ply'));
  await page.waitForFunction(() => document.querySelector('#scan-title').textContent === 'again.ply');
  assert.equal(await page.$('.notice.error'), null);
  assert.deepEqual(complaints, []);
});

test('it takes every shader', async (t) => {
  const { page } = await visit(t, 'device=software');
  const compiled = await compileShaders(page, here('../../dist'));
  assert.deepEqual(compiled.problems, []);
  assert.ok(compiled.entryPoints > 100);
});

test('a run is cancelled in the middle, and a file that is no scan is refused', async (t) => {
  const { page, complaints } = await visit(t, 'device=software&sample=office');
  await state(page, 'described');
  await page.click('#run-button');
  await page.waitForFunction(() => document.querySelector('#job-bar').value > 0.1);
  await page.click('#job-cancel');
  await state(page, 'described');
  writeFileSync(join(work, 'notes.ply'), 'these are my notes');
  await openFile(page, join(work, 'notes.ply'));
  await page.waitForSelector('.notice.error');
  assert.match(await text(page, '.notice.error'), /notes\.ply/);
  assert.deepEqual(complaints, []);
});

/** A worker whose GPU goes away in the middle of its first run, unless the host says that this has been. */
const LOSING = `
  let losing = false;
  fetch(new URL('/losing', import.meta.url)).then((answer) => answer.text()).then((text) => (losing = text === 'yes'));
  const create = GPUDevice.prototype.createCommandEncoder;
  let calls = 0;
  GPUDevice.prototype.createCommandEncoder = function (...options) {
    if (++calls >= 3 && losing) {
      losing = false;
      this.destroy();
    }
    return create.apply(this, options);
  };
`;

test('a GPU that is lost in the middle of a run is tried once more', async (t) => {
  // Firefox lets no test into a worker, so the worker comes with it.
  const worker = readdirSync(here('../../dist/assets')).find((name) => name.startsWith('worker'));
  const script = LOSING + readFileSync(here(`../../dist/assets/${worker}`));
  let workers = 0;
  const losing = await serve(here('../../dist'), {
    [`/assets/${worker}`]: (_, response) => response.writeHead(200, { 'content-type': 'text/javascript' }).end(script),
    '/losing': (_, response) => response.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'no-store' }).end(workers++ ? 'no' : 'yes'),
  });
  t.after(() => losing.close());
  const { page } = await visit(t, 'device=software&sample=office', { address: losing.address });
  await state(page, 'described');
  await label(page);
  assert.equal(workers, 2);
  assert.match(await text(page, '#notices'), /Trying once more/);
  assert.equal(await page.$eval('body', (body) => body.dataset.device), 'software');
});

test('a scan too big for the memory there is is offered coarser voxels', async (t) => {
  const { page, complaints } = await visit(t, 'device=software&memory=40M&sample=living_room');
  await state(page, 'described');
  assert.match(await text(page, '#problem'), /voxels need 0\.\d+ GB, and there are 0\.04 GB/);
  await page.click('#use-fitting');
  await page.waitForSelector('#problem', { hidden: true });
  await label(page);
  assert.deepEqual(complaints, []);
});

test('without WebGPU it says so and computes on the CPU', async (t) => {
  const { page, complaints } = await visit(t, 'sample=office', { webgpu: false });
  await state(page, 'described');
  assert.match(await text(page, '#plan'), /Computed on the CPU/);
  await label(page);
  const counts = (await page.$$eval('.legend .count', (all) => all.map((each) => each.innerText))).map((count) => Number(count.replaceAll(',', '')));
  assert.equal(counts.reduce((sum, count) => sum + count, 0), POINTS('office.ply'));
  assert.deepEqual(complaints, []);
});
