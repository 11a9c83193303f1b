/** How the platform stands, in plain words, and what it is. */

import * as api from "../api/client";
import { pause } from "../api/patience";
import type { Health } from "../api/types";
import { h } from "../dom";
import { release } from "../settings";
import { announce } from "../views/announce";
import { parts, verdict } from "../views/health";
import { whenAvailable } from "../views/outage";
import { textSkeleton } from "../views/skeleton";
import { clockOf, duration } from "../views/words";
import type { Page } from "./page";

const refreshSeconds = 15;

const about =
  "This site is part of a stack that Neurmatic runs on its owner’s servers: one file describes it, one command runs it, and " +
  "every claim about it is a check that just ran. This is what its own checks say right now.";

export class StatusPage implements Page {
  readonly heading = h("h1", { tabindex: "-1" }, "Status");
  private readonly answer = h("div", { class: "health" }, textSkeleton());
  readonly element = h("div", { class: "reading" }, this.heading, h("p", { class: "lead" }, about), this.answer);
  private told = "";

  follow(): boolean {
    return false;
  }

  async show(signal: AbortSignal): Promise<string> {
    await this.refresh(signal);
    void this.keepFresh(signal);
    return "Status";
  }

  private async keepFresh(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await pause(refreshSeconds, signal);
        if (!document.hidden) await this.refresh(signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  private async refresh(signal: AbortSignal): Promise<void> {
    const place = (notice: HTMLElement) => {
      this.told = "";
      this.answer.replaceChildren(notice);
    };
    const health = await whenAvailable(() => api.health(signal), { signal, place, heading: this.heading });
    this.answer.replaceChildren(...report(health));
    if (verdict(health) !== this.told) announce(verdict(health));
    this.told = verdict(health);
  }
}

function report(health: Health): HTMLElement[] {
  const rows = parts(health.checks).map(({ name, status, state, text }) =>
    h(
      "li",
      { class: "check" },
      h("strong", {}, name),
      h("span", { class: "state", "data-state": status }, state),
      h("span", { class: "check-detail" }, text),
    ),
  );
  const site = release === "" ? "" : ` This page is of release ${release}.`;
  const facts =
    `Answered by ${health.instance}, release ${health.release}, running for ${duration(health.uptime_s)}; ` +
    `checked at ${clockOf(health.checked_at)}.${site}`;
  return [
    h("p", { class: "verdict", "data-state": health.status }, verdict(health)),
    h("ul", { class: "checks" }, ...rows),
    h("p", { class: "facts" }, facts),
  ];
}
