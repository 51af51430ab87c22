// Which points the user has painted with which class, stroke by stroke.

export class Paint {
  /** Class of every painted point. */
  readonly points = new Map<number, number>();
  /** Of every stroke, what its points were before. */
  readonly #strokes: Map<number, number>[] = [];

  begin(): void {
    this.#strokes.push(new Map());
  }

  /** Paints points within the stroke that has begun; class -1 erases. Returns those that have changed. */
  add(points: Iterable<number>, id: number): number[] {
    const stroke = this.#strokes.at(-1);
    if (!stroke) return [];
    const changed: number[] = [];
    for (const point of points) {
      const before = this.points.get(point) ?? -1;
      if (before === id) continue;
      if (!stroke.has(point)) stroke.set(point, before);
      this.#put(point, id);
      changed.push(point);
    }
    return changed;
  }

  end(): void {
    if (this.#strokes.at(-1)?.size === 0) this.#strokes.pop();
  }

  get canUndo(): boolean {
    return this.#strokes.length > 0;
  }

  /** Takes the last stroke back; what its points are afterwards. */
  undo(): Map<number, number> {
    const stroke = this.#strokes.pop() ?? new Map<number, number>();
    for (const [point, before] of stroke) this.#put(point, before);
    return stroke;
  }

  /** Takes everything back; the points that were painted. */
  clear(): number[] {
    const points = [...this.points.keys()];
    this.points.clear();
    this.#strokes.length = 0;
    return points;
  }

  /** A class per point, -1 for those that say nothing. */
  labels(count: number): Int32Array {
    const labels = new Int32Array(count).fill(-1);
    for (const [point, id] of this.points) labels[point] = id;
    return labels;
  }

  /** How many points each class has. */
  counts(): Map<number, number> {
    const counts = new Map<number, number>();
    for (const id of this.points.values()) counts.set(id, (counts.get(id) ?? 0) + 1);
    return counts;
  }

  #put(point: number, id: number): void {
    if (id < 0) this.points.delete(point);
    else this.points.set(point, id);
  }
}
