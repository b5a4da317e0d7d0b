// What the stories share: a browser that keeps quiet on the network, and steps that a person takes.
// Controls are found by what they send (form addresses, field names), so one story serves both languages.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

export const url = process.env.CUMULET_URL;
export const setupUrl = process.env.CUMULET_SETUP_URL;
export const scratch = process.env.CUMULET_SCRATCH;
export const password = "correct-horse-battery-staple";

/** A browser of its own: nothing is shared with any other one. */
export async function browser() {
  return chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-dev-shm-usage",
    ],
  });
}

/** A person: a fresh context in their language. Page errors fail the story. */
export async function person(inBrowser, { language = "en", javascript = true, viewport } = {}) {
  const context = await inBrowser.newContext({
    // The certificate is the node's own; its fingerprint is checked by other tests.
    ignoreHTTPSErrors: true,
    acceptDownloads: true,
    locale: language,
    javaScriptEnabled: javascript,
    ...(viewport ? { viewport } : {}),
  });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  page.on("pageerror", (error) => { throw error; });
  page.on("console", (message) => {
    if (message.type() === "error" && /Content.Security.Policy/i.test(message.text())) throw new Error(message.text());
  });
  return page;
}

/** The page is in `language` and shows no message that lacks a translation. */
export async function inLanguage(page, language) {
  assert.equal(await page.getAttribute("html", "lang"), language);
  const text = await page.innerText("body");
  if (language === "zh-CN") assert.match(text, /\p{Script=Han}/u);
  else assert.doesNotMatch(text.replace(/简体中文|旅行/gu, ""), /\p{Script=Han}/u);
}

/** Sends the form that holds `button` and waits for the page after it. */
export async function press(page, button) {
  await Promise.all([page.waitForNavigation(), page.locator(button).first().click()]);
}

export async function setUp(page, language) {
  await page.goto(setupUrl);
  await inLanguage(page, language);
  assert.equal(await page.locator("ol.words li").count(), 24);
  await page.check("input[name=words]");
  await page.fill("input[name=name]", "alice");
  await page.fill("input[name=password]", password);
  await page.fill("input[name=again]", password);
  await press(page, "main form button.main");
  await page.waitForURL("**/files/alice/**");
}

export async function signOut(page) {
  await page.click("details.who summary");
  await press(page, "form[action='/logout'] button");
  await page.waitForURL("**/login**");
}

export async function signIn(page) {
  await page.goto(`${url}/login`);
  await page.fill("input[name=name]", "alice");
  await page.fill("input[name=password]", password);
  await press(page, "form[action='/login'] button.main");
  await page.waitForURL("**/files/alice/**");
}

/** The name cells of the list. */
export async function names(page) {
  return page.locator("table.rows tbody td.name a").allInnerTexts();
}

export async function openTool(page, action) {
  const box = page.locator("details", { has: page.locator(`form[action^='${action}']`) });
  await box.locator("summary").click();
}
