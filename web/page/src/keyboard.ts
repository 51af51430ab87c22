// Keys of the page, and the dialog that lists them. Those of the view itself are in navigation.ts.

import { byId, element } from './element';

export interface Key {
  /** As KeyboardEvent.key has it. */
  key: string;
  /** How the help shows it; empty for a second key of the same action. */
  shown: string;
  does: string;
  run: () => void;
  /** Needs Ctrl or Cmd. */
  ctrl?: boolean;
  /** Works only while the view has the focus. */
  view?: boolean;
}

/** Keys that other files handle, for the list. */
const OF_THE_VIEW: [string, string][] = [
  ['arrows', 'turn the view'],
  ['Shift + arrows', 'move the view'],
  ['+  −', 'zoom'],
];

export function startKeyboard(keys: Key[]): void {
  const help = byId<HTMLDialogElement>('help');
  const single = byId<HTMLInputElement>('single-keys');
  const open = (): void => {
    if (!help.open) help.showModal();
  };
  byId('help-button').addEventListener('click', open);
  // A click beside the dialog is one on its backdrop, which is the dialog itself.
  help.addEventListener('click', (event) => {
    if (event.target === help) help.close();
  });
  const all: Key[] = [...keys, { key: '?', shown: '?', does: 'this help', run: open }];
  const rows = [...OF_THE_VIEW, ...all.filter(({ shown }) => shown).map(({ shown, does }): [string, string] => [shown, does])];
  byId('keys').replaceChildren(
    ...rows.map(([shown, does]) =>
      element('div', {}, element('dt', {}, element('kbd', {}, shown)), element('dd', {}, does)),
    ),
  );
  addEventListener('keydown', (event) => {
    if (event.defaultPrevented || help.open || event.altKey) return;
    const target = event.target as HTMLElement;
    const inView = target.id === 'canvas';
    // Typing is not for shortcuts.
    if (target.matches('input[type=text], input[type=color], textarea')) return;
    const ctrl = event.ctrlKey || event.metaKey;
    const found = all.find((each) => each.key === event.key && Boolean(each.ctrl) === ctrl && (!each.view || inView));
    if (!found) return;
    const named = event.key.length > 1;
    if (!ctrl && !named && !single.checked) return;
    // In a list of choices letters search, and Enter on a button presses it.
    if (!ctrl && !named && target.matches('select')) return;
    event.preventDefault();
    found.run();
  });
}
