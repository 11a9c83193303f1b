/** What a reader sees while the API doesn't answer. */

import { patiently, type Wait } from "../api/patience";
import { focus, h } from "../dom";
import { announce } from "./announce";

export interface Audience {
  readonly signal: AbortSignal;
  /** Puts the notice where the answer would have been. */
  readonly place: (notice: HTMLElement) => void;
  /** Takes the focus if it was on the notice when that goes. */
  readonly heading: HTMLElement;
}

/** The answer, however long it takes; meanwhile the reader is told. */
export async function whenAvailable<T>(attempt: () => Promise<T>, audience: Audience): Promise<T> {
  const { signal, place, heading } = audience;
  let notice: OutageNotice | undefined;
  try {
    const answer = await patiently(attempt, signal, (wait) => {
      if (notice === undefined) {
        notice = new OutageNotice();
        place(notice.element);
        announce("The API isn’t answering. This page goes on trying and will say when it’s back.");
      }
      notice.show(wait);
    });
    if (notice !== undefined) announce("The API answers again.");
    return answer;
  } finally {
    notice?.remove(heading);
  }
}

class OutageNotice {
  private readonly next = h("span");
  private readonly button = h("button", { type: "button", class: "button" }, "Try now");
  private ticking: ReturnType<typeof setInterval> | undefined;
  private wait: Wait | undefined;

  // The countdown is hidden from screen readers: it would interrupt them every second.
  readonly element = h(
    "section",
    { class: "notice", "aria-labelledby": "outage" },
    h("h2", { id: "outage" }, "The API isn’t answering"),
    h("p", {}, "What you asked for can’t be shown right now. There is nothing you need to do: this page goes on trying."),
    h("p", { class: "notice-next", "aria-hidden": "true" }, this.next),
    this.button,
  );

  constructor() {
    this.button.addEventListener("click", () => {
      this.next.textContent = "Trying now …";
      this.wait?.end();
    });
  }

  show(wait: Wait): void {
    this.wait = wait;
    const due = Date.now() + wait.seconds * 1000;
    const tick = () => {
      const left = Math.ceil((due - Date.now()) / 1000);
      this.next.textContent = left > 0 ? `Tried ${times(wait.failures)}; trying again in ${left} s.` : "Trying now …";
    };
    clearInterval(this.ticking);
    this.ticking = setInterval(tick, 250);
    tick();
  }

  remove(heading: HTMLElement): void {
    clearInterval(this.ticking);
    const focused = this.element.contains(document.activeElement);
    this.element.remove();
    if (focused) focus(heading);
  }
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}
