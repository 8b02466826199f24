// Alarms: what is wrong, why, and what mends it.

import { alarmKey } from '../alarms.js';
import { post } from '../api.js';
import { badge, code } from '../badge.js';
import { el, fill, setText } from '../dom.js';
import { button } from '../form.js';
import { age, count, time } from '../format.js';
import { done, failed } from '../notice.js';

function pair(label, ...content) {
    return el('div', {}, el('dt', {}, label), el('dd', {}, content));
}

async function acknowledge(alarm) {
    try {
        await post('/alarms/ack', { number: alarm.number, subject: alarm.subject });
        done(`Acknowledged: ${alarm.words}`);
    } catch (error) {
        failed(error);
    }
}

function acknowledged(alarm) {
    return alarm.acknowledged ? `${alarm.acknowledged.by}, ${time(alarm.acknowledged.time)}` : null;
}

function card(view, alarm) {
    const raised = alarm.state === 'active';
    return el('article', { class: `alarm ${raised ? alarm.severity : 'cleared'}` },
        el('header', {}, badge(raised ? alarm.severity : 'cleared'), el('h3', {}, alarm.words), alarm.subject && code(alarm.subject),
            el('span', { class: 'quiet alarm-number' }, `No. ${alarm.number}`)),
        alarm.detail && el('p', {}, alarm.detail),
        el('dl', { class: 'alarm-facts' }, pair('Cause', alarm.cause), pair('Remedy', alarm.remedy),
            pair(raised ? 'Since' : 'Cleared', `${time(raised ? alarm.since : alarm.cleared)} UTC, ${age(raised ? alarm.since : alarm.cleared)} ago`),
            alarm.count > 1 && pair('Raised', `${count(alarm.count)} times, first ${time(alarm.first)}`),
            acknowledged(alarm) && pair('Acknowledged', acknowledged(alarm))),
        raised && !alarm.acknowledged && view.write && button('Acknowledge', () => acknowledge(alarm), { 'aria-label': `Acknowledge: ${alarm.words} ${alarm.subject}` }));
}

// Cards are made anew only when something in them is, so that the focus stays.
function cards(view, element) {
    const known = new Map();
    return (list) => {
        const fresh = list.map((alarm) => {
            const key = alarmKey(alarm), words = JSON.stringify(alarm);
            const old = known.get(key);
            if (old?.words === words)
                return old.element;
            const made = el('li', {}, card(view, alarm));
            if (old?.element.contains(document.activeElement))
                queueMicrotask(() => (made.querySelector('button') || view.heading).focus());
            known.set(key, { words, element: made });
            return made;
        });
        if (fresh.length !== element.children.length || fresh.some((one, i) => element.children[i] !== one))
            fill(element, fresh);
    };
}

export function alarms(view) {
    const summary = el('p', { class: 'lead', 'aria-live': 'polite' });
    const raisedList = el('ul', { class: 'cards' }), clearedList = el('ul', { class: 'cards' });
    const cleared = el('details', { class: 'block' }, el('summary', {}, 'Cleared alarms'), clearedList);
    const showRaised = cards(view, raisedList), showCleared = cards(view, clearedList);
    view.add(summary, raisedList, cleared);
    view.on('alarms', (all) => {
        const raised = all.filter((a) => a.state === 'active'), over = all.filter((a) => a.state !== 'active');
        setText(summary, raised.length ? `${count(raised.length)} raised` : 'No alarm is raised.');
        showRaised(raised);
        showCleared(over);
        cleared.hidden = over.length === 0;
    });
}
