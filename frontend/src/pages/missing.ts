/** The answer to an address that means nothing here. */

import { h } from "../dom";
import type { Page } from "./page";

export function missingPage(): Page {
  const heading = h("h1", { tabindex: "-1" }, "There is no such page");
  return {
    heading,
    element: h("div", { class: "reading" }, heading, ...wayOut("Perhaps it moved, or the address has a slip in it.")),
    follow: () => false,
    show: () => Promise.resolve("Not found"),
  };
}

export function wayOut(explanation: string): HTMLElement[] {
  return [h("p", { class: "lead" }, explanation), h("p", {}, h("a", { href: "/" }, "See all articles"))];
}
