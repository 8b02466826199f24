// States and severities: a word and a colour, never the colour alone.

import { el } from './dom.js';

const KINDS = {
    active: 'good', running: 'good', up: 'good', good: 'good', enabled: 'good', allow: 'good', ok: 'good',
    failed: 'bad', critical: 'bad', error: 'bad', severe: 'bad', expired: 'bad', block: 'bad', refused: 'bad', revoked: 'bad',
    warning: 'warn', warn: 'warn', unknown: 'warn', connecting: 'warn', starting: 'warn', leaving: 'warn', draining: 'warn', stopped: 'warn',
};

export function badge(word, kind = KINDS[String(word).toLowerCase()]) {
    return el('span', { class: `badge ${kind || 'plain'}` }, word || 'unknown');
}

export const code = (text) => el('code', {}, text);
