/** Grey shapes in the size of what is to come. */

import { h } from "../dom";

function bars(...widths: ("short" | "half" | "long" | "full")[]): HTMLElement[] {
  return widths.map((width) => h("span", { class: `bar bar-${width}` }));
}

export function listSkeleton(entries: number): HTMLElement {
  const entry = () => h("div", { class: "entry" }, h("span", { class: "bar bar-title bar-long" }), ...bars("half", "full", "long"));
  return h("div", { class: "skeleton", "aria-hidden": "true" }, ...Array.from({ length: entries }, entry));
}

export function textSkeleton(): HTMLElement {
  const paragraph = () => h("div", { class: "skeleton-paragraph" }, ...bars("full", "full", "full", "half"));
  return h("div", { class: "skeleton", "aria-hidden": "true" }, ...bars("half"), paragraph(), paragraph(), paragraph());
}
