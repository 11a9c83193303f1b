/** What is decided when the site is built. */
const environment = import.meta.env as { VITE_API_BASE?: string; VITE_RELEASE?: string };

export const apiBase = environment.VITE_API_BASE ?? "/api/v1";
export const release = environment.VITE_RELEASE ?? "";
