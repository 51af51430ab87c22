// When a GPU is lost: once more on the same device, in smaller pieces, then on the CPU.

import type { Client } from './client';
import { Rejection } from './failure';

/** `work` is told whether to take smaller pieces than it would; `again` is what is said of the second try. */
export async function withRecovery<T>(
  client: Client,
  work: (smaller: boolean) => Promise<T>,
  say: (text: string) => void,
  again = 'Trying once more.',
): Promise<T> {
  let smaller = false;
  const steps = [
    () => {
      say(`The GPU was lost: its driver restarted, or another program took its memory. ${again}`);
      smaller = true;
      client.restart();
    },
    () => {
      say('The GPU was lost again. Computing on the CPU instead.');
      smaller = false;
      client.restart('cpu');
    },
  ];
  for (;;) {
    try {
      return await work(smaller);
    } catch (error) {
      const next = error instanceof Rejection && error.kind === 'device-lost' ? steps.shift() : undefined;
      if (!next) throw error;
      next();
    }
  }
}
