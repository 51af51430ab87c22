// What is known of one point.

import { byId, element, swatch } from './element';
import type { Class, PointReport } from './protocol';
import { count, percent } from './quantities';

export function showPoint(point: number, place: number[], report: PointReport, classes: Class[]): string {
  const named = (id: number): Class => classes.find((each) => each.id === id) ?? { id, name: 'no class', color: [148, 148, 148] };
  const own = named(report.label);
  const rows = report.top.slice(0, 3).map(({ label, probability }) => {
    const bar = element('span', { class: 'bar-of', 'aria-hidden': 'true' });
    bar.style.setProperty('--share', `${100 * probability}%`);
    return element(
      'li',
      {},
      swatch(named(label).color),
      element('span', { class: 'name' }, named(label).name),
      element('span', { class: 'number share' }, percent(probability)),
      bar,
    );
  });
  byId('point-title').textContent = own.name;
  byId('point-body').replaceChildren(
    element('ol', { class: 'top', 'aria-label': 'Most likely classes' }, ...rows),
    element('p', { class: 'hint number' }, `Point ${count(point)} at ${place.map((value) => value.toFixed(2)).join(', ')} m`),
  );
  return `${own.name}, ${report.top.map((each) => `${named(each.label).name} ${percent(each.probability)}`).join(', ')}`;
}
