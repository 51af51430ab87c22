// How long the page's main thread is not free.

/** Watches it until the answer is called, which says for how many milliseconds it was blocked at most. */
export async function watchMainThread(page) {
  await page.evaluate(() => {
    globalThis.blocked = 0;
    globalThis.last = performance.now();
    globalThis.watching = setInterval(() => {
      const now = performance.now();
      globalThis.blocked = Math.max(globalThis.blocked, now - globalThis.last);
      globalThis.last = now;
    });
  });
  return () =>
    page.evaluate(() => {
      clearInterval(globalThis.watching);
      return Math.max(globalThis.blocked, performance.now() - globalThis.last);
    });
}
