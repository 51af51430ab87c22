// The models to choose from: the bundled one and those that the user has brought.

import type { NamedFile } from './client';
import { stem } from './downloads';
import { byId, element, facts } from './element';
import { Rejection } from './failure';
import type { ModelInfo } from './protocol';
import { bytes, count, length } from './quantities';

export const BUNDLED = 'rooms';

export class ModelPicker {
  onChoose: (name: string) => void = () => {};

  readonly #list = byId('models');
  /** The bundled one once it is fetched. */
  readonly #files = new Map<string, NamedFile>();
  readonly #notes = new Map<string, string>([[BUNDLED, 'comes with the page']]);
  #chosen = BUNDLED;

  constructor() {
    this.draw();
  }

  /** Adds a file, and makes it the chosen one. */
  add(model: NamedFile): void {
    this.#files.set(model.name, model);
    this.#notes.set(model.name, `${bytes(model.file.size)}, your file`);
  }

  /** The file of a model; the bundled one is fetched when it is first asked for. */
  async file(name: string): Promise<NamedFile> {
    const kept = this.#files.get(name);
    if (kept) return kept;
    const response = await fetch('./rooms.safetensors').catch(() => null);
    if (!response?.ok) {
      throw new Rejection({
        kind: 'model',
        message: 'The bundled model rooms.safetensors cannot be fetched. Load the page anew when there is a network, or use a model file of your own.',
      });
    }
    const model = { name: 'rooms.safetensors', file: await response.blob() };
    this.#files.set(BUNDLED, model);
    return model;
  }

  show(name: string, info: ModelInfo): void {
    this.#chosen = name;
    const note = [bytes(info.bytes), info.licence].filter(Boolean).join(', ');
    this.#notes.set(name, note);
    this.draw();
    byId('model-name').textContent = [info.name, info.adapter].filter((name) => name !== null).map(stem).join(' + ');
    facts(byId('model-facts') as HTMLDListElement, [
      ['Parameters', count(info.parameters)],
      ['Voxels', length(info.gridSize)],
      ['Classes', `${info.labels.classes.length} (${info.labels.name})`],
      ['Licence', info.licence ?? 'not said in the file'],
      ['Adapter', info.adapter],
      ['Origin', info.provenance],
      ['Note', info.note],
    ]);
    byId('adapter-remove').hidden = info.adapter === null;
  }

  draw(): void {
    const focused = this.#list.contains(document.activeElement);
    this.#list.replaceChildren(
      ...[...this.#notes].map(([name, note]) => {
        const radio = element('input', { type: 'radio', name: 'model', value: name });
        radio.checked = name === this.#chosen;
        radio.addEventListener('change', () => {
          this.onChoose(name);
        });
        return element('label', { class: 'model' }, radio, element('span', { class: 'name' }, name), element('span', { class: 'hint' }, note));
      }),
    );
    if (focused) this.#list.querySelector<HTMLInputElement>('input:checked')?.focus();
  }
}
