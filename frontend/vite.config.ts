import { defineConfig } from "vitest/config";

export default defineConfig({
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // data: URIs would need a hole in the Content-Security-Policy
    modulePreload: { polyfill: false }, // every browser that runs es2022 preloads modules itself
  },
  server: {
    // The stack's edge, with the certificate that it made for this machine.
    proxy: { "/api": { target: "https://localhost:8443", secure: false } },
  },
  test: { include: ["tests/**/*.test.ts"] },
});
