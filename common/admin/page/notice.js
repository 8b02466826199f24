// What was done, or failed, said once in a corner and to screen readers.

import { el } from './dom.js';

const STAYS = { good: 6000, bad: 15000 };
const good = el('div', { class: 'notices', role: 'status', 'aria-live': 'polite' });
const bad = el('div', { class: 'notices', role: 'alert', 'aria-live': 'assertive' });

export const noticeRegions = el('div', { class: 'notice-corner' }, good, bad);

function say(kind, text) {
    const close = el('button', { type: 'button', class: 'plain', 'aria-label': 'Dismiss' }, '×');
    const one = el('div', { class: `notice ${kind}` }, el('span', {}, text), close);
    close.addEventListener('click', () => one.remove());
    (kind === 'good' ? good : bad).append(one);
    setTimeout(() => one.remove(), STAYS[kind]);
}

export const done = (text) => say('good', text);
export const failed = (error) => say('bad', error.message || String(error));
