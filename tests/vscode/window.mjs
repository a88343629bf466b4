// What a user does in a VS Code window, in words.
import { setTimeout as sleep } from "node:timers/promises";

const WAIT = { timeout: 30_000 };

export function editor(page) {
  return page.locator(".editor-instance .monaco-editor").first();
}

export async function focusEditor(page) {
  await editor(page).waitFor(WAIT);
  await editor(page).locator(".view-lines").first().click();
}

/** Runs a command of the palette, found by its whole title. A palette that opens while extensions still come up loses what is
 * typed into it: it is closed and opened once more. */
export async function palette(page, title) {
  const row = page.locator(".quick-input-list .monaco-list-row", { hasText: title }).first();
  for (let attempt = 1; ; attempt += 1) {
    await page.keyboard.press("F1");
    await page.locator(".quick-input-widget input").first().waitFor(WAIT);
    await page.keyboard.type(title);
    if (await row.waitFor({ timeout: 10_000 }).then(() => true, () => false)) break;
    if (attempt === 4) throw new Error(`the palette never listed ${title}`);
    await page.keyboard.press("Escape");
  }
  await page.keyboard.press("Enter");
}

/** Types into the input box whose title is given, and confirms. */
export async function answer(page, title, text) {
  await inputTitled(page, title);
  await page.keyboard.press("Control+a");
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
}

/** Chooses a row of the quick pick whose title is given. */
export async function choose(page, title, text) {
  await inputTitled(page, title);
  const row = page.locator(".quick-input-list .monaco-list-row", { hasText: text }).first();
  await row.waitFor(WAIT);
  await row.click();
}

/** Types a path into VS Code's own file dialog. It lists the folder while one types and may put its own path back in place of
 * what was typed: so once more until it takes the path and closes. */
export async function choosePath(page, title, path) {
  await inputTitled(page, title);
  const input = page.locator(".quick-input-widget:visible input.input").first();
  const dialog = page.locator(".quick-input-widget:visible .quick-input-title", { hasText: title }).first();
  await untilTrue(async () => (await input.inputValue()).endsWith("/"), "the dialog shows its folder");
  await untilTrue(async () => {
    if (!(await dialog.isVisible())) {
      return true;
    }
    await input.fill(path);
    await page.waitForTimeout(500);
    if ((await dialog.isVisible()) && (await input.inputValue()) === path) {
      await page.keyboard.press("Enter");
      await page.waitForTimeout(500);
    }
    return !(await dialog.isVisible());
  }, "the dialog takes the path");
}

async function inputTitled(page, title) {
  await page.locator(".quick-input-widget:visible .quick-input-title", { hasText: title }).first().waitFor(WAIT);
}

export async function notification(page, text) {
  const message = page.locator(".notification-list-item", { hasText: text }).first();
  await message.waitFor(WAIT);
  return message;
}

/** The text of the editor as it is shown; VS Code draws its spaces as no-break ones. */
export async function shownText(page) {
  const lines = await editor(page).locator(".view-line").evaluateAll((all) =>
    all
      .sort((a, b) => parseInt(a.style.top, 10) - parseInt(b.style.top, 10))
      .map((line) => line.textContent),
  );
  return lines.join("\n").replaceAll("\u00a0", " ");
}

/** Repeats an action until what it should bring is there: the server may still be starting. */
export async function until(action, appears) {
  for (let tries = 0; tries < 20; tries++) {
    await action();
    if (await appears.waitFor({ timeout: 2_000 }).then(() => true, () => false)) return;
  }
  await appears.waitFor({ timeout: 2_000 });
}

export async function untilTrue(check, what) {
  for (let tries = 0; tries < 100; tries++) {
    const value = await check();
    if (value) return value;
    await sleep(200);
  }
  throw new Error(`did not come true: ${what}`);
}
