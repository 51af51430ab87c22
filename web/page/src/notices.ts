// Messages that stay until they are closed: failures, and what a user should know.

import { button, byId, element } from './element';
import { isCancelled } from './failure';

export interface Action {
  text: string;
  run: () => void;
}

const list = byId('notices');

export function notice(kind: 'error' | 'info', text: string, actions: Action[] = []): HTMLElement {
  const box = element('div', { class: `notice ${kind}`, role: kind === 'error' ? 'alert' : 'status' });
  const act = actions.map(({ text, run }) =>
    button(text, {}, () => {
      box.remove();
      run();
    }),
  );
  const close = button('Dismiss', { class: 'button small plain' }, () => box.remove());
  box.append(element('p', {}, text), element('div', { class: 'buttons' }, ...act, close));
  list.append(box);
  box.scrollIntoView({ block: 'nearest' });
  return box;
}

export function say(text: string): void {
  notice('info', text);
}

/** Says why something failed, in the words it came with. What the user has cancelled is no failure. */
export function failed(error: unknown, actions: Action[] = []): void {
  if (isCancelled(error)) return;
  notice('error', error instanceof Error ? error.message : String(error), actions);
}

export function clearNotices(): void {
  list.replaceChildren();
}
