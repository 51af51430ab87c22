// What computes, in plain words.

import { byId } from './element';
import type { DeviceInfo } from './protocol';

const KINDS: Record<DeviceInfo['kind'], [string, string]> = {
  gpu: ['GPU', ''],
  software: ['Software adapter', 'Computed by a software adapter: a program on the CPU that stands in for a GPU. It works, slowly.'],
  cpu: ['CPU', 'Computed on the CPU: it works, slower than on a GPU.'],
};

/** Shows it, and returns what a screen reader says. */
export function showDevice({ kind, description, reason }: DeviceInfo): string {
  const [name, text] = KINDS[kind];
  byId('device-kind').textContent = name;
  byId('device-text').textContent = description;
  byId('device-reason').textContent = [text, reason].filter(Boolean).join(' ');
  document.body.dataset['device'] = kind;
  // Also where the run is started, for this card may be folded.
  byId('plan-device').textContent = text;
  byId('plan-device').hidden = !text;
  return text || `Computed on ${description}.`;
}
