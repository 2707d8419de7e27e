// What a person does with a fresh WordPress, in Chromium: installs it, writes a post with a picture, logs
// out; then another person reads it.  Called by test_browser.py with one argument, JSON:
//   {library, chromium, address, picture, shots}; prints what it saw as JSON.
const fs = require('fs');
const task = JSON.parse(process.argv[2]);
const { chromium } = require(task.library);

const PASSWORD = 'Tr1ckier-than-this-one';

async function install(page) {
  await page.goto(task.address + '/');
  if (await page.locator('#language-continue').count()) await page.click('#language-continue');
  await page.fill('#weblog_title', 'A ship of many hulls');
  await page.fill('#user_login', 'editor');
  await page.fill('#pass1', PASSWORD);
  if (await page.locator('.pw-checkbox').isVisible()) await page.check('.pw-checkbox');
  await page.fill('#admin_email', 'editor@example.com');
  await page.click('#submit');
  await page.getByRole('heading', { name: 'Success!' }).waitFor();
}

async function logIn(page) {
  await page.goto(task.address + '/wp-login.php');
  await page.fill('#user_login', 'editor');
  await page.fill('#user_pass', PASSWORD);
  await page.click('#wp-submit');
  await page.getByRole('heading', { name: 'Dashboard' }).first().waitFor();
}

// What the page's own programs complain of, for the report of a failure.
function watch(page, said) {
  page.on('pageerror', (error) => said.push(error.stack));
  page.on('console', (line) => { if (line.type() === 'error') said.push(line.text()); });
  page.on('response', (r) => { if (r.status() >= 400) said.push(`${r.status()} ${r.url()}`); });
}

// Types into the block editor as a person does; the picture goes in by its file dialog.
async function writePost(page) {
  await page.goto(task.address + '/wp-admin/post-new.php');
  const title = page.locator('.editor-post-title__input');
  await title.waitFor();
  const guide = page.getByRole('button', { name: 'Close dialog' });
  if (await guide.isVisible().catch(() => false)) await guide.click();
  await page.evaluate(() => {
    if (wp.data.select('core/edit-post').isFeatureActive('welcomeGuide')) {
      wp.data.dispatch('core/edit-post').toggleFeature('welcomeGuide');
    }
  });
  await title.click();
  await page.keyboard.type('Bulkheads hold');
  await page.keyboard.press('Enter');
  await page.keyboard.type('Water in one compartment stays there.');
  await page.keyboard.press('Enter');
  await page.keyboard.type('/image');
  await page.getByRole('option', { name: 'Image', exact: true }).click();
  const upload = page.locator('.block-editor-media-placeholder input[type=file]').first();
  await upload.setInputFiles(task.picture);
  await page.locator('.wp-block-image img[src^="http"]:not([src^="blob"])').first().waitFor();
  await page.getByRole('button', { name: 'Publish', exact: true }).click();
  await page.locator('.editor-post-publish-panel .editor-post-publish-button').click();
  await page.locator('.components-snackbar', { hasText: 'published' }).first().waitFor();
  return page.evaluate(() => wp.data.select('core/editor').getPermalink());
}

async function read(page, link) {
  await page.goto(task.address + '/');
  await page.getByRole('link', { name: 'Bulkheads hold' }).first().click();
  const picture = page.locator('.wp-block-image img, .entry-content img').first();
  await picture.waitFor();
  return {
    link, url: page.url(), title: await page.title(), text: await page.locator('body').innerText(),
    width: await picture.evaluate(async (img) => { await img.decode(); return img.naturalWidth; }),
  };
}

(async () => {
  const browser = await chromium.launch({
    executablePath: task.chromium, headless: true, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  const broken = [], said = [];
  let page;
  try {
    const editor = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    page = await editor.newPage();
    page.setDefaultTimeout(task.patience_ms);
    page.on('response', (r) => { if (r.status() >= 500) broken.push(`${r.status()} ${r.url()}`); });
    watch(page, said);
    await install(page);
    await logIn(page);
    const link = await writePost(page);
    const visitor = await browser.newContext();
    page = await visitor.newPage();
    page.setDefaultTimeout(task.patience_ms);
    page.on('response', (r) => { if (r.status() >= 400) broken.push(`${r.status()} ${r.url()}`); });
    const seen = await read(page, link);
    // The neighbour's try at the first site's settings, in the same browser.
    seen.stolen = [];
    for (const address of task.neighbour) {
      const answer = await page.goto(address);
      seen.stolen.push([answer.status(), await page.locator('body').innerText()]);
    }
    console.log(JSON.stringify({ ...seen, broken: broken.filter((line) => !task.neighbour.some((a) => line.endsWith(a))) }));
  } catch (error) {
    if (page) await page.screenshot({ path: task.shot }).catch(() => {});
    console.error(`${error.stack}\nbroken answers: ${broken.join(', ')}\nsaid: ${said.join('\n')}\nat ${page && page.url()}`);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
})();
