// Where scans come from: dropped, chosen, pasted, a bundled sample, or an address in ?url=.

import type { NamedFile } from './client';
import type { FromFrame } from './download_frame';
import { byId, element } from './element';
import { Rejection } from './failure';

export interface Sample {
  name: string;
  address: string;
  title: string;
}

export const SAMPLES: Sample[] = __SAMPLES__.map((address) => {
  const name = address.replace(/^.*\//, '');
  const words = name.replace(/\.ply$/, '').replaceAll('_', ' ');
  return { name, address: `./${address}`, title: words.charAt(0).toUpperCase() + words.slice(1) };
});

export async function fetchSample({ name, address }: Sample): Promise<NamedFile> {
  const response = await fetch(address).catch(() => null);
  if (!response?.ok) {
    throw new Rejection({ kind: 'file', message: `The sample ${name} cannot be fetched. Load the page anew when there is a network.` });
  }
  return { name, file: await response.blob() };
}

/** By a frame that may connect to other hosts, which the page may not (index.html says why). */
export function fetchAddress(address: string, onProgress: (bytes: number, done: number | null) => void): Promise<NamedFile> {
  const frame = element('iframe', { hidden: true, title: 'Download', src: `./download.html?url=${encodeURIComponent(address)}` });
  const name = decodeURIComponent(address.replace(/[?#].*$/, '').replace(/^.*\//, '')) || 'scan';
  return new Promise<NamedFile>((resolve, reject) => {
    const receive = ({ source, origin, data }: MessageEvent<FromFrame>): void => {
      if (source !== frame.contentWindow || origin !== location.origin) return;
      if ('progress' in data) {
        onProgress(data.progress.bytes, data.progress.done);
        return;
      }
      removeEventListener('message', receive);
      frame.remove();
      if ('downloaded' in data) resolve({ name, file: new Blob([data.downloaded]) });
      else reject(new Rejection({ kind: 'file', message: data.failed }));
    };
    addEventListener('message', receive);
    document.body.append(frame);
  });
}

/** Calls `onFiles` with what is dropped anywhere, chosen in a dialog, or pasted; `onSample` with a chosen sample. */
export function startSources(onFiles: (files: File[]) => void, onSample: (sample: Sample) => void): void {
  const hint = byId('drop-hint');
  const carriesFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;
  addEventListener('dragover', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    hint.hidden = false;
  });
  addEventListener('dragleave', (event) => {
    // Between elements of the page there is a related one; out of the window there is none.
    if (!event.relatedTarget) hint.hidden = true;
  });
  addEventListener('drop', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    hint.hidden = true;
    onFiles([...(event.dataTransfer?.files ?? [])]);
  });
  addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length > 0) onFiles(files);
  });
  for (const [input, openers] of [
    ['scan-input', ['open-button', 'choose-button']],
    ['model-input', ['model-open']],
  ] as const) {
    const chooser = byId<HTMLInputElement>(input);
    for (const opener of openers) byId(opener).addEventListener('click', () => chooser.click());
    chooser.addEventListener('change', () => {
      onFiles([...(chooser.files ?? [])]);
      // So that the same file can be chosen again.
      chooser.value = '';
    });
  }
  byId('samples').replaceChildren(
    ...SAMPLES.map((sample) => {
      const open = element('button', { type: 'button', class: 'button', 'data-sample': sample.name }, sample.title);
      open.addEventListener('click', () => onSample(sample));
      return element('li', {}, open);
    }),
  );
}
