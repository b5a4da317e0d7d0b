// A household with real life in it: people, long and foreign names, links of every kind, a bound
// folder, a trash. And every page that somebody in it can see, for pictures and for the rules.

import { execFileSync } from "node:child_process";
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";
import * as cloud from "./cloud.mjs";

export const widths = [1280, 360];
export const themes = ["light", "dark"];
export const languages = ["en", "zh-CN"];

const day = 86_400_000;
/** 255 bytes, the longest name there can be; no blank to break a line at. */
const longest = `${"Rechnung_und_Lieferschein_".repeat(9)}Kopie_von_2026.pdf`.slice(-255).padStart(255, "_");
const names = {
  chinese: "外婆的红烧肉做法（二〇二六年春节修订版）.txt",
  rtl: "رسالة إلى العائلة عن السفر.txt",
  emoji: "🎂 Geburtstag 👩‍👩‍👧‍👦 2026 🎉.txt",
  blanks: "Minutes of the annual meeting of the allotment garden association, second draft with comments by everybody.odt",
  picture: "IMG_20260812_184503.png",
};

/** A picture of an evening sky, so that previews have something to show. */
export function picture(width = 900, height = 600) {
  const rows = [];
  for (let y = 0; y < height; y += 1) {
    const row = Buffer.alloc(1 + width * 3);
    for (let x = 0; x < width; x += 1) {
      const hill = height * (0.72 + 0.08 * Math.sin(x / 90) + 0.03 * Math.sin(x / 23));
      const sun = Math.hypot(x - width * 0.68, y - height * 0.5) < 55;
      const glow = y / height;
      const color = y > hill ? [38, 52, 70] : sun ? [255, 236, 190] : [90 + 150 * glow, 130 + 40 * glow, 190 - 70 * glow];
      color.forEach((value, at) => { row[1 + x * 3 + at] = value; });
    }
    rows.push(row);
  }
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind, "latin1"), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(zlib.crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", head), chunk("IDAT", zlib.deflateSync(Buffer.concat(rows))), chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** The code that an authenticator shows now (RFC 6238: SHA-1, 30 s, 6 digits). */
export function code(secret, at = Date.now()) {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret.replace(/[\s=]/g, "")].map((letter) => letters.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const digest = crypto.createHmac("sha1", key).update(counter).digest();
  const offset = digest[19] & 15;
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

const encoded = (place) => place.split("/").map(encodeURIComponent).join("/");
const authorization = (name) => ({ authorization: `Basic ${Buffer.from(`${name}:${cloud.password}`).toString("base64")}` });

/** WebDAV as one person of the household. */
async function dav(context, who, method, place, { body, headers = {} } = {}) {
  const answer = await context.request.fetch(`${cloud.url}/dav/files/${encoded(place)}`, {
    method, data: body, headers: { ...authorization(who), ...headers }, maxRedirects: 0,
  });
  if (answer.status() >= 400) throw new Error(`${method} ${place}: ${answer.status()} ${await answer.text()}`);
  return answer;
}

async function send(page, address, fields) {
  const answer = await page.context().request.post(cloud.url + address, {
    form: fields, headers: { origin: cloud.url, "sec-fetch-site": "same-origin" },
  });
  if (answer.status() >= 400) throw new Error(`POST ${address}: ${answer.status()}`);
  return answer;
}

async function link(page, place, fields) {
  const answer = await send(page, `/share-link/${encoded(place)}`, { right: "download", password: "", expires: "", limit: "", label: "", ...fields });
  return /https:\/\/[^"<\s]+\/s\/[A-Za-z0-9_-]{22}/.exec(await answer.text())[0];
}

async function people(page) {
  const grandmother = "grandmother-elisabeth-with-a-rather-long-name-of-64-bytes-in-all";
  for (const [name, quota] of [["bob", "200 GB"], ["小红", ""], ["carl", "64 KiB"], ["dora", "1 TB"], [grandmother, "5 GB"]]) {
    await send(page, "/admin/people", { name, password: cloud.password, quota });
  }
}

async function files(context) {
  const put = (place, body, mtime) => dav(context, "alice", "PUT", place, {
    body, headers: mtime ? { "x-oc-mtime": String(Math.floor(mtime / 1000)) } : {},
  });
  const past = (days) => Date.now() - days * day;
  for (const folder of ["Photos", "Photos/2026 Lake", "Letters", "家庭相册", "Empty", "Inbox", "Shared with Bob", "Diary", "Archive",
    "A folder whose name goes on and on so that it does not fit on any telephone"]) {
    await dav(context, "alice", "MKCOL", `alice/${folder}`);
  }
  await put(`alice/${names.picture}`, picture(), past(104));
  await put(`alice/Photos/2026 Lake/${names.picture}`, picture(), past(104));
  await put(`alice/${longest}`, "%PDF-1.7\n", past(30));
  await put(`alice/${names.chinese}`, "五花肉、冰糖、生抽、老抽。\n", past(280));
  await put(`alice/${names.rtl}`, "نلتقي يوم الجمعة.\n", past(12));
  await put(`alice/${names.emoji}`, "cake\n", past(3));
  await put(`alice/${names.blanks}`, Buffer.alloc(183_400, 7), past(1));
  await put("alice/backup-2025.tar.zst", Buffer.alloc(5_300_000, 3), past(400));
  await put("alice/song.mp3", Buffer.alloc(90_000, 1), past(700));
  await put("alice/clip.mp4", Buffer.alloc(120_000, 1), past(40));
  for (let version = 1; version <= 3; version += 1) await put("alice/Shopping list.txt", "milk, bread\n".repeat(version));
  await put("alice/Shared with Bob/Budget.ods", Buffer.alloc(40_000, 5), past(5));
  await put("alice/Diary/Monday.txt", "rain\n", past(2));
  for (let at = 1; at <= 430; at += 1) {
    await put(`alice/Archive/Scan ${String(at).padStart(4, "0")}.pdf`, `page ${at}`, past(900 - at));
  }
  for (const gone of ["old notes.txt", "旧照片.jpg", "draft of a letter that nobody will ever want to read again but who knows.odt"]) {
    await put(`alice/Letters/${gone}`, Buffer.alloc(2_000), past(50));
    await dav(context, "alice", "DELETE", `alice/Letters/${gone}`);
  }
  await put("alice/Letters/to Bob.txt", "Dear Bob\n", past(6));
}

/** A folder of the disk in the tree, and one whose disk was pulled. */
function bound() {
  const run = (...words) => execFileSync(process.env.CUMULET_PROGRAM, [...words, "--state", process.env.CUMULET_STATE], { stdio: "ignore" });
  for (const name of ["Films", "USB disk"]) {
    const folder = path.join(cloud.scratch, `bound ${name}`);
    fs.mkdirSync(folder);
    fs.writeFileSync(path.join(folder, "readme.txt"), "plain\n");
    run("bind", folder, `alice:/${name}`);
    if (name === "USB disk") fs.renameSync(folder, `${folder} (pulled)`);
  }
}

async function beginFactor(page) {
  await page.fill("form[action='/account/second-factor'] input[name=password]", cloud.password);
  await cloud.press(page, "form[action='/account/second-factor'] button");
}

async function factor(inBrowser, name) {
  const page = await person(inBrowser, name, "en");
  await page.goto(`${cloud.url}/account`);
  await beginFactor(page);
  const secret = await page.inputValue("input[name=secret]");
  await page.fill("input[name=code]", code(secret));
  await cloud.press(page, "main form button.main");
  await page.context().close();
}

/** A page of somebody who is signed in; `nobody` is not. */
export async function person(inBrowser, name, language, more = {}) {
  const page = await cloud.person(inBrowser, { language, ...more });
  if (name === "nobody") return page;
  await page.goto(`${cloud.url}/login`);
  await page.fill("input[name=name]", name);
  await page.fill("input[name=password]", cloud.password);
  await cloud.press(page, "form[action='/login'] button.main");
  return page;
}

/** Fills a cloud that was just set up; `page` is alice's. Answers what the places need to know. */
export async function furnish(inBrowser, page) {
  // WebDAV comes without the cookies of the pages, as from another program.
  const context = await inBrowser.newContext({ ignoreHTTPSErrors: true });
  await people(page);
  await files(context);
  bound();
  const links = {
    folder: await link(page, "alice/Photos", { label: "for the cousins" }),
    file: await link(page, `alice/${names.picture}`, { label: "postcard" }),
    locked: await link(page, "alice/Photos", { password: "opensesame", expires: new Date(Date.now() + 90 * day).toISOString().slice(0, 10), limit: "20", label: "für Oma 🌻" }),
    send: await link(page, "alice/Inbox", { right: "upload", label: "photos of the party" }),
    edit: await link(page, "alice/家庭相册", { right: "edit" }),
    look: await link(page, `alice/${names.chinese}`, { right: "view" }),
    once: await link(page, "alice/Shopping list.txt", { limit: "1" }),
  };
  await context.request.get(`${links.once}/download`);
  await send(page, "/share-member/alice/Shared%20with%20Bob", { who: "bob", access: "rw" });
  await send(page, `/share-member/${encoded("alice/家庭相册")}`, { who: "*", access: "r" });
  await send(page, "/share-member/alice/Letters", { who: "bob", access: "r" });
  await send(page, "/lan-only/alice/Diary", { on: "yes" });
  await send(page, "/account/app-passwords", { label: "laptop in the living room", password: cloud.password });
  await send(page, "/account/app-passwords", { label: "手机", password: cloud.password });
  await dav(context, "bob", "LOCK", "alice/Shared with Bob/Budget.ods", {
    headers: { timeout: "Second-3600", "content-type": "application/xml" },
    body: "<?xml version='1.0'?><D:lockinfo xmlns:D='DAV:'><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype><D:owner>Bob</D:owner></D:lockinfo>",
  });
  await factor(inBrowser, "dora");
  await context.close();
  return { links };
}

const menu = (name) => async (page) => page.locator("tr", { hasText: name }).locator("details.menu summary").click();
const tool = (action) => async (page) => cloud.openTool(page, action);

/**
 * Every place: `who` sees it, at `at` (an address, or a whole one for links), after `then`; `last` puts
 * things back. `plain` marks those that are looked at without JavaScript as well.
 */
export function places({ links }) {
  const file = (name) => `/files/${encoded(`alice/${name}`)}`;
  const wrong = async (page) => {
    await page.fill("input[name=password]", "not this one");
    await cloud.press(page, "main form button.main");
  };
  let carlsSecret;
  const turnOn = async (page) => {
    await beginFactor(page);
    carlsSecret = await page.inputValue("input[name=secret]");
    await page.fill("input[name=code]", code(carlsSecret));
    await cloud.press(page, "main form button.main");
  };
  const turnOff = async (page) => {
    await page.goto(`${cloud.url}/account`);
    await page.fill("form[action='/account/second-factor/off'] input[name=password]", cloud.password);
    // A code counts once; the next one may come half a minute early.
    await page.fill("form[action='/account/second-factor/off'] input[name=code]", code(carlsSecret, Date.now() + 30_000));
    await cloud.press(page, "form[action='/account/second-factor/off'] button");
  };
  const upload = (body, clash) => async (page) => {
    await cloud.openTool(page, "/upload/");
    await page.check(`input[name=clash][value=${clash}]`);
    await page.setInputFiles("form[action^='/upload/'] input[type=file]", body);
    await page.click("form[action^='/upload/'] button.main");
    await page.locator("[data-status]:not(:empty), [data-problem]").first().waitFor();
    await page.waitForFunction(() => !/…/.test(document.querySelector("[data-status]")?.textContent ?? ""));
  };
  return [
    { name: "sign-in", who: "nobody", at: "/login", plain: true },
    { name: "sign-in wrong", who: "nobody", at: "/login", then: async (page) => { await page.fill("input[name=name]", "alice"); await wrong(page); } },
    { name: "sign-in code", who: "nobody", at: "/login", then: async (page) => {
      await page.fill("input[name=name]", "dora");
      await page.fill("input[name=password]", cloud.password);
      await cloud.press(page, "main form button.main");
    } },
    { name: "folder top", who: "alice", at: "/files/alice/", plain: true },
    { name: "folder menu", who: "alice", at: "/files/alice/", then: menu("Letters"), plain: true },
    { name: "folder menu of the last", who: "alice", at: "/files/alice/", then: menu(names.rtl) },
    { name: "folder picked", who: "alice", at: "/files/alice/", then: async (page) => { for (const box of (await page.locator("input.pick").all()).slice(2, 5)) await box.check(); } },
    { name: "folder many", who: "alice", at: file("Archive") },
    { name: "folder second page", who: "alice", at: `${file("Archive")}?sort=size&order=desc&page=2` },
    { name: "folder empty", who: "alice", at: file("Empty"), plain: true },
    { name: "folder deep", who: "alice", at: file("Photos/2026 Lake") },
    { name: "upload", who: "alice", at: "/files/alice/", then: tool("/upload/"), plain: true },
    { name: "upload clash", who: "alice", at: "/files/alice/", then: upload({ name: "Shopping list.txt", mimeType: "text/plain", buffer: Buffer.from("tea") }, "refuse"), plain: true },
    { name: "upload over quota", who: "carl", at: "/files/carl/", then: upload({ name: "holiday.mp4", mimeType: "video/mp4", buffer: Buffer.alloc(200_000) }, "number"), plain: true },
    { name: "new folder", who: "alice", at: "/files/alice/", then: tool("/new-folder/") },
    { name: "file picture", who: "alice", at: file(names.picture) },
    { name: "file text versions", who: "alice", at: file("Shopping list.txt") },
    { name: "file longest name", who: "alice", at: file(longest) },
    { name: "file sound", who: "alice", at: file("song.mp3") },
    { name: "file rtl", who: "alice", at: file(names.rtl) },
    { name: "rename", who: "alice", at: `/rename/${encoded(`alice/${names.blanks}`)}` },
    { name: "rename taken", who: "alice", at: "/rename/alice/song.mp3", then: async (page) => { await page.fill("input[name=name]", "clip.mp4"); await cloud.press(page, "main form button.main"); } },
    { name: "move", who: "alice", at: `/move/alice/?name=${encodeURIComponent("song.mp3")}&name=clip.mp4` },
    { name: "share file", who: "alice", at: `/share/${encoded(`alice/${names.picture}`)}` },
    { name: "share folder", who: "alice", at: "/share/alice/Photos", plain: true },
    { name: "share member", who: "alice", at: "/share/alice/Shared%20with%20Bob" },
    { name: "share home only", who: "alice", at: "/share/alice/Diary" },
    { name: "links", who: "alice", at: "/links" },
    { name: "link", who: "alice", at: "/links/3" },
    { name: "links none", who: "bob", at: "/links" },
    { name: "shared with me", who: "bob", at: "/shared" },
    { name: "shared with nobody", who: "alice", at: "/shared" },
    { name: "shared read only", who: "bob", at: file("Letters") },
    { name: "friends none", who: "alice", at: "/friends", plain: true },
    { name: "friends ticket", who: "alice", at: "/friends", then: async (page) => cloud.press(page, "form[action='/friends/invite'] button.main") },
    { name: "friends ticket refused", who: "alice", at: "/friends", then: async (page) => { await page.fill("input[name=ticket]", "cumulet-friend:abc"); await cloud.press(page, "form[action='/friends/accept'] button.main"); } },
    { name: "trash", who: "alice", at: "/trash/alice/" },
    { name: "trash empty", who: "bob", at: "/trash/bob/" },
    { name: "account", who: "alice", at: "/account", plain: true },
    { name: "account of a member", who: "carl", at: "/account" },
    { name: "find people", who: "carl", at: "/people", plain: true },
    { name: "nobody found", who: "alice", at: "/people?term=nobody" },
    { name: "somebody found", who: "alice", at: "/account", then: async (page) => {
      await page.fill("#field-card-addresses", "alice@example.org\n+49 30 901820");
      await page.selectOption("#field-card-reach", "household");
      await cloud.press(page, "form[action='/account/card'] button");
      await page.goto(`${cloud.url}/people?term=alice`);
    } },
    { name: "second factor", who: "alice", at: "/account", then: beginFactor },
    { name: "second factor wrong", who: "alice", at: "/account", then: async (page) => {
      await beginFactor(page);
      await page.fill("input[name=code]", "000000");
      await cloud.press(page, "main form button.main");
    } },
    { name: "device password", who: "carl", at: "/account", then: async (page) => {
      await page.fill("form[action='/account/app-passwords'] input[name=label]", "tablet of the whole family");
      await page.fill("form[action='/account/app-passwords'] input[name=password]", cloud.password);
      await cloud.press(page, "form[action='/account/app-passwords'] button");
    } },
    { name: "who menu", who: "alice", at: "/files/alice/Empty", then: async (page) => page.click("details.who summary") },
    { name: "admin", who: "alice", at: "/admin", plain: true },
    { name: "other nodes", who: "alice", at: "/cluster", plain: true },
    { name: "other node not found", who: "alice", at: "/cluster?node=nobody" },
    { name: "people", who: "alice", at: "/admin/people" },
    { name: "person", who: "alice", at: "/admin/people/bob" },
    { name: "audit", who: "alice", at: "/admin/audit" },
    { name: "audit nothing found", who: "alice", at: "/admin/audit?actor=nobody-of-this-name" },
    { name: "visitor folder", who: "nobody", at: links.folder },
    { name: "visitor file", who: "nobody", at: links.file, plain: true },
    { name: "visitor text", who: "nobody", at: links.look },
    { name: "visitor password", who: "nobody", at: links.locked, plain: true },
    { name: "visitor wrong password", who: "nobody", at: links.locked, then: wrong },
    { name: "visitor unlocked", who: "nobody", at: links.locked, then: async (page) => { await page.fill("input[name=password]", "opensesame"); await cloud.press(page, "main form button.main"); } },
    { name: "visitor sends", who: "nobody", at: links.send, plain: true },
    { name: "visitor edits", who: "nobody", at: links.edit, plain: true },
    { name: "visitor used up", who: "nobody", at: links.once },
    { name: "problem 403", who: "bob", at: `/rename/${encoded("alice/Letters/to Bob.txt")}` },
    { name: "problem 404", who: "alice", at: "/files/alice/not%20there" },
    { name: "problem 404 nobody", who: "nobody", at: "/s/AAAAAAAAAAAAAAAAAAAAAA" },
    { name: "problem 423", who: "alice", at: `/rename/${encoded("alice/Shared with Bob/Budget.ods")}`, then: async (page) => { await page.fill("input[name=name]", "Money.ods"); await cloud.press(page, "main form button.main"); } },
    { name: "problem away", who: "alice", at: file("USB disk/readme.txt") },
    { name: "deleted", who: "alice", at: "/files/alice/Archive", then: async (page) => {
      await menu(".pdf")(page).catch(() => page.locator("details.menu summary").first().click());
      await cloud.press(page, "details.menu[open] button[name=only]");
    } },
    { name: "recovery codes", who: "carl", at: "/account", then: turnOn, last: turnOff },
    { name: "account with second factor", who: "carl", at: "/account", then: async (page) => {
      await turnOn(page);
      await page.goto(`${cloud.url}/account`);
    }, last: turnOff },
  ];
}

/** Opens every place in `language` and lets `look` see it, again and again for each theme and width. */
export async function tour(inBrowser, household, language, look, { javascript = true, only = "" } = {}) {
  const pages = new Map();
  for (const place of places(household)) {
    if (!javascript && !place.plain) continue;
    if (only && !place.name.includes(only)) continue;
    // Nobody starts afresh each time: a link that was unlocked would stay so.
    if (place.who === "nobody") pages.get("nobody")?.context().close();
    if (place.who === "nobody" || !pages.has(place.who)) {
      pages.set(place.who, await person(inBrowser, place.who, language, { javascript }));
    }
    const page = pages.get(place.who);
    await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
    await page.setViewportSize({ width: widths[0], height: 900 });
    try {
      await page.goto(place.at.startsWith("/") ? cloud.url + place.at : place.at);
      await place.then?.(page);
      await inEveryLook(page, (theme, width) => look(page, place, theme, width));
      await place.last?.(page);
    } catch (error) {
      error.message = `${place.name}, ${language}: ${error.message}`;
      throw error;
    }
  }
  for (const page of pages.values()) await page.context().close();
}

/** The same page in each theme and width. */
export async function inEveryLook(page, look) {
  for (const width of widths) {
    await page.setViewportSize({ width, height: width < 500 ? 740 : 900 });
    for (const theme of themes) {
      await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
      await look(theme, width);
    }
  }
}
