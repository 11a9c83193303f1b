/**
 * Hears from the server that the list of articles may have changed. Only then does anybody ask again: what changed is
 * in the list, so nothing is lost while there is no connection, and the site works as well without one.
 */

/** The name that the server gives to the present state of the list; empty until it has told one. */
let latest = "";
const listeners = new Set<() => void>();
let connecting: Promise<void> | undefined;

export const latestVersion = (): string => latest;

/** Calls `hear` whenever there is another version, and connects for that if nobody has yet. */
export function onChange(hear: () => void, signal: AbortSignal): void {
  listeners.add(hear);
  signal.addEventListener("abort", () => listeners.delete(hear), { once: true });
  connecting ??= connect().catch(() => {
    connecting = undefined; // its code could not be loaded; the next list tries again
  });
}

// Its code comes when a list is there already, so that no page waits for it.
async function connect(): Promise<void> {
  const { io } = await import("socket.io-client");
  const socket = io({
    // Long polling spreads a connection over requests that may reach different instances; a websocket stays with one.
    transports: ["websocket"],
    // After a restart everybody comes back: within 0.5 to 1.5 s at first, and ever more slowly while that fails.
    reconnectionDelay: 1000,
    reconnectionDelayMax: 30_000,
    randomizationFactor: 0.5,
    timeout: 10_000,
  });
  socket.on("changed", (change: unknown) => {
    const version = (change as { version?: unknown } | null)?.version;
    if (typeof version !== "string" || version === latest) return;
    latest = version;
    for (const hear of [...listeners]) hear();
  });
  // A page that the browser keeps for the way back must have no open connection.
  addEventListener("pagehide", () => socket.disconnect());
  addEventListener("pageshow", (event) => {
    if (event.persisted) socket.connect();
  });
}
