// The page in a frame of another page. The embedding page talks to it with postMessage:
//
//   in    { type: 'pointtpa:open', name: 'room.ply', bytes: ArrayBuffer, run?: boolean }
//         opens the scan, and labels it unless `run` is false
//   out   { type: 'pointtpa:ready' }                      when it can be asked
//         { type: 'pointtpa:result', name, labels: Int32Array, confidence: Float32Array,
//           classes: [{ id, name, color }], seconds }     after every labelling of that scan
//         { type: 'pointtpa:failure', name, message }     when it could not be opened or labelled
//
// Only the window that embeds this one is listened to, and results go only to the origin that has sent the scan. Of a scan that the
// user has opened, the embedding page learns nothing.

import type { NamedFile } from './client';
import type { Class, Segmentation } from './protocol';

interface Open {
  type: 'pointtpa:open';
  name: string;
  bytes: ArrayBuffer;
  run?: boolean;
}

function isOpen(data: unknown): data is Open {
  if (!data || typeof data !== 'object') return false;
  const { type, name, bytes } = data as Partial<Open>;
  return type === 'pointtpa:open' && typeof name === 'string' && bytes instanceof ArrayBuffer;
}

/** A scan that the embedding page has sent, and the way back. */
export interface Sent extends NamedFile {
  run: boolean;
  result: (segmentation: Segmentation, classes: Class[]) => void;
  failure: (message: string) => void;
}

export function startEmbedding(onOpen: (sent: Sent) => void): void {
  const { parent } = window;
  if (parent === window) return;
  addEventListener('message', ({ source, origin, data }: MessageEvent<unknown>) => {
    if (source !== parent || !isOpen(data)) return;
    const { name } = data;
    // The origin of a page from a file or a sandbox is `null`, which is no target; such a page gets no results.
    const answer = (message: object): void => {
      if (origin !== 'null') parent.postMessage({ name, ...message }, origin);
    };
    onOpen({
      name,
      file: new Blob([data.bytes]),
      run: data.run !== false,
      result: ({ labels, confidence, seconds }, classes) => answer({ type: 'pointtpa:result', labels, confidence, classes, seconds }),
      failure: (message) => answer({ type: 'pointtpa:failure', message }),
    });
  });
  // It says nothing but that the page is there, so any origin may read it.
  parent.postMessage({ type: 'pointtpa:ready' }, '*');
}
