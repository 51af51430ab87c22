// What the page is doing, in one place, and which parts of it belong to that.
//
//   empty ─open─▶ described ─run─▶ running ─▶ labelled ─teach─▶ teaching ─learn─▶ learning
//                     ▲───cancel──────┘  ▲──────┘ ▲────done─────────┘  ▲─────────────┘
//
// Opening another scan leads to `described` from everywhere.

import { byId } from './element';

export type State = 'empty' | 'described' | 'running' | 'labelled' | 'teaching' | 'learning';

const SHOWN: Record<string, State[]> = {
  welcome: ['empty'],
  toolbar: ['described', 'running', 'labelled', 'teaching', 'learning'],
  scan: ['described', 'running', 'labelled'],
  plan: ['described', 'labelled'],
  classes: ['labelled', 'teaching', 'learning'],
  teach: ['teaching', 'learning'],
  'teach-body': ['teaching'],
  'teach-leave': ['teaching'],
  next: ['labelled'],
  model: ['empty', 'described', 'running', 'labelled'],
  device: ['empty', 'described', 'running', 'labelled'],
};

/** Sections that fold themselves to make room, and when they are open. */
const OPEN: Record<string, State[]> = {
  scan: ['described'],
  model: ['empty'],
  device: ['empty'],
};

/** Where the focus goes when what had it disappears. */
const FOCUS: Partial<Record<State, string>> = {
  described: 'scan-title',
  labelled: 'classes-title',
  teaching: 'teach-title',
};

export class Machine {
  #state: State = 'empty';

  get state(): State {
    return this.#state;
  }

  is(...states: State[]): boolean {
    return states.includes(this.#state);
  }

  enter(state: State): void {
    this.#state = state;
    document.body.dataset['state'] = state;
    const focused = document.activeElement;
    for (const [id, states] of Object.entries(SHOWN)) byId(id).hidden = !states.includes(state);
    for (const [id, states] of Object.entries(OPEN)) byId<HTMLDetailsElement>(id).open = states.includes(state);
    if (state !== 'labelled') byId('point').hidden = true;
    const lost = focused === document.body || !focused?.checkVisibility();
    const next = FOCUS[state];
    if (lost && next) byId(next).focus({ preventScroll: true });
    byId('panel-body').scrollTop = 0;
  }
}
