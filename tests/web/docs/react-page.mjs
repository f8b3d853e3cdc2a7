// The example's page in a real browser: the list, then the log of the chosen deployment. `node react-page.mjs URL`.
import { chromium } from "playwright-core";

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--headless", "--no-sandbox", "--disable-gpu"] });
try {
  const page = await browser.newPage();
  await page.goto(process.argv[2]);
  const row = page.getByRole("button", { name: /^shop / });
  await row.getByText("success").waitFor({ timeout: 20_000 });
  await row.click();
  await page.getByText("Moving traffic").waitFor({ timeout: 20_000 });
} finally {
  await browser.close();
}
