// The loss of every step as a line.

const SVG = 'http://www.w3.org/2000/svg';

export class Sparkline {
  readonly #svg: SVGSVGElement;
  readonly #line = document.createElementNS(SVG, 'polyline');
  #losses: number[] = [];
  #asked = false;

  constructor(svg: SVGSVGElement) {
    this.#svg = svg;
    svg.append(this.#line);
  }

  get losses(): readonly number[] {
    return this.#losses;
  }

  set losses(losses: number[]) {
    this.#losses = losses;
    this.#draw();
  }

  add(loss: number): void {
    this.#losses.push(loss);
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#draw();
    });
  }

  #draw(): void {
    const { width, height } = this.#svg.viewBox.baseVal;
    const highest = Math.max(...this.#losses, 1e-9);
    const step = width / Math.max(this.#losses.length - 1, 1);
    const points = this.#losses.map((loss, i) => `${(i * step).toFixed(1)},${(3 + (height - 6) * (1 - loss / highest)).toFixed(1)}`);
    this.#line.setAttribute('points', points.join(' '));
    const [first, last] = [this.#losses[0], this.#losses.at(-1)];
    if (first !== undefined && last !== undefined) {
      this.#svg.setAttribute('aria-label', `Loss over ${this.#losses.length} steps, from ${first.toFixed(2)} to ${last.toFixed(2)}`);
    }
  }
}
