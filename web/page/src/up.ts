// Which way is up in a scan.

import type { Guess } from './protocol';

export interface Up {
  axis: 0 | 1 | 2;
  sign: 1 | -1;
}

/** From a guess such as `+z` or `-y`; z where there is none. */
export function upOf(guess: Guess | null): Up {
  const [, sign, axis] = /^([+-])([xyz])/.exec(guess?.answer ?? '') ?? [];
  return { axis: axis === 'x' ? 0 : axis === 'y' ? 1 : 2, sign: sign === '-' ? -1 : 1 };
}
