// Long loops of the page go in slices: between two of them the browser draws and takes input.

/** Points that a loop over all points handles before it lets the browser in; a few milliseconds. */
export const SLICE = 1 << 18;

const channel = new MessageChannel();
const waiting: (() => void)[] = [];
channel.port1.onmessage = () => waiting.shift()?.();

/** Resolves in a task of its own. A message, because a timer of zero waits four milliseconds. */
export function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(null);
  });
}
