// The classes that were found, the most frequent first, and which of them are shown.

import { byId, element, swatch } from './element';
import { announce } from './live';
import type { Class } from './protocol';
import { count, percent } from './quantities';

export interface Row {
  class: Class;
  points: number;
  share: number;
}

/** For points without a class. */
const NONE: Class = { id: -1, name: 'no class', color: [148, 148, 148] };

/** Classes with points, sorted by how many. */
export function tally(labels: Int32Array, classes: Class[]): Row[] {
  const largest = classes.reduce((most, { id }) => Math.max(most, id), -1);
  const counts = new Uint32Array(largest + 2);
  for (let i = 0; i < labels.length; i++) counts[labels[i]! + 1]! += 1;
  return [NONE, ...classes]
    .map((each) => ({ class: each, points: counts[each.id + 1] ?? 0, share: (counts[each.id + 1] ?? 0) / labels.length }))
    .filter(({ points }) => points > 0)
    .sort((a, b) => b.points - a.points);
}

export class Legend {
  /** Told when other classes are to be seen. */
  onChange: () => void = () => {};

  readonly #list = byId('legend');
  readonly #all = byId<HTMLButtonElement>('show-all');
  readonly #hidden = new Set<number>();
  #rows: Row[] = [];

  constructor() {
    this.#all.addEventListener('click', () => {
      this.#hidden.clear();
      this.#changed();
      announce('All classes are shown');
      // The button disables itself, and the focus must not be lost with it.
      this.#list.querySelector('input')?.focus();
    });
  }

  visible(id: number): boolean {
    return !this.#hidden.has(id);
  }

  /** Classes that are hidden stay so while they exist. */
  show(rows: Row[]): void {
    this.#rows = rows;
    const ids = new Set(rows.map((row) => row.class.id));
    for (const id of this.#hidden) if (!ids.has(id)) this.#hidden.delete(id);
    const most = rows[0]?.share ?? 1;
    this.#list.replaceChildren(...rows.map((row) => this.#item(row, most)));
    this.#changed();
  }

  #item({ class: each, points, share }: Row, most: number): HTMLLIElement {
    const box = element('input', { type: 'checkbox', 'data-id': each.id });
    box.addEventListener('change', () => {
      if (box.checked) this.#hidden.delete(each.id);
      else this.#hidden.add(each.id);
      this.#changed();
    });
    const only = element('button', { type: 'button', class: 'solo', 'data-id': each.id, 'aria-label': `Only ${each.name}` }, 'Only');
    only.addEventListener('click', () => this.#solo(each));
    const bar = element('span', { class: 'bar-of', 'aria-hidden': 'true' });
    bar.style.setProperty('--share', `${(100 * share) / most}%`);
    return element(
      'li',
      {},
      element(
        'label',
        {},
        box,
        swatch(each.color),
        element('span', { class: 'name' }, each.name),
        element('span', { class: 'number count' }, count(points)),
        element('span', { class: 'number share' }, percent(share)),
        bar,
      ),
      only,
    );
  }

  /** Shows one class alone; once more, and all are back. */
  #solo(one: Class): void {
    const alone = this.#alone(one.id);
    this.#hidden.clear();
    if (!alone) for (const row of this.#rows) if (row.class.id !== one.id) this.#hidden.add(row.class.id);
    this.#changed();
    announce(alone ? 'All classes are shown' : `Only ${one.name} is shown`);
  }

  #alone(id: number): boolean {
    return !this.#hidden.has(id) && this.#rows.length > 1 && this.#hidden.size === this.#rows.length - 1;
  }

  #changed(): void {
    for (const box of this.#list.querySelectorAll<HTMLInputElement>('input')) {
      box.checked = this.visible(Number(box.dataset['id']));
    }
    for (const only of this.#list.querySelectorAll<HTMLButtonElement>('.solo')) {
      only.setAttribute('aria-pressed', String(this.#alone(Number(only.dataset['id']))));
    }
    this.#all.disabled = this.#hidden.size === 0;
    this.onChange();
  }
}
