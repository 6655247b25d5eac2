// Opens a page in Chromium, lets it ask, and prints the answers as JSON.
// Arguments: the browser's path, the page's URL, and a JSON list of what the page's `ask` is called
// with, one after the other.
import { chromium } from "playwright-core";

const [executablePath, url, asks] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath,
  // Nothing but this machine is to be called, whatever the browser would like to look up.
  args: ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost"],
});
try {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(url);
  const answers = [];
  for (const each of JSON.parse(asks)) {
    answers.push(await page.evaluate((options) => ask(options), each));
  }
  console.log(JSON.stringify({ answers, errors }));
} finally {
  await browser.close();
}
