import { beforeEach, describe, expect, it, vi } from "vitest";

const socket = { on: vi.fn<(event: string, hear: (change: unknown) => void) => void>(), connect: vi.fn(), disconnect: vi.fn() };
const io = vi.fn(() => socket);
const window = new Map<string, (event: unknown) => void>();

const never = new AbortController().signal;
const tell = (change: unknown) => { socket.on.mock.calls.at(-1)?.[1](change); };
const settled = () => new Promise((resolve) => setTimeout(resolve));

async function fresh() {
  vi.resetModules();
  return await import("../src/api/changes");
}

beforeEach(() => {
  vi.clearAllMocks();
  vi.doMock("socket.io-client", () => ({ io }));
  vi.stubGlobal("addEventListener", (name: string, hear: (event: unknown) => void) => window.set(name, hear));
});

describe("the connection", () => {
  it("is one for all lists, by websocket alone, and comes back ever more slowly and out of step", async () => {
    const { onChange } = await fresh();
    onChange(vi.fn(), never);
    onChange(vi.fn(), never);
    await vi.waitFor(() => { expect(io).toHaveBeenCalledTimes(1); });
    expect(io).toHaveBeenCalledWith(
      expect.objectContaining({ transports: ["websocket"], reconnectionDelayMax: 30_000, randomizationFactor: 0.5 }),
    );
  });

  it("is closed while the browser keeps the page, and opened again", async () => {
    const { onChange } = await fresh();
    onChange(vi.fn(), never);
    await vi.waitFor(() => { expect(socket.on).toHaveBeenCalled(); });
    window.get("pagehide")?.({});
    expect(socket.disconnect).toHaveBeenCalledTimes(1);
    window.get("pageshow")?.({ persisted: false });
    expect(socket.connect).not.toHaveBeenCalled();
    window.get("pageshow")?.({ persisted: true });
    expect(socket.connect).toHaveBeenCalledTimes(1);
  });

  it("whose code can't be loaded disturbs nobody, and the next list tries again", async () => {
    vi.doMock("socket.io-client", () => { throw new Error("offline"); });
    const { onChange } = await fresh();
    onChange(vi.fn(), never);
    await settled(); // an unhandled rejection would fail the run
    vi.doMock("socket.io-client", () => ({ io }));
    await vi.waitFor(() => {
      onChange(vi.fn(), never);
      expect(io).toHaveBeenCalled();
    });
  });
});

describe("a change", () => {
  it("is heard once for each version, by those who still listen", async () => {
    const { latestVersion, onChange } = await fresh();
    const left = new AbortController();
    const [staying, leaving] = [vi.fn(), vi.fn()];
    onChange(staying, never);
    onChange(leaving, left.signal);
    await vi.waitFor(() => { expect(socket.on).toHaveBeenCalled(); });
    expect(latestVersion()).toBe("");
    tell({ version: "a", slug: "x" });
    tell({ version: "a" }); // the greeting of another instance, in the same state
    expect(latestVersion()).toBe("a");
    left.abort();
    tell({ version: "b" });
    expect([staying, leaving].map((hear) => hear.mock.calls.length)).toEqual([2, 1]);
  });

  it("that isn't understood is none", async () => {
    const { latestVersion, onChange } = await fresh();
    const hear = vi.fn();
    onChange(hear, never);
    await vi.waitFor(() => { expect(socket.on).toHaveBeenCalled(); });
    for (const change of [undefined, null, "x", {}, { version: 3 }]) tell(change);
    expect(hear).not.toHaveBeenCalled();
    expect(latestVersion()).toBe("");
  });
});
