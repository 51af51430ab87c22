// Elements of the page: those that index.html has, and those made here. Styles come from classes or through the style object; the
// content security policy allows no style attribute.

/** The element of index.html with this id. */
export function byId<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found as Element as T;
}

type Attributes = Record<string, string | number | boolean | null>;

/** A new element. Attributes that are false or null are left out. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(name, value === true ? '' : String(value));
  }
  made.append(...children);
  return made;
}

export function button(text: string, attributes: Attributes, onClick: () => void): HTMLButtonElement {
  const made = element('button', { type: 'button', class: 'button small', ...attributes }, text);
  made.addEventListener('click', onClick);
  return made;
}

/** A square in a colour, beside a name. */
export function swatch([red, green, blue]: [number, number, number]): HTMLSpanElement {
  const made = element('span', { class: 'swatch', 'aria-hidden': 'true' });
  made.style.backgroundColor = `rgb(${red} ${green} ${blue})`;
  return made;
}

/** Pairs of a term and what is said of it. */
export function facts(list: HTMLDListElement, pairs: [string, string | null][]): void {
  list.replaceChildren(
    ...pairs
      .filter((pair): pair is [string, string] => pair[1] !== null && pair[1] !== '')
      .map(([term, text]) => element('div', {}, element('dt', {}, term), element('dd', {}, text))),
  );
}
