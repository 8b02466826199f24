#!/usr/bin/env node
// The admin page of one box in headless Chromium: opens every page, does what can be done on it, looks at all of them wide and narrow,
// light or dark. Prints a line "ok - …" or "not ok - …" for each claim; exit status 0 if all hold.
//
//   admin_page.js --url URL --box edge|core --password PASSWORD --screens FOLDER
//                 [--relay COMMAND]      makes TURN relays until it is ended
//                 [--break COMMAND --mend COMMAND]   raises and clears an alarm
//                 [--halt COMMAND --go-on COMMAND]   the box falls silent, and speaks again
//
// Every claim about the browser (nothing on its console, nobody else asked) is judged over the whole of it.
'use strict';
const { chromium } = require('playwright-core');
const { execSync, spawn } = require('child_process');
const { parseArgs } = require('util');

const { values: options } = parseArgs({
    options: Object.fromEntries(['url', 'box', 'password', 'screens', 'relay', 'break', 'mend', 'halt', 'go-on'].map((name) => [name, { type: 'string' }])),
});
const PATIENCE = 20000;
const BOTH = ['Overview', 'Alarms', 'Event log', 'Web bridge', 'HTTP allow list', 'Tunnels'];
const PAGES = {
    edge: [...BOTH, 'TURN', 'Certificates', 'Bans', 'Configuration', 'Users and tokens', 'Audit'],
    core: [...BOTH, 'Configuration', 'Edges', 'Users and tokens', 'Audit'],
}[options.box];

let failures = 0;
function claim(what, truth) {
    console.log(`${truth ? 'ok' : 'not ok'} - ${options.box}: ${what}`);
    failures += truth ? 0 : 1;
}

// Claims that something comes to be.
async function comes(what, work) {
    try {
        await work();
        claim(what, true);
    } catch (error) {
        claim(what, false);
        console.log(`# ${String(error.message).split('\n').slice(0, 6).join('\n# ')}`);
    }
}

// What the browser must not do. `expected` are answers that a test provokes: [status, path].
class Watch {
    complaints = [];
    others = [];
    expected = [];

    follow(page) {
        page.on('console', (message) => {
            const wanted = this.expected.some(([status, path]) => message.text().includes(String(status)) && message.location().url.includes(path));
            if (['error', 'warning'].includes(message.type()) && !wanted)
                this.complaints.push(`${message.text()} (${message.location().url})`);
        });
        page.on('pageerror', (error) => this.complaints.push(error.message));
        page.on('request', (request) => {
            if (new URL(request.url()).origin !== new URL(options.url).origin)
                this.others.push(request.url());
        });
    }
}

const link = (page, title) => page.getByRole('navigation').getByRole('link', { name: title });
const row = (page, text) => page.getByRole('row').filter({ hasText: text });
const dialog = (page) => page.getByRole('dialog');

async function visit(page, title) {
    const menu = page.getByRole('button', { name: 'Menu' });
    if (await menu.isVisible() && await menu.getAttribute('aria-expanded') === 'false')
        await menu.click();
    await link(page, title).click();
    await page.getByRole('heading', { level: 1, name: title }).waitFor({ timeout: PATIENCE });
}

const visible = (locator) => locator.first().waitFor({ timeout: PATIENCE });
const gone = (locator) => locator.first().waitFor({ state: 'detached', timeout: PATIENCE });

async function signIn(page, password = options.password, user = 'admin') {
    await page.getByLabel('User').fill(user);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
}

// Signing in -----------------------------------------------------------------------------------------------------

async function login(page, watch) {
    const response = await page.goto(options.url);
    const policy = response.headers()['content-security-policy'] || '';
    claim("its policy lets it ask nobody else and run nothing else", policy.includes("default-src 'self'") && policy.includes("frame-ancestors 'none'"));
    watch.expected.push([401, '/api/v1/session']);
    await page.screenshot({ path: `${options.screens}/${options.box}-login.png` });
    await comes('a wrong password is said so', async () => {
        await signIn(page, 'not the password');
        await visible(page.getByRole('alert').filter({ hasText: /\w/ }));
    });
    await comes('the right one opens the overview', async () => {
        await signIn(page);
        await visible(page.getByRole('heading', { level: 1, name: 'Overview' }));
        await visible(page.getByText('Live', { exact: true }));
    });
    await comes('reloaded, one is still signed in', async () => {
        await page.reload();
        await visible(page.getByRole('heading', { level: 1, name: 'Overview' }));
    });
    const titles = await page.getByRole('navigation').getByRole('link').allTextContents();
    claim('the navigation has every page of this box', PAGES.every((title) => titles.some((one) => one.startsWith(title))));
}

// Looks ----------------------------------------------------------------------------------------------------------

async function overview(page) {
    await visit(page, 'Overview');
    await comes('the graphs draw', () => page.waitForFunction(
        () => [...document.querySelectorAll('.chart')].every((chart) => chart.querySelector('polyline.line-0').getAttribute('points')?.split(' ').length > 2), null, { timeout: PATIENCE }));
    await comes('tunnels are active', () => visible(page.locator('.tile').filter({ hasText: 'Tunnels' }).filter({ hasText: '2 of 2' })));
    await comes('the peer is there with its version', () => visible(row(page, options.box === 'edge' ? 'core1' : 'edge1').filter({ hasText: /\d\.\d\.\d/ })));
}

async function simplePages(page) {
    await visit(page, 'Web bridge');
    await comes('the join URL', () => visible(page.getByText('https://join.example.com', { exact: true })));
    await visit(page, 'HTTP allow list');
    await comes('the automatic rules', () => visible(row(page, 'join.example.com:443').filter({ hasText: 'wss' })));
    await visit(page, 'Tunnels');
    await comes('a tunnel, active', () => visible(row(page, options.box === 'edge' ? 'core1' : '192.0.2.10:2222').filter({ hasText: 'active' })));
    await comes('a table can be sorted, and says so', async () => {
        await page.getByRole('button', { name: 'RTT' }).click();
        await visible(page.locator('th[aria-sort=descending]'));
    });
    await visit(page, 'Event log');
    await comes('events, the newest first', () => visible(row(page, 'Tunnel Up')));
    await comes('filtered by words', async () => {
        await page.getByLabel('Words').fill('Tunnel Up');
        await page.waitForFunction(() => [...document.querySelectorAll('tbody tr')].every((one) => one.textContent.includes('Tunnel Up')), null, { timeout: PATIENCE });
        await visible(row(page, 'Tunnel Up'));
    });
    await comes('filtered by level', async () => {
        await page.getByLabel('Words').fill('');
        await page.getByLabel('Level').selectOption('critical');
        await page.waitForFunction(() => [...document.querySelectorAll('tbody tr')].every((one) => one.textContent.includes('critical')), null, { timeout: PATIENCE });
    });
}

// Every page, wide and narrow, the edge's light and dark, core's dark and light: a picture, and nothing to scroll sideways, no
// table either.
async function looks(browser, watch) {
    for (const [width, colorScheme] of options.box === 'edge' ? [[1280, 'light'], [390, 'dark']] : [[1280, 'dark'], [390, 'light']]) {
        const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, ignoreHTTPSErrors: true });
        const page = await context.newPage();
        const wide = [];
        watch.follow(page);
        await page.goto(options.url);
        await signIn(page);
        await visible(page.locator('.tile'));
        for (const title of PAGES) {
            await visit(page, title);
            await page.waitForTimeout(150); // for the picture: what was asked for has been drawn
            if (await page.evaluate(() => [document.documentElement, ...document.querySelectorAll('.table-frame')].some((one) => one.scrollWidth > one.clientWidth)))
                wide.push(title);
            await page.screenshot({ path: `${options.screens}/${options.box}-${title.toLowerCase().replaceAll(' ', '-')}-${width}-${colorScheme}.png`, fullPage: true });
        }
        claim(`${width} px wide, ${colorScheme}: nothing to scroll sideways${wide.length ? ` (but ${wide})` : ''}`, wide.length === 0);
        const [ink, ground] = await page.evaluate(() => [getComputedStyle(document.body).color, getComputedStyle(document.documentElement).backgroundColor].map((c) => c.match(/\d+/g).map(Number).reduce((a, b) => a + b) / 3));
        claim(`${width} px wide, ${colorScheme}: ${colorScheme === 'dark' ? 'light on dark' : 'dark on light'}`, colorScheme === 'dark' ? ink > 180 && ground < 60 : ink < 60 && ground > 220);
        await page.getByText('admin', { exact: true }).first().click();
        await page.getByRole('button', { name: 'Sign out' }).click();
        await visible(page.getByText('You have signed out.'));
        await context.close();
    }
}

// What both boxes have ----------------------------------------------------------------------------------------------

async function keyboard(page) {
    await visit(page, 'Overview');
    await page.reload();
    await visible(page.locator('.tile'));
    await page.keyboard.press('Tab');
    claim('the first thing that Tab reaches skips the navigation', await page.evaluate(() => document.activeElement.textContent === 'Skip to the page'));
    await page.keyboard.press('Enter');
    claim('and does so', await page.evaluate(() => document.activeElement.id === 'main'));
    const bare = await page.evaluate(() => [...document.querySelectorAll('button, a, input, select, textarea')]
        .filter((one) => !(one.textContent.trim() || one.getAttribute('aria-label') || one.labels?.length)).length);
    claim('everything that can be used has a name', bare === 0);
    claim('one heading of the first level, and the landmarks', await page.evaluate(() =>
        document.querySelectorAll('h1').length === 1 && ['header', 'nav', 'main', 'footer'].every((name) => document.querySelector(name))));
}

// look: what the reader does who is added and removed.
async function users(page, look) {
    await visit(page, 'Users and tokens');
    await comes('an admin user is added', async () => {
        await page.getByRole('button', { name: 'Add a user' }).click();
        await dialog(page).getByLabel('Name').fill('mara');
        await dialog(page).getByLabel('Password').fill('a password for mara');
        await page.screenshot({ path: `${options.screens}/${options.box}-dialog.png` });
        await dialog(page).getByRole('button', { name: 'Add' }).click();
        await visible(row(page, 'mara').filter({ hasText: 'reader' }));
    });
    await comes('a second one of the same name is refused in the dialog', async () => {
        await page.getByRole('button', { name: 'Add a user' }).click();
        await dialog(page).getByLabel('Name').fill('mara');
        await dialog(page).getByLabel('Password').fill('another password');
        await dialog(page).getByRole('button', { name: 'Add' }).click();
        await visible(dialog(page).getByRole('alert').filter({ hasText: /\w/ }));
        await page.keyboard.press('Escape');
        await gone(dialog(page));
    });
    await look();
    await visit(page, 'Users and tokens');
    await comes('its role is changed', async () => {
        await page.getByRole('button', { name: 'Change mara' }).click();
        await dialog(page).getByLabel('Role').selectOption('admin');
        await dialog(page).getByRole('button', { name: 'Change' }).click();
        await visible(page.getByRole('cell', { name: 'mara' }).locator('..').filter({ has: page.getByRole('cell', { name: 'admin', exact: true }) }));
    });
    await comes('and it is removed', async () => {
        await page.getByRole('button', { name: 'Remove mara' }).click();
        await dialog(page).getByRole('button', { name: 'Remove' }).click();
        await gone(page.getByRole('cell', { name: 'mara', exact: true }));
    });
    await comes('an API token is made, shown once, and made void', async () => {
        await page.getByRole('button', { name: 'Make a token' }).click();
        await dialog(page).getByLabel('What it is for').fill('monitoring');
        await dialog(page).getByRole('button', { name: 'Make' }).click();
        const token = await dialog(page).locator('.secret').textContent({ timeout: PATIENCE });
        await dialog(page).getByRole('button', { name: 'Close' }).click();
        await gone(dialog(page));
        await visible(row(page, 'monitoring'));
        if (token.length < 20 || (await page.content()).includes(token))
            throw new Error('the token is short, or still in the page');
        await page.getByRole('button', { name: 'Make the token for monitoring void' }).click();
        await dialog(page).getByRole('button', { name: 'Make void' }).click();
        await gone(row(page, 'monitoring'));
    });
    await visit(page, 'Audit');
    await comes('the audit has it', () => visible(row(page, 'mara')));
}

// A reader ---------------------------------------------------------------------------------------------------------

// Asks the box as the page itself does, without a button.
const ask = (page, method, path, body) => page.evaluate(async (args) => (await import('/api.js'))[args[0]](args[1], args[2]), [method, path, body]);

// What can be used on a page, apart from links and the order of tables.
const controls = (page) => page.locator('main').evaluate((main) => [...main.querySelectorAll('button:not(.sort), input, select, textarea')]
    .filter((one) => one.checkVisibility() && !one.disabled && !one.readOnly)
    .map((one) => one.getAttribute('aria-label') || one.labels?.[0]?.textContent || one.textContent));

// The graphs begin with what was before the page: the oldest point drawn is older than the page itself.
async function historyDrawn(page) {
    await page.waitForFunction(async () => (await (await import('/api.js')).items('/history')).length > 1, null, { timeout: PATIENCE });
    await page.reload();
    await comes('the graphs begin with what was before the page was opened', () => page.waitForFunction(() => [...document.querySelectorAll('.chart')].every((chart) => {
        const [first] = chart.querySelector('polyline.line-0').getAttribute('points')?.split(/[ ,]/) || [''];
        return first !== '' && (300 - Number(first)) * 2 > performance.now() / 1000 + 1; // 300 wide, ten minutes
    }), null, { timeout: PATIENCE }));
}

// Something that an admin can change, to be seen on a page before one looks for what changes it.
const CHANGEABLE = {
    edge: { Alarms: (page) => page.getByText('Remedy', { exact: true }), TURN: (page) => row(page, 'room8'), Bans: (page) => row(page, '198.51.100.98') },
    core: {
        'Web bridge': (page) => row(page, '10.20.0.20:443'), Configuration: (page) => row(page, 'in force').filter({ hasText: '3' }),
        Edges: (page) => row(page, 'edge1'),
    },
}[options.box];
const READING = { 'Event log': ['Level', 'Words', 'Hold still'], 'HTTP allow list': options.box === 'core' ? ['URL', 'Method', 'Test'] : [] };
const ADMINS = ['Users and tokens', 'Audit'];

async function readerLooks(page, mara) {
    const offered = [], vain = [];
    for (const title of PAGES.filter((one) => !ADMINS.includes(one))) {
        await visit(mara, title);
        if (CHANGEABLE[title]) {
            await visible(CHANGEABLE[title](mara));
            await visit(page, title);
            await visible(CHANGEABLE[title](page));
            if ((await controls(page)).length === 0)
                vain.push(title);
        }
        const more = (await controls(mara)).filter((name) => !(READING[title] || []).includes(name));
        if (more.length)
            offered.push(`${title}: ${more}`);
    }
    claim(`a reader is offered nothing that changes anything${offered.length ? ` (but ${offered.join('; ')})` : ''}`, offered.length === 0);
    claim(`where an admin is${vain.length ? ` (but on ${vain})` : ''}`, vain.length === 0);
}

async function reader(browser, page, watch) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ignoreHTTPSErrors: true });
    const mara = await context.newPage(), changes = [];
    watch.follow(mara);
    mara.setDefaultTimeout(PATIENCE);
    mara.on('request', (request) => request.method() !== 'GET' && changes.push(`${request.method()} ${new URL(request.url()).pathname}`));
    await mara.goto(options.url);
    await signIn(mara, 'a password for mara', 'mara');
    await visible(mara.locator('.tile'));
    await historyDrawn(mara);
    const titles = await mara.getByRole('navigation').getByRole('link').allTextContents();
    claim('a reader finds every page but those of admins', PAGES.every((title) => titles.some((one) => one.startsWith(title)) !== ADMINS.includes(title)));
    await readerLooks(page, mara);
    await comes('an address of those says for whom they are', async () => {
        await mara.goto(`${options.url}#/users`);
        await visible(mara.getByText('This page is for the role admin.', { exact: false }));
    });
    if (options.box === 'core')
        await comes('why the config cannot be changed is said, and a reader tests a request', async () => {
            await visit(mara, 'Configuration');
            await visible(mara.getByText('it is changed by whoever has the role admin', { exact: false }));
            await visit(mara, 'HTTP allow list');
            await mara.getByLabel('URL').fill('https://join.example.com/x');
            await mara.getByRole('button', { name: 'Test' }).click();
            await visible(mara.locator('.verdict').filter({ hasText: /allow/ }));
        });
    const wanted = ['POST /api/v1/session', ...(options.box === 'core' ? ['POST /api/v1/allow/test'] : [])];
    claim(`a reader's page asks for no change (${changes})`, String(changes) === String(wanted));
    await mara.screenshot({ path: `${options.screens}/${options.box}-reader.png` });
    await context.close();
}

// With what there is to change.
async function readerOfEdge(browser, page, watch) {
    await ask(page, 'post', '/turn/users', { name: 'room8', password: 'a password for TURN' });
    await ask(page, 'post', '/bans', { address: '198.51.100.98', seconds: 600 });
    await reader(browser, page, watch);
    await ask(page, 'remove', '/turn/users/room8');
    await ask(page, 'remove', '/bans/198.51.100.98');
}

async function ownPassword(page, watch) {
    const fresh = `${options.password}, changed`;
    const change = async (old, next) => {
        await page.getByText('admin', { exact: true }).first().click();
        await page.getByRole('button', { name: 'Change password' }).click();
        await dialog(page).getByLabel('Password until now').fill(old);
        await dialog(page).getByLabel('New password', { exact: true }).fill(next);
        await dialog(page).getByLabel('New password, again').fill(next);
        await dialog(page).getByRole('button', { name: 'Change' }).click();
        await visible(page.getByText('Your password has been changed.'));
        await page.getByRole('button', { name: 'Dismiss' }).first().click();
    };
    watch.expected.push([401, '/api/v1/session/password']);
    await comes('the own password is changed, and back', async () => {
        await change(options.password, fresh);
        await change(fresh, options.password);
    });
}

const acknowledge = (page) => page.getByRole('button', { name: /^Acknowledge/ });

async function silence(page, watch) {
    if (!options.halt)
        return;
    await visit(page, 'Overview');
    execSync(options.halt);
    await comes('a box that falls silent: the page says so', () => visible(page.getByText('Connection lost, trying again')));
    await page.screenshot({ path: `${options.screens}/${options.box}-lost.png` });
    execSync(options['go-on']);
    await comes('and goes on by itself', () => visible(page.getByText('Live', { exact: true })));
}

// The edge -------------------------------------------------------------------------------------------------------------

async function turnUsers(page) {
    await visit(page, 'TURN');
    await comes('TURN users of both kinds', () => visible(row(page, 'secrets.json')));
    await comes('a TURN user is added', async () => {
        await page.getByRole('button', { name: 'Add a user' }).click();
        await dialog(page).getByLabel('Name').fill('room7');
        await dialog(page).getByLabel('Password').fill('a password for TURN');
        await dialog(page).getByRole('button', { name: 'Add' }).click();
        await visible(row(page, 'room7').filter({ hasText: 'enabled' }));
    });
    await comes('disabled', async () => {
        await page.getByRole('button', { name: 'Disable room7' }).click();
        await visible(row(page, 'room7').filter({ hasText: 'disabled' }));
    });
    await comes('and removed', async () => {
        await page.getByRole('button', { name: 'Remove room7' }).click();
        await dialog(page).getByRole('button', { name: 'Remove' }).click();
        await gone(page.getByRole('cell', { name: 'room7' }));
    });
}

// The same relay in a page whose list leaves it out, as an edge with thousands of them does.
async function relayLeftOut(page, watch) {
    const other = await page.context().newPage();
    watch.follow(other);
    await other.addInitScript(() => {
        const parse = JSON.parse;
        JSON.parse = (text) => {
            const value = parse(text);
            return value?.relays ? { ...value, relays: [] } : value;
        };
    });
    await other.goto(page.url());
    await comes('also where the list leaves it out', async () => {
        await visible(other.getByText('In use', { exact: true }));
        await visible(row(other, '10.20.0.20'));
    });
    return other;
}

async function relays(page, watch) {
    await visit(page, 'TURN');
    await visible(page.getByText('No relay is in use.'));
    const client = spawn('sh', ['-c', `exec ${options.relay}`], { stdio: 'ignore' });
    const one = page.getByRole('row').filter({ hasText: '203.0.113.10:' }).filter({ hasText: 'guest' });
    await comes('a relay appears while one looks', () => visible(one));
    await page.screenshot({ path: `${options.screens}/${options.box}-relays.png`, fullPage: true });
    await comes('and has a page of its own, with its peer and traffic', async () => {
        await one.filter({ hasText: /[kM]B/ }).first().getByRole('link').click({ timeout: PATIENCE });
        await visible(page.getByRole('heading', { level: 1, name: 'Relay' }));
        await visible(row(page, '10.20.0.20'));
        await page.waitForFunction(() => document.querySelector('.chart polyline.line-0')?.getAttribute('points')?.split(' ').length > 2, null, { timeout: PATIENCE });
    });
    await page.screenshot({ path: `${options.screens}/${options.box}-relay.png`, fullPage: true });
    const other = await relayLeftOut(page, watch);
    client.kill();
    await comes('and is said to be gone when it is', () => visible(page.getByText('This relay is gone', { exact: false })));
    await comes('there as well', () => visible(other.getByText('This relay is gone', { exact: false })));
    await other.close();
    await page.getByRole('link', { name: 'All relays' }).click();
    await comes('as it is from the list', () => visible(page.getByText('No relay is in use.')));
}

async function bans(page) {
    await visit(page, 'Bans');
    await comes('an address is banned', async () => {
        await page.getByRole('button', { name: 'Ban an address' }).click();
        await dialog(page).getByLabel('Address').fill('198.51.100.99');
        await dialog(page).getByLabel('Reason').fill('<img src=x onerror=alert(1)>');
        await dialog(page).getByRole('button', { name: 'Ban' }).click();
        await visible(row(page, '198.51.100.99'));
    });
    claim('what was typed is shown as text', await page.getByText('<img src=x onerror=alert(1)>').count() === 1 && await page.locator('td img').count() === 0);
    await comes('and let in again', async () => {
        await page.getByRole('button', { name: 'Let 198.51.100.99 in again' }).click();
        await visible(page.getByText('Nobody is banned.'));
    });
}

async function edge(page, watch) {
    await visit(page, 'Certificates');
    await comes('the certificate, and what is wrong with it', async () => {
        await visible(page.getByText('CN = join.example.com'));
        await visible(page.getByText('comes without its issuer', { exact: false }));
    });
    await turnUsers(page);
    await relays(page, watch);
    await bans(page);
    await visit(page, 'Alarms');
    await comes('an alarm with cause and remedy is acknowledged', async () => {
        await visible(page.getByText('Remedy', { exact: true }));
        await acknowledge(page).first().click();
        await visible(page.locator('.alarm').filter({ hasText: /Acknowledged\s*admin/ }));
    });
    await visit(page, 'Configuration');
    await comes('the config is shown, and cannot be changed', async () => {
        const text = page.getByLabel('Text of the config');
        await page.waitForFunction(() => document.querySelector('.editor-text')?.value.includes('join_url'), null, { timeout: PATIENCE });
        if (await text.isEditable() || await page.getByRole('button', { name: 'Check' }).count())
            throw new Error('it can be');
    });
}

// Core -------------------------------------------------------------------------------------------------------------------

async function allowList(page) {
    const test = async (url, method) => {
        await page.getByLabel('URL').fill(url);
        await page.getByLabel('Method').selectOption(method);
        await page.getByRole('button', { name: 'Test' }).click();
    };
    await visit(page, 'HTTP allow list');
    await comes('the test box: what passes, and by which rule', async () => {
        await test('https://join.example.com/x', 'GET');
        await visible(page.locator('.verdict').filter({ hasText: /allow/ }).filter({ hasText: 'rule 1' }));
    });
    await comes('what does not, and why', async () => {
        await test('https://other.example.com/', 'GET');
        await visible(page.locator('.verdict').filter({ hasText: /block/ }).filter({ hasText: 'other.example.com' }));
    });
    await page.screenshot({ path: `${options.screens}/core-allow-test.png` });
}

const editorText = (page) => page.getByLabel('Text of the config');

// Changes the text in the editor as one who types would.
async function edit(page, change) {
    await page.waitForFunction(() => document.querySelector('.editor-text')?.value.includes('join_url'), null, { timeout: PATIENCE });
    await editorText(page).fill(change(await editorText(page).inputValue()));
}

async function config(page) {
    await visit(page, 'Configuration');
    await comes('a mistake is said with its line, which is marked', async () => {
        await edit(page, (text) => text.replace('"enabled": true', '"enabled": "perhaps"'));
        await page.getByRole('button', { name: 'Check' }).click();
        await visible(page.locator('.verdict').filter({ hasText: /Line \d+/ }).filter({ hasText: 'enabled' }));
        await visible(page.locator('.editor-numbers .wrong'));
    });
    await page.screenshot({ path: `${options.screens}/core-config-wrong.png` });
    await comes('and is not saved', async () => {
        await page.getByRole('button', { name: 'Save' }).click();
        await visible(page.locator('.verdict').filter({ hasText: /Line \d+/ }));
        if (await dialog(page).count())
            throw new Error('it is asked whether to save it');
        await page.getByRole('button', { name: 'Undo all' }).click();
    });
    await comes('a rule of one\'s own: the difference is shown, then saved', async () => {
        await edit(page, (text) => {
            const value = JSON.parse(text);
            value.web_proxy.extra_rules = [{ description: 'Status page', host: 'status.example.com', path: '/public', methods: ['GET'] }];
            return `${JSON.stringify(value, null, 2)}\n`;
        });
        await page.getByRole('button', { name: 'Save' }).click();
        await visible(dialog(page).locator('.diff .added').filter({ hasText: 'status.example.com' }));
        await page.screenshot({ path: `${options.screens}/core-config-diff.png` });
        await dialog(page).getByRole('button', { name: 'Save' }).click();
        await visible(page.getByText('Revision 2', { exact: false }).first());
        await visible(row(page, 'in force').filter({ hasText: '2' }));
    });
    await visit(page, 'HTTP allow list');
    await comes('the rule is in force', () => visible(row(page, 'status.example.com')));
    await visit(page, 'Configuration');
    await comes('and rolled back', async () => {
        await page.getByRole('button', { name: 'Roll back to revision 1' }).click();
        await dialog(page).getByRole('button', { name: 'Roll back' }).click();
        await visible(row(page, 'in force').filter({ hasText: '3' }));
        await page.waitForFunction(() => !document.querySelector('.editor-text').value.includes('status.example.com'), null, { timeout: PATIENCE });
    });
}

async function alarmOfCore(page) {
    await visit(page, 'Alarms');
    execSync(options.break);
    await comes('an alarm is raised while one looks', () => visible(acknowledge(page)));
    await page.screenshot({ path: `${options.screens}/core-alarms-raised.png`, fullPage: true });
    await comes('and acknowledged', async () => {
        const words = await page.locator('.alarm').filter({ has: acknowledge(page) }).first().getByRole('heading').textContent();
        await acknowledge(page).first().click();
        await visible(page.locator('.alarm').filter({ hasText: words }).filter({ hasText: /Acknowledged\s*admin/ }));
    });
    execSync(options.mend);
    await comes('and cleared', () => visible(page.getByText('No alarm is raised.')));
}

async function edges(page) {
    await visit(page, 'Edges');
    await comes('the edge and its pairing', () => visible(row(page, 'edge1').filter({ hasText: 'paired' })));
    await comes('another edge is added, and its bundle named', async () => {
        await page.getByRole('button', { name: 'Add an edge' }).click();
        await dialog(page).getByLabel('Name').fill('edge2');
        await dialog(page).getByLabel('SSH address').fill('192.0.2.99');
        await dialog(page).getByRole('button', { name: 'Add' }).click();
        await visible(dialog(page).getByText('edge2.bundle', { exact: false }));
        await page.screenshot({ path: `${options.screens}/core-edge-added.png` });
        await dialog(page).getByRole('button', { name: 'Close' }).click();
        await visible(row(page, 'edge2').filter({ hasText: 'waiting' }));
    });
    await comes('and removed', async () => {
        await page.getByRole('button', { name: 'Remove edge2' }).click();
        await dialog(page).getByRole('button', { name: 'Remove' }).click();
        await gone(row(page, 'edge2'));
    });
}

async function core(page) {
    await visit(page, 'Web bridge');
    await comes('targets and their probes', () => visible(row(page, '10.20.0.20:443').filter({ hasText: 'active' })));
    await comes('DNS is asked again', async () => {
        await page.getByRole('button', { name: 'Ask DNS again' }).click();
        await visible(page.getByText('DNS is asked again', { exact: false }));
    });
    await allowList(page);
    await config(page);
    await alarmOfCore(page);
    await edges(page);
}

async function main() {
    const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking'] });
    const watch = new Watch();
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ignoreHTTPSErrors: true });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    watch.follow(page);
    watch.expected.push([409, '/api/v1/users'], [404, '/api/v1/turn/relays/']); // a name that is taken; a relay that has gone
    try {
        await login(page, watch);
        await overview(page);
        await simplePages(page);
        if (options.box === 'edge') { // an alarm to acknowledge is there until one does so
            await users(page, () => readerOfEdge(browser, page, watch));
            await edge(page, watch);
        } else { // config revisions to roll back to are there after some changes
            await core(page);
            await users(page, () => reader(browser, page, watch));
        }
        await ownPassword(page, watch);
        await keyboard(page);
        await looks(browser, watch);
        await silence(page, watch);
    } catch (error) {
        claim(`the test got to its end (${String(error.message).split('\n')[0]})`, false);
        await page.screenshot({ path: `${options.screens}/${options.box}-trouble.png` });
    }
    claim(`nothing on the console${watch.complaints.length ? ` (but ${[...new Set(watch.complaints)].slice(0, 5).join('; ')})` : ''}`, watch.complaints.length === 0);
    claim(`nobody else was asked${watch.others.length ? ` (but ${watch.others[0]})` : ''}`, watch.others.length === 0);
    await browser.close();
    process.exitCode = failures ? 1 : 0;
}

main();
