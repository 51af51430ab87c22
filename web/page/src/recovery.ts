// When a GPU is lost: once more on the same device, then on the CPU.

import type { Client } from './client';
import { Rejection } from './failure';

export async function withRecovery<T>(client: Client, work: () => Promise<T>, say: (text: string) => void): Promise<T> {
  const steps = [
    () => {
      say('The GPU was lost: its driver restarted, or another program took its memory. Trying once more.');
      client.restart();
    },
    () => {
      say('The GPU was lost again. Computing on the CPU instead.');
      client.restart('cpu');
    },
  ];
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const next = error instanceof Rejection && error.kind === 'device-lost' ? steps.shift() : undefined;
      if (!next) throw error;
      next();
    }
  }
}
