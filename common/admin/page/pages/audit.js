// Who changed what, the newest first.

import { items } from '../api.js';
import { badge, code } from '../badge.js';
import { el, fill } from '../dom.js';
import { button } from '../form.js';
import { time, words } from '../format.js';
import { table } from '../table.js';

const PART = 100;

// What was asked for, as names and values.
function detail(text) {
    try {
        return Object.entries(JSON.parse(text)).map(([name, value]) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`).join(', ');
    } catch {
        return text; // cut off, or no JSON
    }
}

// What was asked for; logins of a day are one entry.
function what(entry) {
    return entry.count > 1 ? el('div', {}, entry.what, el('div', { class: 'quiet' }, `${entry.count} times, the last at ${time(entry.last)}`)) : entry.what;
}

export function audit(view) {
    const trouble = el('p', { class: 'trouble', role: 'alert' });
    const more = button('Older entries', () => load(entries.at(-1).id), { hidden: true });
    let entries = [];
    const list = table({
        caption: 'Changes and logins', captionHidden: true, key: (e) => String(e.id), empty: 'Nothing yet.',
        columns: [
            { label: 'Time (UTC)', cell: (e) => time(e.time), class: 'when' },
            { label: 'Who', cell: (e) => words(e.who), sort: (e) => e.who },
            { label: 'From', cell: (e) => code(e.from), sort: (e) => e.from, class: 'wide-cell breaks' },
            { label: 'What', cell: what, sort: (e) => e.what, class: 'wide-cell' },
            { label: 'Detail', cell: (e) => words(detail(e.detail)), class: 'wide-cell breaks' },
            { label: 'Result', cell: (e) => (e.result === 'done' ? badge('done', 'good') : el('span', {}, badge('not done', 'bad'), ` ${e.result}`)), class: 'wide-cell breaks' },
        ],
    });

    async function load(before) {
        try {
            const part = await items(`/audit?limit=${PART}${before ? `&before=${before}` : ''}`);
            entries = before ? [...entries, ...part] : part;
            list.update(entries);
            more.hidden = part.length < PART;
            fill(trouble);
        } catch (error) {
            fill(trouble, error.message);
        }
    }

    view.head.append(button('Look again', () => load()));
    view.add(trouble, list.element, more);
    load();
}
