// One evening with a new cloud: set up, sign in, upload, tidy, share by link with a password, open the
// link in a second browser, take it back. CUMULET_LANGUAGE is en or zh-CN, CUMULET_JAVASCRIPT yes or no.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import * as cloud from "./cloud.mjs";

const language = process.env.CUMULET_LANGUAGE;
const javascript = process.env.CUMULET_JAVASCRIPT === "yes";

const home = await cloud.browser();
const elsewhere = await cloud.browser();
try {
  const alice = await cloud.person(home, { language, javascript });
  await cloud.setUp(alice, language);
  await cloud.inLanguage(alice, language);
  await cloud.signOut(alice);
  await cloud.signIn(alice);
  await upload(alice);
  await tidy(alice);
  const link = await share(alice);
  const guest = await cloud.person(elsewhere, { language, javascript });
  await open(guest, link);
  await takeBack(alice, guest, link);
  await otherPages(alice);
  await otherLanguage(alice);
} finally {
  await home.close();
  await elsewhere.close();
}

async function upload(page) {
  const file = path.join(cloud.scratch, "holiday.txt");
  fs.writeFileSync(file, "sun and sand");
  await cloud.openTool(page, "/upload/");
  await page.setInputFiles("form[action^='/upload/'] input[type=file]", file);
  await cloud.press(page, "form[action^='/upload/'] button.main");
  await page.waitForURL("**done=uploaded**");
  assert.deepEqual(await cloud.names(page), ["holiday.txt"]);
  // The same name again: nothing is overwritten, and the page says so.
  await cloud.openTool(page, "/upload/");
  await page.setInputFiles("form[action^='/upload/'] input[type=file]", file);
  await cloud.press(page, "form[action^='/upload/'] button.main");
  await page.waitForURL("**renamed=**");
  assert.deepEqual(await cloud.names(page), ["holiday (2).txt", "holiday.txt"]);
}

async function tidy(page) {
  await cloud.openTool(page, "/new-folder/");
  await page.fill("form[action^='/new-folder/'] input[name=name]", "旅行 2026");
  await cloud.press(page, "form[action^='/new-folder/'] button.main");
  assert.ok((await cloud.names(page)).includes("旅行 2026"));
  // Rename.
  const row = page.locator("tr", { hasText: "holiday (2).txt" });
  await row.locator("details.menu summary").click();
  await Promise.all([page.waitForNavigation(), row.locator("a[href^='/rename/']").click()]);
  await page.fill("form[action^='/rename/'] input[name=name]", "beach.txt");
  await cloud.press(page, "form[action^='/rename/'] button.main");
  assert.ok((await cloud.names(page)).includes("beach.txt"));
  // Delete, and take it back.
  const beach = page.locator("tr", { hasText: "beach.txt" });
  await beach.locator("details.menu summary").click();
  await Promise.all([page.waitForNavigation(), beach.locator("button[name=only]").click()]);
  assert.ok(!(await cloud.names(page)).includes("beach.txt"));
  await cloud.press(page, "form.toast button");
  assert.ok((await cloud.names(page)).includes("beach.txt"));
}

async function share(page) {
  const row = page.locator("tr", { hasText: "holiday.txt" });
  await row.locator("details.menu summary").click();
  await Promise.all([page.waitForNavigation(), row.locator("a[href^='/share/']").click()]);
  await cloud.inLanguage(page, language);
  const form = page.locator("form[action^='/share-link/']");
  await form.locator("input[name=right][value=download]").check();
  await form.locator("input[name=password]").fill("opensesame");
  await Promise.all([page.waitForNavigation(), form.locator("button.main").click()]);
  const text = await page.content();
  const found = /https:\/\/[^"<\s]+\/s\/[A-Za-z0-9_-]{22}/.exec(text);
  assert.ok(found, "the page shows the link");
  return found[0];
}

async function open(page, link) {
  const first = await page.goto(link);
  assert.ok([200, 401].includes(first.status()), `${first.status()}`);
  await cloud.inLanguage(page, language);
  assert.doesNotMatch(await page.content(), /holiday/, "the name is shown without the password");
  await page.fill("input[name=password]", "wrong");
  await cloud.press(page, "main form button.main");
  assert.doesNotMatch(await page.content(), /holiday/);
  await page.fill("input[name=password]", "opensesame");
  await cloud.press(page, "main form button.main");
  assert.match(await page.content(), /holiday\.txt/);
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.locator("main a.main[href*='/download']").click(),
  ]);
  assert.equal(download.suggestedFilename(), "holiday.txt");
  assert.equal(fs.readFileSync(await download.path(), "utf8"), "sun and sand");
}

async function takeBack(owner, guest, link) {
  await owner.goto(`${cloud.url}/links`);
  await cloud.inLanguage(owner, language);
  const revoke = owner.locator("form[action*='revoke'] button, button[formaction*='revoke']").first();
  owner.on("dialog", (dialog) => dialog.accept());
  await Promise.all([owner.waitForNavigation(), revoke.click()]);
  assert.equal((await guest.goto(link)).status(), 404);
}

async function otherPages(page) {
  for (const place of ["/account", "/admin", "/trash", "/shared", "/links", "/friends", "/people"]) {
    const answer = await page.goto(cloud.url + place);
    assert.equal(answer.status(), 200, place);
    await cloud.inLanguage(page, language);
  }
}

async function otherLanguage(page) {
  const other = language === "en" ? "zh-CN" : "en";
  await cloud.press(page, `form[action='/language'] button[value='${other}']`);
  await cloud.inLanguage(page, other);
}
