// What guests may ask for: the rules in force, and what they would say to one request.

import { items, post } from '../api.js';
import { badge, code } from '../badge.js';
import { el, fill } from '../dom.js';
import { field, values } from '../form.js';
import { words } from '../format.js';
import { table } from '../table.js';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'CONNECT'];

function rules(view) {
    return table({
        caption: 'Rules in force', key: (r) => String(r.rule ?? r.place), empty: 'No rule: nothing is let through.',
        columns: [
            { label: 'Rule', cell: (r) => String(r.rule ?? r.place), numeric: true },
            { label: 'Source', cell: (r) => words(r.source), sort: (r) => r.source },
            { label: 'Description', cell: (r) => words(r.description), class: 'wide-cell' },
            { label: 'Scheme', cell: (r) => r.scheme },
            { label: 'Host', cell: (r) => code(`${r.host}:${r.port}`), sort: (r) => r.host },
            { label: 'Match', cell: (r) => r.match },
            { label: 'Path', cell: (r) => code(r.path), class: 'wide-cell' },
            { label: 'Methods', cell: (r) => (r.methods || []).join(' '), class: 'wide-cell' },
        ],
    });
}

function verdict(answer) {
    const passes = answer.allowed ?? answer.verdict === 'allow';
    return [
        el('p', {}, badge(passes ? 'allow' : 'block'), ' ', answer.text || answer.reason || ''),
        answer.nearest && el('p', {}, 'Nearest miss: ', answer.nearest),
    ];
}

function tester() {
    const answer = el('div', { class: 'verdict', role: 'status' });
    const form = el('form', { class: 'toolbar' },
        field({ label: 'URL', name: 'url', type: 'url', required: true, placeholder: 'as a guest asks for it', class: 'long' }),
        field({ label: 'Method', name: 'method', options: METHODS.map((m) => [m, m]) }),
        el('button', { type: 'submit', class: 'primary' }, 'Test'));
    form.addEventListener('submit', async (event) => {
        event.preventDefault();
        try {
            fill(answer, verdict(await post('/allow/test', values(form))));
        } catch (error) {
            fill(answer, el('p', { class: 'trouble' }, error.message));
        }
    });
    return el('section', { class: 'block' }, el('h2', {}, 'Test a request'), form, answer);
}

export function allow(view) {
    const list = rules(view), trouble = el('p', { class: 'trouble', role: 'alert' });
    let revision;

    async function load() {
        try {
            list.update((await items('/allow')).map((rule, i) => ({ place: i + 1, ...rule })));
            fill(trouble);
        } catch (error) {
            fill(trouble, error.message);
        }
    }

    view.add(view.has('POST /allow/test') && tester(), trouble, list.element,
        el('p', { class: 'quiet' }, view.edge ? 'Core keeps the list and judges by it; the edge has been told it, and refuses early.'
            : ['Automatic rules follow from the join URLs and methods; own ones are ', code('web_proxy.extra_rules'), ' in the ', el('a', { href: '#/config' }, 'configuration'), '.']));
    view.on('status', (status) => {
        if (status.revision !== revision) {
            revision = status.revision;
            load();
        }
    });
}
