#!/usr/bin/env node
// Looks at pages in headless Chromium as a guest would, wide and narrow, light and dark, and prints for each look one JSON line:
// {"page", "width", "scheme", "status", "heading", "overflow": pixels that a guest would have to scroll sideways, "text": its colour}.
//
//   pages.js FOLDER NAME=URL...    pictures go to FOLDER/NAME-WIDTH-SCHEME.png
'use strict';
const { chromium } = require('playwright-core');

async function main(folder, pages) {
    const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic'] });
    for (const width of [1280, 390])
        for (const colorScheme of ['light', 'dark']) {
            const context = await browser.newContext({ viewport: { width, height: 700 }, colorScheme, ignoreHTTPSErrors: true });
            const page = await context.newPage();
            for (const [, name, url] of pages.map((text) => /^([^=]+)=(.*)$/.exec(text))) {
                const response = await page.goto(url);
                await page.screenshot({ path: `${folder}/${name}-${width}-${colorScheme}.png` });
                console.log(JSON.stringify({ page: name, width, scheme: colorScheme, status: response.status(),
                    ...await page.evaluate(() => ({ heading: document.querySelector('h1').textContent,
                        overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
                        text: getComputedStyle(document.querySelector('h1')).color })) }));
            }
            await context.close();
        }
    await browser.close();
}

main(process.argv[2], process.argv.slice(3)).catch((error) => {
    console.error(error);
    process.exit(1);
});
