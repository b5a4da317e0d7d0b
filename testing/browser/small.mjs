// A telephone of 360 px, and a person without a mouse.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import * as cloud from "./cloud.mjs";

const home = await cloud.browser();
try {
  const page = await cloud.person(home, { viewport: { width: 360, height: 640 } });
  await page.goto(cloud.setupUrl);
  await fits(page, "set-up");
  await cloud.setUp(page, "en");
  await fits(page, "empty folder");
  await byKeyboard(page);
  for (const place of ["/files/alice/", "/account", "/admin", "/trash", "/shared", "/links", "/friends", "/people"]) {
    await page.goto(cloud.url + place);
    await fits(page, place);
  }
} finally {
  await home.close();
}

/** Nothing is wider than the screen. */
async function fits(page, what) {
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 360, `${what} is ${width} px wide`);
}

/** Presses Tab until the focus is on `wanted`; every stop must be visible. */
async function tabTo(page, wanted) {
  for (let stop = 0; stop < 80; stop += 1) {
    await page.keyboard.press("Tab");
    const found = await page.evaluate((selector) => {
      const focused = document.activeElement;
      return focused instanceof Element && focused.matches(selector);
    }, wanted);
    if (found) return;
  }
  assert.fail(`${wanted} cannot be reached with Tab`);
}

async function byKeyboard(page) {
  await tabTo(page, "details.who summary");
  await page.keyboard.press("Enter");
  await tabTo(page, "form[action='/logout'] button");
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  await page.goto(`${cloud.url}/login`);
  await fits(page, "sign-in");
  // The first field has the focus already.
  await page.keyboard.type("alice");
  await page.keyboard.press("Tab");
  await page.keyboard.type(cloud.password);
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  await page.waitForURL("**/files/alice/**");
  // A new folder and an upload.
  await tabTo(page, "details:has(form[action^='/new-folder/']) summary");
  await page.keyboard.press("Enter");
  await tabTo(page, "form[action^='/new-folder/'] input[name=name]");
  await page.keyboard.type("a folder with a name that is rather long for a telephone of this width");
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  const file = path.join(cloud.scratch, "note.txt");
  fs.writeFileSync(file, "by keyboard");
  await tabTo(page, "details:has(form[action^='/upload/']) summary");
  await page.keyboard.press("Enter");
  await page.setInputFiles("form[action^='/upload/'] input[type=file]", file);
  await tabTo(page, "form[action^='/upload/'] button.main");
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  await page.waitForURL("**done=uploaded**");
  assert.deepEqual((await cloud.names(page)).length, 2);
  await fits(page, "folder with entries");
  // Open the file, and share it.
  await tabTo(page, "table.rows td.name a[href$='/note.txt']");
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  await fits(page, "file");
  await tabTo(page, "main a[href^='/share/']");
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  await fits(page, "share");
}
