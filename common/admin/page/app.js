// The admin page of a box: signs in, then shows pages that follow what the box tells.

import { followAlarms } from './alarms.js';
import { get, setOnSignedOut } from './api.js';
import { fill } from './dom.js';
import { Figures } from './figures.js';
import { Live } from './live.js';
import { noticeRegions } from './notice.js';
import { login } from './pages/login.js';
import { forget, readRoutes, resume, session, signOut } from './session.js';
import { shell } from './shell.js';

const root = document.createElement('div');
let running = null;

// Tells live's listeners "figures" with all series, at each status, and as soon as the box has said what was before.
function followFigures(live, figures, signal) {
    const tell = () => live.tell('figures', figures.series);

    async function ask() {
        try {
            figures.fill(await get('/history'));
            tell();
        } catch {
            // the box does not answer: it is asked again when it is heard again
        }
    }

    live.on('status', (status) => {
        figures.add(status);
        tell();
    }, signal);
    live.on('state', (state) => state === 'live' && ask(), signal);
}

async function open() {
    const has = await readRoutes();
    const live = new Live(), figures = new Figures(), end = new AbortController();
    followFigures(live, figures, end.signal);
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
