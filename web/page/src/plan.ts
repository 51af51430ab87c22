// Before the run: how fine, what that will take, and what can be done if it is too much.

import { button, byId, element } from './element';
import type { Estimate } from './protocol';
import { bytes, counted, length, roughly } from './quantities';

/** Voxels coarser than the model's by these factors are offered. */
const COARSER = [1, 1.5, 2, 3];

export class Plan {
  /** Told when the user has chosen another voxel size. */
  onGrid: (gridSize: number | null) => void = () => {};

  readonly #grid = byId<HTMLSelectElement>('grid');
  readonly #text = byId('estimate');
  readonly #problem = byId('problem');
  readonly #run = byId<HTMLButtonElement>('run-button');
  #own = 0;

  constructor() {
    this.#grid.addEventListener('change', () => this.onGrid(this.gridSize));
  }

  /** Metres; null for the model's own. */
  get gridSize(): number | null {
    const size = Number(this.#grid.value);
    return size === this.#own ? null : size;
  }

  /** Starts from a model's voxel size. */
  reset(own: number): void {
    this.#own = own;
    this.#grid.replaceChildren();
    for (const factor of COARSER) this.#offer(own * factor);
    this.#grid.value = String(own);
  }

  choose(gridSize: number): void {
    this.#offer(gridSize);
    this.#grid.value = String(gridSize);
    this.onGrid(gridSize);
  }

  show(estimate: Estimate): void {
    const { voxels, memory, seconds, problem, fittingGridSize } = estimate;
    const time = seconds === null ? 'The first run will show how fast this device is.' : `It will take ${roughly(seconds)}.`;
    this.#text.textContent = `${counted(voxels, 'voxel')}, ${bytes(memory)} of memory. ${time}`;
    this.#problem.hidden = problem === null;
    this.#problem.replaceChildren();
    if (problem === null) return;
    this.#problem.append(element('p', {}, `${problem} As it is it will be labelled in tiles, one after the other.`));
    if (fittingGridSize !== null) {
      const text = `Use voxels of ${length(fittingGridSize)}`;
      this.#problem.append(button(text, { id: 'use-fitting' }, () => this.choose(fittingGridSize)));
    }
  }

  /** A size that is coarser than the one in use, for when memory has run out in spite of the estimate. */
  get coarser(): number {
    return (this.gridSize ?? this.#own) * 1.5;
  }

  set labelled(labelled: boolean) {
    this.#run.textContent = labelled ? 'Label the points again' : 'Label the points';
    this.#run.classList.toggle('primary', !labelled);
  }

  #offer(size: number): void {
    const value = String(size);
    if ([...this.#grid.options].some((option) => option.value === value)) return;
    const text = size === this.#own ? `${length(size)}, the model's own` : `${length(size)}: coarser and faster`;
    this.#grid.append(element('option', { value }, text));
  }
}
