// What was found in a scan file, before any work.

import { byId, element, facts } from './element';
import type { OpenedScan } from './protocol';
import { count, counted, length } from './quantities';

export function describe(name: string, { description, colors, normals }: OpenedScan): void {
  byId('scan-title').textContent = name;
  byId('scan-title').title = name;
  byId('scan-count').textContent = counted(description.points, 'point');
  const { up, units, non_finite_points: lost, faces, warnings } = description;
  const more = description as { extent?: [number, number, number]; labels?: number[] | null };
  const size = more.extent?.map((side) => length(side)).join(' × ') ?? null;
  facts(byId('scan-facts') as HTMLDListElement, [
    ['Format', description.format],
    ['Lost', lost > 0 ? `${counted(lost, 'point')} without finite coordinates` : null],
    ['Faces', faces > 0 ? count(faces) : null],
    ['Size', size],
    ['Up', up ? `${up.answer}: ${up.reason}` : null],
    ['Unit', units ? `${units.answer}: ${units.reason}` : null],
    ['Colours', colors ? 'in the file' : 'none: taken as grey'],
    ['Normals', normals ? 'in the file' : 'none: estimated in the run'],
    ['Labels', more.labels?.length ? `${counted(more.labels.length, 'class', 'classes')} in the file` : null],
    ['Properties', description.properties.map((property) => property.split(':')[0]).join(', ')],
  ]);
  byId('scan-warnings').replaceChildren(...warnings.map((warning) => element('li', {}, warning)));
}
