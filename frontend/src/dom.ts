/** Making elements. Strings only ever become text nodes, so nothing an API answers can become markup. */

export type Child = Node | string | undefined;

type Attributes = Readonly<Record<string, string | undefined>>;

/** An element with attributes and children; what is `undefined` is left out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(attribute, value);
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** An element of index.html. */
export function fixture(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`index.html has no #${id}`);
  return element;
}

/** Moves focus without scrolling: where the page stands is the navigation's business. */
export function focus(element: HTMLElement): void {
  element.focus({ preventScroll: true });
}
