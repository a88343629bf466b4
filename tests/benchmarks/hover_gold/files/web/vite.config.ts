import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  build: { outDir: "dist", sourcemap: true },
  server: {
    port: 5173,
    proxy: {
      // the API's address in development; it moved in September
      "/api": { target: "http://127.0.0.1:9000", changeOrigin: false },
      "/ws": { target: "ws://127.0.0.1:9000", ws: true },
    },
  },
});
