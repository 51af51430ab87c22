// Chromium, by Playwright: it draws on the CPU, and its WebGPU is SwiftShader. CHROMIUM names a program in another place.

import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { arrive } from './user.mjs';

const browsers = new Map();

function launch(webgpu) {
  const gpu = webgpu ? ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'] : ['--disable-features=WebGPU,WebGPUService'];
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
      '--disable-sync', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', ...gpu,
    ],
  });
}

/** A context of its own; it ends with the test `t`. `options` are Playwright's. */
export async function contextOf(t, { webgpu = true, ...options } = {}) {
  if (!browsers.has(webgpu)) browsers.set(webgpu, await launch(webgpu));
  const context = await browsers.get(webgpu).newContext({ viewport: { width: 1280, height: 800 }, acceptDownloads: true, ...options });
  t.after(() => context.close());
  return context;
}

/** A page of its own at an address. */
export async function visit(t, address, options = {}) {
  const context = await contextOf(t, options);
  const page = await context.newPage();
  const downloaded = async (button) => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.click(button)]);
    return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
  };
  return { context, downloaded, watchMainThread: () => watchMainThread(page), ...(await arrive(page, context, address)) };
}

/**
 * Watches it until the answer is called, which says for how many milliseconds one task has kept it at most: `blocked` by the clock, and
 * `computing` by its own, which stands still while the thread waits for a core.
 */
async function watchMainThread(page) {
  const browser = page.context().browser();
  await browser.startTracing(page, { categories: ['toplevel', '__metadata'] });
  return async () => {
    const { traceEvents: events } = JSON.parse(await browser.stopTracing());
    const pages = new Set(events.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(({ pid }) => pid));
    const tasks = events.filter(({ name, pid, tid }) => name === 'ThreadControllerImpl::RunTask' && tid === pid && pages.has(pid));
    if (tasks.length === 0) throw new Error('the trace has no task');
    const [blocked, computing] = ['dur', 'tdur'].map((clock) => Math.max(...tasks.map((task) => task[clock] ?? 0)) / 1000);
    return { blocked, computing };
  };
}

export async function close() {
  for (const browser of browsers.values()) await browser.close();
}
