// Dark or light: as the system says, or as the user does.

import { byId } from './element';

const CHOICES = ['system', 'light', 'dark'] as const;
type Choice = (typeof CHOICES)[number];

const KEY = 'pointtpa-theme';

/** Storage is refused in some frames and private windows; the choice then lasts as long as the page. */
function stored(): Choice {
  try {
    return CHOICES.find((choice) => choice === localStorage.getItem(KEY)) ?? 'system';
  } catch {
    return 'system';
  }
}

export function startTheme(onChange: () => void): void {
  const toggle = byId('theme-button');
  let choice = stored();
  const apply = (): void => {
    if (choice === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = choice;
    toggle.setAttribute('aria-label', `Colours of the page: ${choice === 'system' ? 'as the system' : choice}`);
    toggle.title = toggle.getAttribute('aria-label') ?? '';
    onChange();
  };
  toggle.addEventListener('click', () => {
    choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length] ?? 'system';
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // As in `stored`.
    }
    apply();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply);
  apply();
}
