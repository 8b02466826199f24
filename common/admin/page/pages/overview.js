// Health in one look; what goes through the box; who is at the other end of its tunnels.

import { badge, code } from '../badge.js';
import { chart } from '../chart.js';
import { el, fill, setText } from '../dom.js';
import { bits, count, milliseconds, plural, span, words } from '../format.js';
import { levels } from '../figures.js';
import { address } from '../router.js';
import { facts, table } from '../table.js';

// Raised alarms, or that there is none.
function health(view) {
    const head = el('p', { class: 'health-words' }), list = el('ul', { class: 'health-list' });
    const element = el('section', { class: 'health', 'aria-label': 'Health' }, head, list);
    view.on('alarms', (all) => {
        const raised = all.filter((alarm) => alarm.state === 'active');
        const open = raised.filter((alarm) => !alarm.acknowledged);
        const worst = raised[0]?.severity;
        element.dataset.state = worst ? (worst === 'warning' ? 'warn' : 'bad') : 'good';
        setText(head, raised.length === 0 ? 'No alarm is raised.' :
            `${plural(raised.length, 'alarm')} raised, ${open.length === raised.length ? 'none' : count(raised.length - open.length)} acknowledged`);
        fill(list, raised.slice(0, 5).map((alarm) => el('li', {}, badge(alarm.severity), ' ',
            el('a', { href: address('alarms') }, alarm.words), ' ', alarm.subject && code(alarm.subject), ' ', el('span', { class: 'quiet' }, alarm.detail))));
    });
    return element;
}

const countActive = (list) => `${count((list || []).filter((one) => one.state === 'active').length)} of ${count((list || []).length)}`;

function tiles(view) {
    const element = el('div', { class: 'tiles' });
    const figures = new Map();

    function put(label, figure, note, state) {
        let tile = figures.get(label);
        if (!tile) {
            tile = { figure: el('span', { class: 'tile-figure' }), note: el('span', { class: 'tile-note' }) };
            tile.element = el('div', { class: 'tile' }, el('span', { class: 'tile-label' }, label), tile.figure, tile.note);
            figures.set(label, tile);
            element.append(tile.element);
        }
        setText(tile.figure, figure);
        setText(tile.note, note);
        tile.element.dataset.state = state || '';
    }

    view.on('status', (status) => {
        const now = levels(status), rate = view.figures.last('requests');
        const tunnels = (status.tunnels || []).filter((t) => t.state === 'active').length;
        put('Tunnels', countActive(status.tunnels), 'active', tunnels === 0 ? 'bad' : tunnels < status.tunnels.length ? 'warn' : 'good');
        if (status.targets) {
            const active = status.targets.filter((t) => t.state === 'active').length;
            put('Web bridges', countActive(status.targets), 'active targets', active === 0 ? 'bad' : active < status.targets.length ? 'warn' : 'good');
        }
        put('Requests', rate === undefined ? '–' : `${count(rate)}/s`, `${count(now.running)} under way`);
        put('WebSockets', count(now.websockets), view.edge ? plural(now.connections, 'connection') : 'open');
        if (status.usage)
            put('Relays', count(now.relays), `${count(status.usage.ports_used)} of ${count(status.usage.ports)} ports`);
        put('Revision', count(status.revision), status.policy_from ? `from ${status.policy_from}` : 'of the config');
    });
    return element;
}

function charts(view) {
    const perSecond = (n) => `${count(n)}/s`;
    const both = (a, b) => [{ name: a, label: 'in' }, { name: b, label: 'out' }];
    const all = [
        chart({ title: 'Requests', unit: perSecond, lines: [{ name: 'requests' }] }),
        chart({ title: view.edge ? 'Web, guests' : 'Web, through tunnels', unit: bits, factor: 8, lines: both('web_in', 'web_out') }),
        chart({ title: 'WebSockets', unit: count, lines: [{ name: 'websockets' }] }),
        view.edge && chart({ title: 'Connections of guests', unit: count, lines: [{ name: 'connections' }] }),
        view.edge && chart({ title: 'Relays', unit: count, lines: [{ name: 'relays' }] }),
        view.edge && chart({ title: 'TURN, guests', unit: bits, factor: 8, lines: both('turn_in', 'turn_out') }),
    ].filter(Boolean);
    view.on('figures', (series) => all.forEach((one) => one.draw(series)));
    return el('section', { class: 'charts', 'aria-label': 'The last ten minutes' }, all.map((one) => one.element));
}

// The tunnels of one box at the other end, as one row.
function peers(tunnels, edge) {
    const byName = new Map();
    for (const tunnel of tunnels || []) {
        const name = edge ? tunnel.core : tunnel.edge;
        byName.set(name, [...(byName.get(name) || []), tunnel]);
    }
    return [...byName].map(([name, list]) => {
        const best = list.find((t) => t.state === 'active') || list[0];
        const active = list.filter((t) => t.state === 'active');
        return {
            name, tunnels: list.length, active: active.length, version: edge ? best.core_version : best.edge_version,
            revision: edge ? best.revision : best.revision_acked, skew: best.clock_skew_s,
            rtt: active.length ? Math.min(...active.map((t) => t.rtt_ms)) : undefined, reason: best.reason, target: best.target,
        };
    });
}

function peerTable(view) {
    const list = table({
        caption: view.edge ? 'Cores' : 'Edges', key: (p) => p.name, empty: view.edge ? 'No core is in the config.' : 'No edge is in the config.',
        columns: [
            { label: 'Name', cell: (p) => p.name, sort: (p) => p.name },
            { label: 'State', cell: (p) => badge(p.active === 0 ? 'failed' : p.active < p.tunnels ? 'degraded' : 'active', p.active === 0 ? 'bad' : p.active < p.tunnels ? 'warn' : 'good') },
            { label: 'Tunnels', cell: (p) => `${p.active} of ${p.tunnels}`, numeric: true },
            { label: 'Version', cell: (p) => words(p.version) },
            { label: 'Revision', cell: (p) => words(p.revision), numeric: true },
            { label: 'Clock', cell: (p) => (p.skew === undefined ? '–' : p.skew === 0 ? 'same' : `${count(p.skew)} s off`), numeric: true },
            { label: 'RTT', cell: (p) => milliseconds(p.rtt), numeric: true },
            { label: 'Reason', cell: (p) => words(p.reason), class: 'wide-cell' },
        ],
    });
    view.on('status', (status) => list.update(peers(status.tunnels, view.edge)));
    return list.element;
}

function boxFacts(view) {
    const list = facts('This box');
    view.on('status', (status) => list.update([
        ['Name', `${status.name} (${status.box})`],
        ['Version', status.version],
        ['Up for', span(status.uptime_s)],
        ['Join URL', status.join_url],
        ['SSH server', status.sshd && (status.sshd.running ? badge('running') : [badge('failed'), ' ', status.sshd.reason])],
        ['Database', status.database_problem],
        ['Banned addresses', status.bans && count(status.bans.active)],
    ]));
    return list.element;
}

function workers(view) {
    const list = table({
        caption: 'Processes', key: (w) => w.worker, empty: 'None.',
        columns: [
            { label: 'Worker', cell: (w) => code(w.worker), sort: (w) => w.worker },
            { label: 'State', cell: (w) => badge(w.state) },
            { label: 'Process', cell: (w) => words(w.pid), numeric: true },
            { label: 'Restarts', cell: (w) => count(w.restarts), numeric: true, sort: (w) => w.restarts },
        ],
    });
    view.on('status', (status) => list.update(status.workers || []));
    return list.element;
}

function services(view) {
    const list = table({
        caption: 'Ports', key: (s) => `${s.port} ${s.protocol}`, empty: 'None.',
        columns: [{ label: 'Port', cell: (s) => code(String(s.port)) }, { label: 'Protocol', cell: (s) => s.protocol.toUpperCase() }, { label: 'Service', cell: (s) => s.service, class: 'wide-cell' }],
    });
    view.on('status', (status) => list.update(status.services || []));
    return list.element;
}

export function overview(view) {
    view.add(view.has('GET /alarms') && health(view), tiles(view), charts(view), peerTable(view),
        el('div', { class: 'columns' }, view.edge ? [el('div', { class: 'page' }, boxFacts(view), workers(view)), services(view)] : [boxFacts(view), workers(view)]));
}
