// What is said to screen readers.

import { byId } from './element';

const region = byId('live');

export function announce(text: string): void {
  // A text that stands there already would not be said again.
  region.textContent = region.textContent === text ? `${text}\u00a0` : text;
}
