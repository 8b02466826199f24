// The admin page of a box: signs in, then shows pages that follow what the box tells.

import { followAlarms } from './alarms.js';
import { setOnSignedOut } from './api.js';
import { fill } from './dom.js';
import { Figures } from './figures.js';
import { Live } from './live.js';
import { noticeRegions } from './notice.js';
import { login } from './pages/login.js';
import { forget, readRoutes, resume, session, signOut } from './session.js';
import { shell } from './shell.js';

const root = document.createElement('div');
let running = null;

async function open() {
    const has = await readRoutes();
    const live = new Live(), figures = new Figures(), end = new AbortController();
    live.on('status', (status) => figures.add(status), end.signal);
    if (has('GET /alarms'))
        followAlarms(live, end.signal);
    running = { live, end };
    shell({ root, live, figures, session: session(), has, signal: end.signal, leave });
    live.start();
}

function close() {
    running?.live.stop();
    running?.end.abort();
    running = null;
}

function ask(words) {
    close();
    document.querySelectorAll('dialog').forEach((dialog) => dialog.close());
    login(root, { words, entered: open });
}

async function leave() {
    close();
    await signOut().catch(() => {}); // the box may be gone: here one is signed out all the same
    ask('You have signed out.');
}

async function main() {
    fill(document.body, root, noticeRegions);
    setOnSignedOut(() => {
        forget();
        ask('Your session has ended. Sign in again.');
    });
    try {
        if (await resume())
            await open();
        else
            ask();
    } catch (error) {
        ask(error.message);
    }
}

main();
