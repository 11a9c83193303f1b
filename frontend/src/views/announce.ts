import { fixture } from "../dom";

/** Says something to those who listen to the page instead of looking at it. */
export function announce(text: string): void {
  fixture("announcer").textContent = text;
}
