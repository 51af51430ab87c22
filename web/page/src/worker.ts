// The worker: one engine, and the requests of the page to it, one after the other.

import init, { Engine } from 'pointtpa-web';
import type { Answer, Failure, Progress, Request } from './protocol';

declare const self: DedicatedWorkerGlobalScope;

const engine = init().then(() => new Engine());
// Its failure is the failure of every request; without this line it would also be an unhandled one.
engine.catch(() => {});

let turn: Promise<void> = Promise.resolve();
self.onmessage = ({ data }: MessageEvent<Request>) => {
  turn = turn.then(() => answer(data));
};

async function answer({ id, call, ask }: Request): Promise<void> {
  const progress = (stage: string, done: number, loss?: number): void => {
    self.postMessage({ id, progress: { stage, done, loss: loss ?? null } } satisfies Progress);
  };
  try {
    const result = await (await engine).handle(call, ask, progress);
    self.postMessage({ id, answer: result } satisfies Answer, buffersOf(result));
  } catch (error) {
    self.postMessage({ id, failure: failureOf(error) } satisfies Answer);
  }
}

/**
 * The buffers that can go to the page instead of being copied. A view of a part of a buffer is copied: what is around it, which
 * may be the module's own memory, must stay.
 */
function buffersOf(value: unknown, found: Transferable[] = []): Transferable[] {
  if (value instanceof ArrayBuffer) found.push(value);
  else if (ArrayBuffer.isView(value)) {
    if (value.buffer instanceof ArrayBuffer && value.byteLength === value.buffer.byteLength) found.push(value.buffer);
  } else if (value && typeof value === 'object') {
    for (const part of Object.values(value)) buffersOf(part, found);
  }
  return found;
}

/** What was thrown, as the page reads it. A trap of the module is a `crash`: the page then starts another worker. */
function failureOf(error: unknown): Failure {
  if (error && typeof error === 'object' && 'kind' in error && 'message' in error) {
    return { kind: String(error.kind), message: String(error.message) };
  }
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof WebAssembly.RuntimeError) {
    return { kind: 'crash', message: `The computation broke off (${message}). Try again; if it happens again, report it.` };
  }
  return { kind: 'other', message };
}
