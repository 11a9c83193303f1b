import { defineConfig } from "vitest/config";

// Node's own; the site itself runs in browsers and has no types of it.
declare const process: { env: Record<string, string | undefined> };

const stack = process.env["FRONTEND_URL"] ?? "https://localhost:8443";

export default defineConfig({
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // data: URIs would need a hole in the Content-Security-Policy
    modulePreload: { polyfill: false }, // every browser that runs es2022 preloads modules itself
  },
  server: {
    // The stack's edge, with the certificate that it made for this machine.
    proxy: {
      "/api": { target: stack, secure: false },
      // It takes the stack's own pages only, so this one has to look like them.
      "/socket.io": { target: stack, secure: false, ws: true, headers: { origin: stack } },
    },
  },
  test: { include: ["tests/**/*.test.ts"] },
});
