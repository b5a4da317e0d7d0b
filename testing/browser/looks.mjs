// What can be measured of the looks, on every page, in both languages and themes, on a telephone of 360 px and
// a screen of 1280 px: nothing is wider than the screen, texts stand out from what is behind them (WCAG 2.2
// success criteria 1.4.3 and 1.4.11), controls have names (4.1.2) and are large enough for fingers (44 px), the
// focus is visible (2.4.7), headings and the language are there.

import assert from "node:assert/strict";
import * as cloud from "./cloud.mjs";
import * as house from "./household.mjs";

const browser = await cloud.browser();
const found = new Map();
try {
  const alice = await cloud.person(browser, { language: "en" });
  for (const language of house.languages) {
    const page = await cloud.person(browser, { language });
    await page.goto(cloud.setupUrl);
    await house.inEveryLook(page, (theme, width) => look(page, { name: "set-up" }, language, theme, width));
    await page.context().close();
  }
  await cloud.setUp(alice, "en");
  const household = await house.furnish(browser, alice);
  for (const language of house.languages) {
    await house.tour(browser, household, language, (page, place, theme, width) => look(page, place, language, theme, width));
  }
  await house.tour(browser, household, "en", (page, place, theme, width) => look(page, place, "en", theme, width), { javascript: false });
  await focusIsSeen(alice);
} finally {
  await browser.close();
}
const lines = [...found].map(([what, where]) => `${what} (${where[0]}${where.length > 1 ? ` and ${where.length - 1} more` : ""})`);
assert.equal(lines.length, 0, `\n${lines.join("\n")}`);

async function look(page, place, language, theme, width) {
  const troubles = await page.evaluate(measure, { width });
  const declared = await page.getAttribute("html", "lang");
  if (declared !== language) troubles.push(`the page says that it is in ${declared}`);
  for (const trouble of troubles) {
    found.set(trouble, [...(found.get(trouble) ?? []), `${place.name}, ${language}, ${theme}, ${width} px`]);
  }
}

/** Wherever Tab leads, one sees it. */
async function focusIsSeen(page) {
  for (const theme of house.themes) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    await page.goto(`${cloud.url}/files/alice/`);
    for (let stop = 0; stop < 30; stop += 1) {
      await page.keyboard.press("Tab");
      const seen = await page.evaluate(() => {
        const style = getComputedStyle(document.activeElement);
        return style.outlineStyle !== "none" && Number.parseFloat(style.outlineWidth) >= 2;
      });
      assert.ok(seen, `stop ${stop} shows no focus in the ${theme} theme`);
    }
  }
}

/** Runs in the page. */
function measure({ width }) {
  const troubles = [];
  const shown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && element.getClientRects().length > 0;
  const told = (element) => {
    const text = (element.textContent ?? "").trim().replace(/\s+/g, " ").slice(0, 30);
    return `<${element.tagName.toLowerCase()} class="${element.getAttribute("class") ?? ""}"> “${text}”`;
  };
  const painter = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const color = (text) => {
    if (!known.has(text)) {
      painter.clearRect(0, 0, 1, 1);
      painter.fillStyle = text;
      painter.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = painter.getImageData(0, 0, 1, 1).data;
      known.set(text, { rgb: [red, green, blue], alpha: alpha / 255 });
    }
    return known.get(text);
  };
  const over = (top, bottom) => top.rgb.map((value, at) => value * top.alpha + bottom[at] * (1 - top.alpha));
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const layer = color(getComputedStyle(at).backgroundColor);
      layers.push(layer);
      if (layer.alpha === 1) break;
    }
    return layers.reverse().reduce((bottom, layer) => over(layer, bottom), [255, 255, 255]);
  };
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };

  if (document.documentElement.scrollWidth > width) {
    const wide = [...document.querySelectorAll("body *")].filter((element) => shown(element) && element.getBoundingClientRect().right > width + 1);
    troubles.push(`wider than the screen: ${wide.slice(-1).map(told)}`);
  }
  if (document.querySelectorAll("h1").length !== 1) troubles.push(`${document.querySelectorAll("h1").length} main headings`);
  if (!document.title || !document.querySelector("main")) troubles.push("no title or no main part");
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) troubles.push(`the id ${id} stands twice`);
  for (const image of document.querySelectorAll("img:not([alt])")) troubles.push(`no alternative text: ${told(image)}`);
  for (const of of document.querySelectorAll("[aria-describedby], [aria-labelledby]")) {
    const names = `${of.getAttribute("aria-describedby") ?? ""} ${of.getAttribute("aria-labelledby") ?? ""}`.trim().split(/\s+/);
    for (const name of names) if (!document.getElementById(name)) troubles.push(`refers to ${name}, which is not there: ${told(of)}`);
  }

  for (const control of document.querySelectorAll("a[href], button, summary, input:not([type=hidden]), select, textarea, video, audio, meter, progress")) {
    if (!shown(control)) continue;
    const name = control.getAttribute("aria-label") || [...(control.labels ?? [])].map((label) => label.textContent.trim()).join("") || control.textContent.trim();
    if (!name) troubles.push(`a control without a name: ${told(control)}`);
    if (control.matches("input, select, textarea") && !control.matches("[type=checkbox], [type=radio], [type=file]")) {
      const ratio = contrast(over(color(getComputedStyle(control).borderTopColor), behind(control)), behind(control.parentElement));
      if (ratio < 3) troubles.push(`the edge of a field is faint, ${ratio.toFixed(2)}: ${told(control)}`);
    }
    if (width > 400 || control.matches("video, audio, meter, progress")) continue;
    // A link within a text may be as low as its line (WCAG 2.5.8).
    if (getComputedStyle(control).display === "inline" && control.matches("a")) continue;
    const target = control.matches("[type=checkbox], [type=radio]") ? control.closest("label") ?? control : control;
    const box = target.getBoundingClientRect();
    if (box.width < 43.5 || box.height < 43.5) {
      troubles.push(`${Math.round(box.width)} x ${Math.round(box.height)} px are little for a finger: ${told(control)}`);
    }
  }

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !shown(element) || element.closest("option, .hidden-visually, .skip, :disabled")) continue;
    const style = getComputedStyle(element);
    const size = Number.parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const back = behind(element);
    const ratio = contrast(over(color(style.color), back), back);
    if (ratio < (large ? 3 : 4.5)) troubles.push(`hard to read, ${ratio.toFixed(2)}: ${told(element)}`);
    if (size < 11.5) troubles.push(`letters of ${size} px: ${told(element)}`);
  }
  return [...new Set(troubles)];
}
