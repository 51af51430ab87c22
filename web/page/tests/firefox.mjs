// Firefox, by Puppeteer: it draws on the CPU, and its WebGPU is lavapipe. FIREFOX names a program in another place.

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import { arrive, until } from './user.mjs';

const browsers = new Map();
const downloads = mkdtempSync(join(tmpdir(), 'pointtpa-firefox-'));

function launch(webgpu) {
  return puppeteer.launch({
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
      'browser.download.always_ask_before_handling_new_types': false,
    },
  });
}

/** A page of its own at an address; it ends with the test `t`. */
export async function visit(t, address, { webgpu = true } = {}) {
  if (!browsers.has(webgpu)) browsers.set(webgpu, await launch(webgpu));
  const context = await browsers.get(webgpu).createBrowserContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.setViewport({ width: 1280, height: 800 });
  const downloaded = async (button) => {
    for (const file of readdirSync(downloads)) rmSync(join(downloads, file));
    await page.click(button);
    // While it is loaded it is empty, and a part of it lies beside it.
    const name = await until(() => {
      const [file, ...parts] = readdirSync(downloads);
      return file && parts.length === 0 && statSync(join(downloads, file)).size > 0 && file;
    }, `${button} downloads`);
    return { name, bytes: readFileSync(join(downloads, name)) };
  };
  return { downloaded, watchMainThread: () => watchMainThread(page), ...(await arrive(page, page, address)) };
}

/**
 * Watches it until the answer is called, which says for how many milliseconds it was `blocked` at most: between two calls of a timer,
 * for Firefox does not tell of long tasks.
 */
async function watchMainThread(page) {
  await page.evaluate(() => {
    globalThis.longest = 0;
    let last = performance.now();
    globalThis.watch = setInterval(() => {
      const now = performance.now();
      globalThis.longest = Math.max(globalThis.longest, now - last);
      last = now;
    });
  });
  return async () => ({
    blocked: await page.evaluate(() => {
      clearInterval(globalThis.watch);
      return globalThis.longest;
    }),
  });
}

export async function close() {
  for (const browser of browsers.values()) await browser.close();
  rmSync(downloads, { recursive: true, force: true });
}
