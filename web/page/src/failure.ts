// Failures as exceptions of the page.

import type { Failure } from './protocol';

/**
 * A Failure of the worker, or one of the page's own kinds: `cancelled` (the user stopped it), `crash` (the worker died), `file`
 * (the browser cannot read a file).
 */
export class Rejection extends Error {
  readonly kind: string;

  constructor({ kind, message }: Failure) {
    super(message);
    this.kind = kind;
  }
}

export function cancelled(): Rejection {
  return new Rejection({ kind: 'cancelled', message: 'Cancelled.' });
}

export function isCancelled(error: unknown): boolean {
  return error instanceof Rejection && error.kind === 'cancelled';
}

/** Bytes of a file, or a rejection that says why it cannot be read. */
export async function bytesOf(name: string, file: Blob): Promise<ArrayBuffer> {
  try {
    return await file.arrayBuffer();
  } catch {
    const gigabytes = file.size / 1e9;
    throw new Rejection({
      kind: 'file',
      message:
        gigabytes > 1
          ? `${name} is ${gigabytes.toFixed(1)} GB, more than this browser reads at once. Use the program, pointtpa segment, or a part of the scan.`
          : `${name} cannot be read. Has it been moved or changed since it was chosen? Choose it again.`,
    });
  }
}
