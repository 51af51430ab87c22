// How long the page's main thread is not free.

/**
 * Watches it until the answer is called, which says for how many milliseconds it was blocked at most: by a task, where the browser
 * tells of long ones, else between two calls of a timer, which includes what the thread waits for a core.
 */
export async function watchMainThread(page) {
  await page.evaluate(() => {
    globalThis.blocked = [];
    if (PerformanceObserver.supportedEntryTypes.includes('longtask')) {
      const keep = (list) => globalThis.blocked.push(...list.getEntries().map(({ duration }) => duration));
      new PerformanceObserver(keep).observe({ type: 'longtask' });
      return;
    }
    let last = performance.now();
    setInterval(() => {
      const now = performance.now();
      globalThis.blocked.push(now - last);
      last = now;
    });
  });
  // What blocks it at the end is told of later.
  return () => page.evaluate(() => new Promise((resolve) => setTimeout(() => resolve(Math.max(0, ...globalThis.blocked)), 100)));
}
