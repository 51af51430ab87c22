// What the keys of the page do.

import { MODES } from './colors';
import { byId } from './element';
import type { Key } from './keyboard';
import { leaveTeaching } from './lessons';
import type { Page } from './page';
import { closePoint } from './point_questions';

export function shortcuts(page: Page, label: () => void): Key[] {
  const { controls, jobs, machine, picking, teach } = page;
  const enter = (): void => {
    if (machine.is('teaching')) teach.dab();
    else if (picking.enabled) void picking.pickMiddle();
  };
  const escape = (): void => {
    if (jobs.busy) jobs.cancel();
    else if (picking.point !== null) closePoint(page);
    else leaveTeaching(page);
  };
  return [
    { key: 'o', shown: 'O', does: 'open a scan', run: () => byId('scan-input').click() },
    { key: 'l', shown: 'L', does: 'label the points', run: () => machine.is('described', 'labelled') && label() },
    { key: 'Enter', shown: 'Enter', does: 'pick or paint the middle of the view', view: true, run: enter },
    { key: '.', shown: '.', does: 'turn about the point in the middle', run: () => void picking.focusMiddle() },
    ...MODES.map((mode, i) => ({
      key: String(i + 1),
      shown: i === 0 ? `1 … ${MODES.length}` : '',
      does: 'colours: original, class, confidence, …',
      run: () => void controls.choose(mode),
    })),
    { key: 'c', shown: 'C', does: 'compare with the original colours', run: () => controls.compare() },
    { key: '[', shown: '[  ]', does: 'smaller, larger points', run: () => controls.resize(-0.25) },
    { key: ']', shown: '', does: '', run: () => controls.resize(0.25) },
    { key: 'r', shown: 'R  T  F', does: 'reset the view, from the top, from the front', run: () => controls.look('reset') },
    { key: 't', shown: '', does: '', run: () => controls.look('top') },
    { key: 'f', shown: '', does: '', run: () => controls.look('front') },
    { key: 'z', ctrl: true, shown: 'Ctrl Z', does: 'undo a stroke', run: () => machine.is('teaching') && teach.undoStroke() },
    { key: 'Escape', shown: 'Esc', does: 'cancel, or close', run: escape },
  ];
}
