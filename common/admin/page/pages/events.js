// The event log: newest first, filtered by level and words, and going on by itself.

import { items } from '../api.js';
import { badge } from '../badge.js';
import { el, fill, setText } from '../dom.js';
import { button, field } from '../form.js';
import { count, time } from '../format.js';

const LEVELS = ['critical', 'error', 'warning', 'notice'];
const PART = 100, KEPT = 1000;

const rank = (level) => (LEVELS.indexOf(level) < 0 ? 0 : LEVELS.indexOf(level)); // alert and emergency are above all

function fieldsText(fields) {
    return Object.entries(fields || {}).flatMap(([name, value]) => [el('span', { class: 'field-name' }, `${name} `), el('span', { class: 'field-value' }, String(value)), ' ']);
}

function row(event) {
    return el('tr', { role: 'row', 'data-id': event.id },
        el('td', { role: 'cell', class: 'when' }, el('time', { datetime: event.time }, time(event.time))),
        el('td', { role: 'cell' }, badge(event.level)),
        el('td', { role: 'cell', class: 'quiet' }, event.process),
        el('td', { role: 'cell', class: 'event-words' }, el('strong', {}, event.name), ' ', fieldsText(event.fields)));
}

function matches(event, filter) {
    if (rank(event.level) > rank(filter.level))
        return false;
    const text = [event.name, event.process, ...Object.entries(event.fields || {}).flat()].join(' ').toLowerCase();
    return text.includes(filter.text.toLowerCase());
}

function question(filter, before) {
    const query = new URLSearchParams({ limit: String(PART), level: filter.level });
    if (filter.text)
        query.set('text', filter.text);
    if (before)
        query.set('before', String(before));
    return `/events?${query}`;
}

export function events(view) {
    const filter = { level: 'notice', text: '' };
    const body = el('tbody', { role: 'rowgroup' });
    const said = el('p', { class: 'quiet', role: 'status' }), trouble = el('p', { class: 'trouble', role: 'alert' });
    const more = button('Older events', () => load(body.lastElementChild?.dataset.id));
    const hold = el('input', { type: 'checkbox', id: 'hold' });
    const grid = el('table', { role: 'table', class: 'events', 'aria-label': 'Events, the newest first' }, el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' },
        ['Time (UTC)', 'Level', 'Process', 'Event'].map((label) => el('th', { scope: 'col', role: 'columnheader' }, label)))), body);
    let asked = 0, typing = 0, waiting = [];

    async function load(before) {
        const mine = ++asked;
        try {
            const list = await items(question(filter, before));
            if (mine !== asked || view.signal.aborted)
                return; // another filter meanwhile
            if (!before)
                fill(body);
            body.append(...list.filter((event) => !body.querySelector(`[data-id="${Number(event.id)}"]`)).map(row));
            more.hidden = list.length < PART;
            fill(trouble);
            summary();
        } catch (error) {
            fill(trouble, error.message);
        }
    }

    function summary() {
        setText(said, body.children.length === 0 ? 'No such event.' : `${count(body.children.length)} shown${waiting.length ? `, ${count(waiting.length)} new ones wait` : ''}`);
    }

    function heard(event) {
        if (!matches(event, filter) || body.querySelector(`[data-id="${Number(event.id)}"]`))
            return;
        if (hold.checked) {
            waiting = [...waiting, event].slice(-KEPT);
        } else {
            body.prepend(row(event));
            while (body.children.length > KEPT)
                body.lastElementChild.remove();
        }
        summary();
    }

    const level = field({ label: 'Level', name: 'level', options: [['critical', 'Critical only'], ['error', 'Error and above'], ['warning', 'Warning and above'], ['notice', 'All']], value: 'notice' });
    const text = field({ label: 'Words', name: 'text', type: 'search', placeholder: 'in the name, process or fields' });
    level.querySelector('select').addEventListener('change', (event) => { filter.level = event.target.value; load(); });
    text.querySelector('input').addEventListener('input', (event) => {
        filter.text = event.target.value;
        clearTimeout(typing);
        typing = setTimeout(load, 200);
    });
    hold.addEventListener('change', () => {
        const held = waiting;
        waiting = [];
        held.forEach(heard);
    });
    view.add(el('form', { class: 'toolbar', role: 'search', onsubmit: (event) => event.preventDefault() }, level, text,
        el('div', { class: 'check' }, hold, el('label', { for: 'hold' }, 'Hold still')), said),
    trouble, el('div', { class: 'table-frame' }, grid), more);
    view.on('event', heard);
    view.on('state', (state) => state === 'live' && load());
}
