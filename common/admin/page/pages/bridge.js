// The web bridges behind core: where DNS says they are, and whether they answer.

import { post } from '../api.js';
import { badge, code } from '../badge.js';
import { el } from '../dom.js';
import { button } from '../form.js';
import { age, count, time, words } from '../format.js';
import { done, failed } from '../notice.js';
import { facts, table } from '../table.js';

// [2001:db8::1]:443
function place(target) {
    return target.address ? `${target.address.includes(':') ? `[${target.address}]` : target.address}:${target.port}` : '–';
}

// Priorities of SRV records are 16 bits; what was found otherwise comes behind all of them.
const fromSrv = (target) => target.priority < 65536;

async function flush() {
    try {
        const answer = await post('/dns/flush');
        done(`DNS is asked again${answer.names?.length ? ` for ${answer.names.join(', ')}` : ''}.`);
    } catch (error) {
        failed(error);
    }
}

function targets(view, domain) {
    return table({
        caption: `Targets of ${domain}`, key: (t) => `${t.name} ${t.address} ${t.port}`, empty: 'Not resolved yet: see the event log for what DNS said.',
        columns: [
            { label: 'Name', cell: (t) => code(t.name), sort: (t) => t.name },
            { label: 'Address', cell: (t) => code(place(t)), sort: place },
            { label: 'Priority', cell: (t) => (fromSrv(t) ? count(t.priority) : '–'), numeric: true, sort: (t) => t.priority },
            { label: 'Weight', cell: (t) => (fromSrv(t) ? count(t.weight) : '–'), numeric: true },
            { label: 'Probe', cell: (t) => badge(t.state), sort: (t) => t.state },
            { label: 'Since', cell: (t) => el('span', { title: `${time(t.since)} UTC` }, age(t.since)) },
            { label: 'Reason', cell: (t) => words(t.reason), class: 'wide-cell' },
        ],
    });
}

function domains(view) {
    const element = el('div', { class: 'page' });
    const known = new Map();
    view.on('status', (status) => {
        for (const domain of status.domains || []) {
            if (!known.has(domain.domain)) {
                const one = { facts: facts(domain.domain), targets: targets(view, domain.domain) };
                known.set(domain.domain, one);
                element.append(one.facts.element, one.targets.element);
            }
            const { facts: head, targets: list } = known.get(domain.domain);
            head.update([['Join URL', domain.join_url], ['Requests', count((status.tunnels || []).reduce((n, t) => n + (t.egress?.domains?.[domain.domain] || 0), 0))]]);
            list.update(domain.targets || []);
        }
    });
    return element;
}

// On the edge: what it knows of the bridges is whom it lets in, and how the ways to them are.
function fromEdge(view) {
    const head = facts('Join URL');
    view.on('status', (status) => {
        const tunnels = status.tunnels || [], active = tunnels.filter((t) => t.state === 'active').length;
        head.update([
            ['Join URL', status.join_url],
            ['Join hosts', [...new Set(tunnels.map((t) => t.domain).filter(Boolean))].join(', ')],
            ['Way to the bridges', [badge(active ? 'active' : 'failed'), ` through ${active} of ${tunnels.length} tunnels`]],
            ['Requests without a tunnel', count((status.web || []).reduce((n, w) => n + (w.no_uplink || 0), 0))],
        ]);
    });
    return [head.element, el('p', { class: 'quiet' }, 'Core resolves and probes the bridges; its admin page has them.')];
}

export function bridge(view) {
    if (view.edge) {
        view.add(fromEdge(view));
        return;
    }
    if (view.write)
        view.head.append(button('Ask DNS again', flush));
    view.add(domains(view));
}
