// On a phone the panel is a sheet over the lower half; its grip folds it.

import { byId } from './element';

export function startSheet(): void {
  const grip = byId('sheet-button');
  grip.addEventListener('click', () => {
    const open = grip.getAttribute('aria-expanded') === 'true';
    grip.setAttribute('aria-expanded', String(!open));
    byId('panel').classList.toggle('folded', open);
  });
}
