import type { Route } from "../routing/routes";

export const siteName = "Neurmatic";

export interface Page {
  readonly element: HTMLElement;
  /** Receives the focus when somebody comes to the page. */
  readonly heading: HTMLElement;
  /** Takes over another route without being made anew; false if it can't. */
  follow(route: Route): boolean;
  /** Fills the page and resolves with its title, when nothing will move any more. */
  show(signal: AbortSignal): Promise<string>;
}
