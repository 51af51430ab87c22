// What a user does on the page and sees of it, in the calls that Playwright and Puppeteer have in common.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Milliseconds: software adapters are slow on a busy machine, and SwiftShader compiles a minute long before the first lesson. */
const PATIENCE = Number(process.env.PATIENCE ?? 400_000);
/** A folder that keeps a picture of every state. */
const SHOTS = process.env.SHOTS;

/** Chosen files, which a page reads again when it needs them again. */
const files = mkdtempSync(join(tmpdir(), 'pointtpa-files-'));
process.on('exit', () => rmSync(files, { recursive: true }));

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** What `condition` answers once that is true. */
export async function until(condition, what) {
  for (const end = Date.now() + PATIENCE; Date.now() < end; await pause(50)) {
    const answer = await condition();
    if (answer) return answer;
  }
  return assert.fail(`in vain: ${what}`);
}

/** Goes to an address, and keeps what the page complains about and asks `network` for. */
export async function arrive(page, network, address) {
  page.setDefaultTimeout(PATIENCE);
  const complaints = [];
  const requests = [];
  page.on('console', (message) => ['error', 'warning', 'warn'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error.stack ?? error)));
  network.on('request', (request) => requests.push(request.url()));
  await page.goto(address);
  await reads(page, '#model-name', /./);
  return { page, complaints, requests };
}

/** As it is seen; empty for what is hidden. */
export const text = (page, selector) => page.$eval(selector, (element) => element.innerText);
export const texts = (page, selector) => page.$$eval(selector, (all) => all.map((element) => element.innerText));
export const attribute = (page, selector, name) => page.$eval(selector, (element, its) => element.getAttribute(its), name);
export const seen = (page, selector) => page.$$eval(selector, (all) => all.some((element) => element.checkVisibility()));
export const appears = (page, selector) => until(() => seen(page, selector), `${selector} appears`);
export const disappears = (page, selector) => until(async () => !(await seen(page, selector)), `${selector} disappears`);
export const state = (page, wanted) => until(async () => (await attribute(page, 'body', 'data-state')) === wanted, wanted);
export const reads = (page, selector, pattern) =>
  until(async () => pattern.test((await page.$$eval(selector, (all) => all.map((each) => each.textContent))).join('\n')), `${selector} reads ${pattern}`);
/** Until it is this scan that is described. */
export async function opened(page, name) {
  await reads(page, '#scan-title', new RegExp(`^${name}$`));
  await state(page, 'described');
}
/** What a screen reader is told. */
export const said = (page, pattern) => reads(page, '#live', pattern);


/** Chooses a file in the dialog of an input. */
export async function choose(page, input, name, bytes) {
  const path = join(files, name);
  writeFileSync(path, bytes);
  const element = await page.$(input);
  await (element.setInputFiles ?? element.uploadFile).call(element, path);
}

export const openFile = (page, name, bytes) => choose(page, '#scan-input', name, bytes);

/** Drops a file of the page's host on it. */
export function drop(page, address) {
  return page.evaluate(async (from) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([await (await fetch(from)).blob()], from.replace(/.*\//, '')));
    for (const type of ['dragover', 'drop']) {
      document.querySelector('#canvas').dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
    }
  }, address);
}

export function select(page, selector, value) {
  return page.$eval(
    selector,
    (element, wanted) => {
      element.value = wanted;
      element.dispatchEvent(new Event('change'));
    },
    String(value),
  );
}

export async function label(page) {
  await page.click('#run-button');
  await state(page, 'labelled');
}

/** Points of each class in the legend. */
export async function counts(page) {
  return (await texts(page, '.legend .count')).map((count) => Number(count.replaceAll(',', '')));
}

/** The place on the canvas with the given shares of its width and height. */
export async function at(page, x, y) {
  const box = await (await page.$('#canvas')).boundingBox();
  return [box.x + x * box.width, box.y + y * box.height];
}

export async function stroke(page, from, to) {
  await page.mouse.move(...(await at(page, ...from)));
  await page.mouse.down();
  await page.mouse.move(...(await at(page, ...to)), { steps: 6 });
  await page.mouse.up();
}

/** The view's picture once that has come to rest, to see whether it changes. */
export async function view(page) {
  const { x, y, width, height } = await (await page.$('#canvas')).boundingBox();
  // Without the toolbar, whose shadow is not always drawn alike.
  const look = async () => Buffer.from(await page.screenshot({ clip: { x, y: y + 100, width, height: height - 100 } })).toString('latin1');
  for (let before = await look(); ; ) {
    await pause(300);
    const after = await look();
    if (after === before) return after;
    before = after;
  }
}

export async function shot(page, name) {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  await pause(500);
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}
