// The tools over the view: what the colours mean, before and after, viewpoints, size and cut of the points.

import { canShow, MODE_NAMES, MODES, paintMode, type Layers, type Mode } from './colors';
import { byId, element } from './element';
import { announce } from './live';
import type { Viewpoint } from './navigation';
import { showRamp } from './ramp';
import { Split } from './split';
import type { Viewer } from './viewer';

/** Above this share of normals that look inwards, a scan was taken from within, and its near walls would hide it. */
const FROM_WITHIN = 0.65;

export class ViewControls {
  /** Computes the features' colours; asked once per labelling. */
  needFeatures: () => Promise<Uint8Array> = () => Promise.reject(new Error('no features'));
  /** Told of what did not work. */
  onFailure: (error: unknown) => void = () => {};

  readonly #viewer: Viewer;
  readonly #split = new Split();
  readonly #select = byId<HTMLSelectElement>('color-mode');
  readonly #size = byId<HTMLInputElement>('point-size');
  readonly #cut = byId<HTMLInputElement>('cut');
  readonly #seeInto = byId<HTMLInputElement>('see-into');
  readonly #shading = byId<HTMLInputElement>('depth-shading');
  #layers: Layers | null = null;
  #mode: Mode = 'original';
  /** Grows with every recolouring; an older one that still works on its slices then stops. */
  #turn = 0;

  constructor(viewer: Viewer) {
    this.#viewer = viewer;
    this.#split.onMove = (share) => (viewer.split = share);
    this.#select.append(...MODES.map((mode) => element('option', { value: mode }, MODE_NAMES[mode])));
    this.#select.addEventListener('change', () => void this.choose(this.#select.value as Mode));
    byId('compare-button').addEventListener('click', () => this.compare());
    for (const from of ['reset', 'top', 'front'] as const) byId(`view-${from}`).addEventListener('click', () => this.look(from));
    this.#size.addEventListener('input', () => (viewer.pointScale = 2 ** this.#size.valueAsNumber));
    this.#cut.addEventListener('input', () => (viewer.cut = this.#cut.valueAsNumber / 100));
    this.#seeInto.addEventListener('change', () => (viewer.seeInto = this.#seeInto.checked));
    this.#shading.addEventListener('change', () => this.#shade());
    const menu = byId<HTMLDetailsElement>('view-options');
    document.addEventListener('pointerdown', (event) => {
      if (!menu.contains(event.target as Node)) menu.open = false;
    });
    menu.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !menu.open) return;
      menu.open = false;
      menu.querySelector('summary')?.focus();
      event.stopPropagation();
    });
  }

  get mode(): Mode {
    return this.#mode;
  }

  /** The left colours and all settings, for another scan. */
  async start(layers: Layers): Promise<void> {
    this.#layers = layers;
    this.#mode = 'original';
    this.#split.shown = false;
    this.#cut.value = '0';
    const cloud = this.#viewer.cloud;
    const within = (cloud?.extent.inward ?? 0) > FROM_WITHIN;
    this.#seeInto.checked = within;
    this.#seeInto.disabled = !layers.normals;
    this.#viewer.seeInto = within;
    this.#viewer.pointScale = 2 ** this.#size.valueAsNumber;
    if (cloud) {
      await paintMode('original', layers, cloud.original, () => this.#layers !== layers);
      cloud.colorsChanged('original');
    }
    await this.recolor();
  }

  /** Shows a mode, after computing what it needs. */
  async choose(mode: Mode): Promise<void> {
    const layers = this.#layers;
    if (!layers || !canShow(mode, layers)) return;
    try {
      if (mode === 'features') layers.features ??= await this.needFeatures();
    } catch (error) {
      this.#select.value = this.#mode;
      this.onFailure(error);
      return;
    }
    if (layers !== this.#layers) return;
    this.#mode = mode;
    await this.recolor();
  }

  /** After the layers have changed. What cannot be shown any more gives way to the classes, or to the original colours. */
  async recolor(): Promise<void> {
    const [layers, cloud] = [this.#layers, this.#viewer.cloud];
    if (!layers || !cloud) return;
    if (!canShow(this.#mode, layers) || (this.#mode === 'features' && !layers.features)) {
      this.#mode = layers.labels ? 'class' : 'original';
    }
    for (const option of this.#select.options) option.disabled = !canShow(option.value as Mode, layers);
    this.#select.value = this.#mode;
    this.#split.name = MODE_NAMES[this.#mode];
    if (this.#mode === 'original') this.#split.shown = false;
    const compare = byId<HTMLButtonElement>('compare-button');
    compare.setAttribute('aria-disabled', String(this.#mode === 'original'));
    compare.setAttribute('aria-pressed', String(this.#split.shown));
    showRamp(this.#mode, layers.heights);
    this.#shade();
    const turn = ++this.#turn;
    if (await paintMode(this.#mode, layers, cloud.shade, () => turn !== this.#turn)) {
      cloud.colorsChanged('shade');
      this.#viewer.draw();
    }
  }

  compare(): void {
    if (this.#mode === 'original') {
      announce('Choose other colours first; they are then compared with the original ones');
      return;
    }
    this.#split.shown = !this.#split.shown;
    byId('compare-button').setAttribute('aria-pressed', String(this.#split.shown));
  }

  /** Classes are flat colours, which hide shapes; all others mean something by their lightness. */
  #shade(): void {
    this.#viewer.shade(this.#shading.checked, this.#shading.checked && this.#mode === 'class');
  }

  look(from: Viewpoint): void {
    this.#viewer.navigation.look(from);
  }

  resize(step: number): void {
    this.#size.valueAsNumber += step;
    this.#viewer.pointScale = 2 ** this.#size.valueAsNumber;
  }
}
