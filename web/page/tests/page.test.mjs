// The page in Chromium alone, beside the flows of flows.test.mjs: keys, phones, what the network may and need not do, other pages, and
// what the fake engine of this folder can be asked for (--fake).

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { accessible } from './accessible.mjs';
import { close, contextOf, visit as visitAt } from './chromium.mjs';
import { SCENE } from './scans.mjs';
import { serve } from './static_server.mjs';
import { at, label, opened, openFile, reads, said, select, shot, state, stroke, text, texts, view } from './user.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const FAKE = process.argv.includes('--fake');

let host;
before(async () => (host = await serve(here(FAKE ? '../../node_modules/.fake-dist' : '../../dist'), { '/embedder.html': embedder })));
after(async () => {
  await close();
  host.close();
});

const visit = (t, query = '', options = {}) => visitAt(t, `${host.address}?${query}`, options);
const described = (page) => state(page, 'described');

test('everything works by keys alone', async (t) => {
  const { page, complaints } = await visit(t, 'sample=living_room');
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
});

test('a lesson can be cancelled in the middle, and says how long still once that is known', async (t) => {
  const { page, complaints } = await visit(t, 'sample=living_room');
  await described(page);
  await label(page);
  await page.click('#teach-button');
  await state(page, 'teaching');
  await select(page, '#teach-seconds', 60);
  await page.fill('#new-class-name', 'lamp');
  await page.keyboard.press('Enter');
  await stroke(page, [0.45, 0.5], [0.55, 0.55]);
  await page.click('#learn-button');
  const early = await page.evaluate(async () => {
    const told = new Set();
    while (document.querySelector('#job-stage').textContent === '') {
      told.add(document.querySelector('#job-time').textContent);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return [...told];
  });
  assert.deepEqual(early.filter((time) => /left/.test(time)), [], 'before the first step nothing is known of the others');
  await reads(page, '#job-time', /left/);
  const start = Date.now();
  await page.click('#job-cancel');
  await state(page, 'teaching');
  assert.ok(Date.now() - start < 1000, `cancelled in ${Date.now() - start} ms, clicking included`);
  assert.ok(!(await texts(page, '.legend .name')).includes('lamp'));
  assert.deepEqual(complaints, []);
});

test('without a GPU it says so and computes on the CPU', async (t) => {
  const { page, complaints } = await visit(t, 'device=cpu&sample=office');
  await described(page);
  await page.click('#device summary');
  assert.match(await text(page, '#device'), /Computed on the CPU/);
  assert.match(await text(page, '#plan'), /Computed on the CPU/);
  if (FAKE) await label(page);
  assert.deepEqual(complaints, []);
});

test('nothing but its own files can be reached, from the page or from the worker', async (t) => {
  const { page } = await visit(t);
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
});

test('a view that the browser has taken away comes back', async (t) => {
  const { page, complaints } = await visit(t, 'sample=office');
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
});

test('after the first visit it works without a network', async (t) => {
  const { page, context, complaints } = await visit(t);
  await page.evaluate(async () => void (await navigator.serviceWorker.ready));
  await context.setOffline(true);
  await page.goto(`${host.address}?sample=office`);
  await described(page);
  await label(page);
  assert.deepEqual(complaints, []);
});

test('?url= fetches a scan, and says why if it cannot', async (t) => {
  const good = await visit(t, `url=${encodeURIComponent('samples/office.ply')}`);
  await state(good.page, 'described');
  assert.match(await text(good.page, '#scan-title'), /office\.ply/);
  const bad = await visit(t, `url=${encodeURIComponent('samples/nowhere.ply')}`);
  await bad.page.waitForSelector('.notice.error');
  assert.match(await text(bad.page, '.notice.error'), /nowhere\.ply cannot be fetched: its host answers 404/);
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

test('a page that embeds it gets the labels of the scan that it sends, and of no other', async (t) => {
  const page = await (await contextOf(t)).newPage();
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
});

test('on a phone, in both themes, all of it fits', async (t) => {
  for (const [width, colorScheme] of [[390, 'light'], [320, 'dark']]) {
    const phone = { viewport: { width, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2, colorScheme };
    const { page, complaints } = await visit(t, '', phone);
    const fits = async () => {
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
      // The name and the buttons stand in one row, and the one below says that nothing is sent.
      const [brand, buttons] = await page.$$eval('.brand, .bar-end', (all) => all.map((each) => each.getBoundingClientRect().toJSON()));
      assert.ok(brand.right <= buttons.left && brand.top < buttons.bottom && buttons.top < brand.bottom, JSON.stringify([brand, buttons]));
    };
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
  }
});

if (!FAKE) {
  test('a checkpoint of PyTorch is a model, too', async (t) => {
    const { page, complaints } = await visit(t, 'sample=office');
    await described(page);
    await page.setInputFiles('#model-input', here('../../../tests/checkpoints/trainer.pth'));
    await reads(page, '#model-name', /^trainer$/);
    await described(page);
    await label(page);
    assert.deepEqual(complaints, []);
  });
}

// These ask the fake engine for trouble by the name of the scan.
if (FAKE) {
  test('a lost GPU is tried once more in smaller tiles', async (t) => {
    const { page } = await visit(t);
    await openFile(page, 'lost-once.ply', SCENE);
    await described(page);
    await label(page);
    assert.match(await text(page, '#notices'), /Trying once more, in smaller tiles[^]*in 4 tiles/);
    assert.notEqual(await page.getAttribute('body', 'data-device'), 'cpu');
  });

  test('a lost GPU is tried once more, then the CPU', async (t) => {
    const { page } = await visit(t);
    await openFile(page, 'lost-always.ply', SCENE);
    await described(page);
    await label(page);
    assert.match(await text(page, '#notices'), /Trying once more[^]*on the CPU instead/);
    assert.equal(await page.getAttribute('body', 'data-device'), 'cpu');
  });

  test('a scan too big is offered coarser voxels', async (t) => {
    const { page } = await visit(t);
    await openFile(page, 'too-big.ply', SCENE);
    await described(page);
    assert.match(await text(page, '#problem'), /needs 6\.1 GB/);
    await accessible(page, 'too big');
    await shot(page, 'too-big-light');
    await page.click('#use-fitting');
    await page.waitForSelector('#problem', { state: 'hidden' });
    assert.equal(await page.inputValue('#grid'), '0.08');
    await openFile(page, 'no-memory.ply', SCENE);
    await opened(page, 'no-memory.ply');
    await page.click('#run-button');
    await page.waitForSelector('.notice.error');
    await page.click('.notice.error .button >> text=Use voxels of 6 cm');
    assert.equal(await page.inputValue('#grid'), '0.06');
  });

  test('after a crash of the module another worker goes on', async (t) => {
    const { page } = await visit(t);
    await openFile(page, 'crash.ply', SCENE);
    await described(page);
    await page.click('#run-button');
    await page.waitForSelector('.notice.error');
    assert.match(await text(page, '.notice.error'), /broke off/);
    await openFile(page, 'good.ply', SCENE);
    await opened(page, 'good.ply');
    await label(page);
  });

  test('a software adapter is named as such', async (t) => {
    const { page } = await visit(t, 'device=fake-software');
    assert.match(await text(page, '#device'), /software adapter/i);
  });
}
