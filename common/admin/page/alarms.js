// The alarms of the box as they are now: asked for once, then kept by what the box tells.

import { items } from './api.js';

const SEVERITIES = ['critical', 'error', 'warning'];
export const alarmKey = (alarm) => `${alarm.number} ${alarm.subject}`;

// Raised ones first, the worst of them first, then the newest.
export function inOrder(list) {
    const rank = (a) => (a.state === 'active' ? 0 : 10) + SEVERITIES.indexOf(a.severity);
    return [...list].sort((a, b) => rank(a) - rank(b) || String(b.since).localeCompare(String(a.since)));
}

// Tells live's listeners "alarms" with the whole list, at first and at each change.
export function followAlarms(live, signal) {
    const known = new Map();
    const tell = () => live.tell('alarms', inOrder(known.values()));

    async function ask() {
        try {
            const list = await items('/alarms?all=true');
            known.clear();
            for (const alarm of list)
                known.set(alarmKey(alarm), alarm);
            tell();
        } catch {
            // the box does not answer: it is asked again when it is heard again
        }
    }

    live.on('alarm', (alarm) => {
        known.set(alarmKey(alarm), alarm);
        tell();
    }, signal);
    live.on('state', (state) => state === 'live' && ask(), signal);
    return ask;
}
