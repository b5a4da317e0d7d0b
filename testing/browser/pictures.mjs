// Pictures of every page: npm run pictures -- FOLDER [part of a place's name]
//
// Starts a node of its own (CUMULET_PROGRAM, else target/debug/cumulet), furnishes it, and writes one PNG
// for each place, language, theme and width into FOLDER, which lies outside of the repository.

import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import url from "node:url";

const [folder, only = ""] = process.argv.slice(2);
const root = path.resolve(path.dirname(url.fileURLToPath(import.meta.url)), "../..");
const program = process.env.CUMULET_PROGRAM ?? path.join(process.env.CARGO_TARGET_DIR ?? path.join(root, "target"), "debug/cumulet");
if (!folder || path.resolve(folder).startsWith(`${root}${path.sep}`)) {
  console.error("usage: npm run pictures -- FOLDER [PLACE]; FOLDER lies outside of the repository");
  process.exit(2);
}
if (!fs.existsSync(program)) {
  console.error(`there is no ${program}; run cargo build, or name the program in CUMULET_PROGRAM`);
  process.exit(2);
}

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "cumulet-pictures-"));
const state = path.join(scratch, "cloud");
const node = spawn(program, ["serve", state, "--listen", "127.0.0.1:0", "--no-mdns", "--json"], { stdio: ["ignore", "pipe", "ignore"] });
try {
  const lines = readline.createInterface({ input: node.stdout });
  const ready = JSON.parse((await lines[Symbol.asyncIterator]().next()).value);
  Object.assign(process.env, {
    CUMULET_URL: ready.https, CUMULET_SETUP_URL: ready.setup_url, CUMULET_SCRATCH: scratch,
    CUMULET_PROGRAM: program, CUMULET_STATE: state,
  });
  await takeAll();
} finally {
  const ended = once(node, "exit");
  node.kill("SIGTERM");
  await ended;
  fs.rmSync(scratch, { recursive: true, force: true });
}

async function takeAll() {
  const cloud = await import("./cloud.mjs");
  const house = await import("./household.mjs");
  fs.mkdirSync(folder, { recursive: true });
  let count = 0;
  const take = async (page, place, language, theme, width, mark = "") => {
    count += 1;
    const name = `${place.name.replaceAll(" ", "-")}.${language}.${width}.${theme}${mark}.png`;
    await page.screenshot({ path: path.join(folder, name), fullPage: true });
  };
  const browser = await cloud.browser();
  try {
    const alice = await cloud.person(browser, { language: "en" });
    for (const language of house.languages) {
      const page = await cloud.person(browser, { language });
      await page.goto(cloud.setupUrl);
      await house.inEveryLook(page, (theme, width) => take(page, { name: "set-up" }, language, theme, width));
    }
    await cloud.setUp(alice, "en");
    const household = await house.furnish(browser, alice);
    for (const language of house.languages) {
      const look = (mark) => (page, place, theme, width) => take(page, place, language, theme, width, mark);
      await house.tour(browser, household, language, look(""), { only });
      await house.tour(browser, household, language, look(".no-script"), { only, javascript: false });
    }
  } finally {
    await browser.close();
  }
  console.log(`${count} pictures in ${folder}`);
}
