/** Figures and dates in words. */

// An article has a day, wherever it is read; the API gives its midnight in UTC.
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeZone: "UTC" });
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const number = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1 });

export const dayOf = (timestamp: string): string => day.format(new Date(timestamp));
export const clockOf = (timestamp: string): string => clock.format(new Date(timestamp));
export const figure = (value: number): string => number.format(value);

/** `1 article`, `2 articles`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${figure(count)} ${count === 1 ? one : many}`;
}

/** A length of time in its largest whole unit. */
export function duration(seconds: number): string {
  const units = [["day", 86_400], ["hour", 3600], ["minute", 60]] as const;
  for (const [unit, length] of units) {
    if (seconds >= length) return counted(Math.floor(seconds / length), unit);
  }
  return counted(Math.floor(seconds), "second");
}
