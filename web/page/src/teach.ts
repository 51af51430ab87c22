// Teach it: the user paints points with classes, the model learns for some seconds.

import { Brush } from './brush';
import { byId, element, swatch } from './element';
import { announce } from './live';
import { Paint } from './paint';
import type { Class, Progress, TeachReport } from './protocol';
import { count, counted, duration } from './quantities';
import { Sparkline } from './sparkline';
import type { Viewer } from './viewer';

type Tool = 'paint' | 'erase' | 'move';

export interface Lesson {
  labels: Int32Array;
  added: Omit<Class, 'id'>[];
  seconds: number;
}

export class Teach {
  onLearn: (lesson: Lesson) => void = () => {};
  /** Told when there are other classes than before, so that the view knows their colours. */
  onClasses: () => void = () => {};

  readonly #viewer: Viewer;
  readonly #brush: Brush;
  readonly #paint = new Paint();
  readonly #sparkline = new Sparkline(byId<SVGSVGElement>('loss-chart'));
  readonly #select = byId<HTMLSelectElement>('teach-class');
  readonly #name = byId<HTMLInputElement>('new-class-name');
  readonly #color = byId<HTMLInputElement>('new-class-color');
  #classes: Class[] = [];
  #added: Class[] = [];
  #tool: Tool = 'paint';

  constructor(viewer: Viewer) {
    this.#viewer = viewer;
    this.#brush = new Brush(viewer);
    this.#brush.onBegin = () => this.#paint.begin();
    this.#brush.onPaint = (points) => this.#add(points);
    this.#brush.onEnd = () => this.#endStroke();
    const size = byId<HTMLInputElement>('brush-size');
    const resize = (): void => void (this.#brush.radius = size.valueAsNumber);
    size.addEventListener('input', resize);
    resize();
    for (const tool of document.querySelectorAll<HTMLInputElement>('input[name=tool]')) {
      tool.addEventListener('change', () => this.#use(tool.value as Tool));
    }
    byId('new-class').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#addClass();
    });
    byId('stroke-undo').addEventListener('click', () => this.undoStroke());
    byId('paint-clear').addEventListener('click', () => this.#clear());
    byId('learn-button').addEventListener('click', () => this.#learn());
  }

  /** The model's classes and those that were added here. */
  get classes(): Class[] {
    return [...this.#classes, ...this.#added];
  }

  /** Another scan or another model: nothing is painted. */
  reset(classes: Class[]): void {
    this.#clear();
    this.#added = [];
    this.#classes = classes;
    byId('loss').hidden = true;
    byId('taught').hidden = true;
    this.#drawClasses();
  }

  set active(active: boolean) {
    this.#brush.active = active && this.#tool !== 'move';
  }

  /** Whether the paint is drawn over the classes, which it hides. */
  set shown(shown: boolean) {
    for (const [point, id] of this.#paint.points) this.#viewer.cloud?.setPaint([point], shown ? id : -1);
    this.#viewer.draw();
  }

  /** By keys: paints what is in the middle of the view. */
  dab(): void {
    if (this.#tool !== 'move') this.#brush.dab();
  }

  undoStroke(): void {
    if (!this.#paint.canUndo) return;
    for (const [point, before] of this.#paint.undo()) this.#viewer.cloud?.setPaint([point], before);
    this.#viewer.draw();
    this.#drawPainted();
  }

  startLearning(): void {
    this.#sparkline.losses = [];
    byId('loss').hidden = false;
    byId('loss-caption').textContent = 'Waiting for the first step';
    byId('taught').hidden = true;
  }

  learning({ loss }: Progress['progress']): void {
    if (loss === null) return;
    this.#sparkline.add(loss);
    const { losses } = this.#sparkline;
    byId('loss-caption').textContent = `Loss ${loss.toFixed(2)} after ${counted(losses.length, 'step')}`;
  }

  stopped(): void {
    byId('loss').hidden = true;
  }

  /** After learning: the classes are the model's, and the paint stays for the next time. */
  learned({ steps, seconds, losses, labels }: TeachReport, changed: number, found: Int32Array): void {
    this.#classes = labels.classes;
    this.#added = [];
    this.#drawClasses();
    this.#sparkline.losses = losses;
    const [first, last] = [losses[0], losses.at(-1)];
    const fell = first === undefined || last === undefined ? '' : `, loss ${first.toFixed(2)} to ${last.toFixed(2)}`;
    byId('loss-caption').textContent = `${counted(steps, 'step')} in ${duration(seconds)}${fell}`;
    const painted = [...this.#paint.points];
    const right = painted.filter(([point, id]) => found[point] === id).length;
    const all = `${counted(changed, 'point')} ${changed === 1 ? 'has' : 'have'} another class than before.`;
    const learned = `Of ${counted(painted.length, 'painted point')} ${count(right)} ${right === 1 ? 'has' : 'have'} the class of the paint.`;
    const advice = 2 * right < painted.length ? ' That is too few: learn for longer, or undo it and paint more.' : '';
    const text = `${all} ${learned}${advice}`;
    byId('taught-text').textContent = text;
    byId('taught').hidden = false;
    announce(`Learned ${counted(steps, 'step')}. ${text}`);
  }

  /** After learning was undone: classes that only the lesson knew are added ones again. */
  unlearned(classes: Class[]): void {
    const known = new Set(classes.map(({ id }) => id));
    this.#added = this.classes.filter(({ id }) => !known.has(id));
    this.#classes = classes;
    this.#drawClasses();
    byId('taught').hidden = true;
    byId('loss').hidden = true;
    announce('Back to before the lesson');
  }

  #use(tool: Tool): void {
    this.#tool = tool;
    this.active = true;
  }

  #add(points: Set<number>): void {
    const id = this.#tool === 'erase' ? -1 : Number(this.#select.value);
    const changed = this.#paint.add(points, id);
    if (changed.length === 0) return;
    this.#viewer.cloud?.setPaint(changed, id);
    this.#viewer.draw();
  }

  #endStroke(): void {
    this.#paint.end();
    this.#drawPainted();
  }

  #addClass(): void {
    const name = this.#name.value.trim();
    if (!name) {
      this.#name.focus();
      announce('The new class needs a name');
      return;
    }
    const known = this.classes.find((each) => each.name.toLowerCase() === name.toLowerCase());
    const hex = parseInt(this.#color.value.slice(1), 16);
    const made: Class = known ?? { id: this.classes.length, name, color: [(hex >> 16) & 255, (hex >> 8) & 255, hex & 255] };
    if (!known) this.#added.push(made);
    this.#name.value = '';
    this.#drawClasses();
    this.#select.value = String(made.id);
    announce(known ? `${name} is there already, and chosen` : `${name} is added and chosen`);
  }

  #clear(): void {
    this.#viewer.cloud?.setPaint(this.#paint.clear(), -1);
    this.#viewer.draw();
    this.#drawPainted();
  }

  #learn(): void {
    const { cloud } = this.#viewer;
    if (!cloud) return;
    if (this.#paint.points.size === 0) {
      announce('Paint some points first');
      byId('painted').replaceChildren(element('li', { class: 'hint' }, 'Paint some points first.'));
      return;
    }
    this.onLearn({
      labels: this.#paint.labels(cloud.count),
      added: this.#added.map(({ name, color }) => ({ name, color })),
      seconds: Number(byId<HTMLSelectElement>('teach-seconds').value),
    });
  }

  #drawClasses(): void {
    const chosen = this.#select.value;
    const options = [...this.classes].sort((a, b) => a.name.localeCompare(b.name));
    this.#select.replaceChildren(...options.map(({ id, name }) => element('option', { value: id }, name)));
    if (options.some(({ id }) => String(id) === chosen)) this.#select.value = chosen;
    this.#drawPainted();
    this.onClasses();
  }

  #drawPainted(): void {
    const counts = this.#paint.counts();
    const rows = this.classes.filter(({ id }) => counts.has(id));
    byId('painted').replaceChildren(
      ...rows.map(({ id, name, color }) =>
        element('li', {}, swatch(color), element('span', { class: 'name' }, name), element('span', { class: 'number count' }, count(counts.get(id) ?? 0))),
      ),
    );
    byId('stroke-undo').setAttribute('aria-disabled', String(!this.#paint.canUndo));
    byId('paint-clear').setAttribute('aria-disabled', String(rows.length === 0));
    byId('learn-button').setAttribute('aria-disabled', String(rows.length === 0));
  }
}
