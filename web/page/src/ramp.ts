// The strip under the view that says what the colours of a number mean.

import type { Mode } from './colors';
import { byId } from './element';
import { CONFIDENCE, gradient, HEIGHT, SIMILARITY, type Palette } from './palettes';
import { length } from './quantities';

export function showRamp(mode: Mode, heights: [number, number]): void {
  const ramps: Partial<Record<Mode, [Palette, string, string]>> = {
    confidence: [CONFIDENCE, 'unsure', 'sure'],
    similarity: [SIMILARITY, 'unlike', 'alike'],
    height: [HEIGHT, '0 m', length(heights[1] - heights[0])],
  };
  const ramp = ramps[mode];
  byId('ramp').hidden = !ramp;
  if (!ramp) return;
  const [palette, low, high] = ramp;
  byId('ramp-strip').style.backgroundImage = gradient(palette);
  byId('ramp-low').textContent = low;
  byId('ramp-high').textContent = high;
}
