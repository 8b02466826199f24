// The certificates that guests see.

import { badge } from '../badge.js';
import { el, fill } from '../dom.js';
import { moment, span, time, words } from '../format.js';
import { facts } from '../table.js';

function ends(until) {
    const seconds = (moment(until)?.getTime() - Date.now()) / 1000;
    return seconds < 0 ? [badge('expired'), ` ${span(-seconds)} ago`] : `${time(until)} UTC, in ${span(seconds)}`;
}

function staple(ocsp) {
    if (!ocsp || ocsp.state === 'none')
        return 'none';
    return [badge(ocsp.state), ` until ${time(ocsp.until)}`, ocsp.reason && ` (${ocsp.reason})`];
}

function problems(alarms) {
    return el('ul', { class: 'problems' }, (alarms || []).map((alarm) => el('li', {}, badge(alarm.severity), ' ', alarm.of && `${alarm.of}: `, alarm.reason)));
}

function one(certificate) {
    const list = facts(certificate.file);
    list.update([
        ['Subject', words(certificate.subject)],
        ['Names', certificate.names?.join(', ')],
        ['Join hosts', certificate.hosts?.join(', ') || 'none'],
        ['Issuer', certificate.self_signed ? 'itself' : words(certificate.issuer)],
        ['Key', certificate.key],
        ['Valid from', `${time(certificate.from)} UTC`],
        ['Valid until', ends(certificate.until)],
        ['Chain', certificate.chain ? `${certificate.chain} more` : 'comes alone'],
        ['OCSP', staple(certificate.ocsp)],
        ['SHA-256', el('code', { class: 'breaks' }, certificate.fingerprint)],
    ]);
    list.element.append(problems(certificate.alarms));
    return list.element;
}

export function certificates(view) {
    const list = el('div', {}), refused = el('div', {});
    let shown = '';
    view.add(refused, list, el('p', { class: 'quiet' }, 'A request for a new one and its installation are for the command line: ',
        el('code', {}, 'stile-edge cert csr'), ' and ', el('code', {}, 'stile-edge cert install'), '. A running edge takes new files at once.'));
    view.on('status', (status) => {
        const now = JSON.stringify([status.certificates, status.certificate_alarms]);
        if (now === shown)
            return;
        shown = now;
        const files = new Set((status.certificates || []).map((c) => c.file));
        const others = (status.certificate_alarms || []).filter((a) => !files.has(a.of));
        fill(refused, others.length > 0 && el('section', { class: 'block' }, el('h2', {}, 'Not of one certificate'), problems(others)));
        fill(list, (status.certificates || []).map(one));
    });
}
