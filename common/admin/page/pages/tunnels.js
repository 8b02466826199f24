// The SSH connections between core and edges.

import { badge, code } from '../badge.js';
import { el } from '../dom.js';
import { age, bits, bytes, count, milliseconds, time, words } from '../format.js';
import { table } from '../table.js';

const name = (view) => (view.edge ? (t) => t.core : (t) => t.edge);
const number = (t) => t.index ?? t.tunnel;

function ends(view) {
    return table({
        caption: 'Tunnels', captionHidden: true, key: (t) => `${name(view)(t)} ${number(t)}`, empty: view.edge ? 'No core is in the config.' : 'No edge is in the config.',
        columns: [
            view.edge ? { label: 'Core', cell: (t) => t.core, sort: (t) => t.core } : { label: 'Edge', cell: (t) => t.edge, sort: (t) => t.edge },
            { label: 'Tunnel', cell: (t) => words(number(t)), numeric: true, sort: number },
            !view.edge && { label: 'Target', cell: (t) => code(t.target), sort: (t) => t.target },
            { label: 'Domain', cell: (t) => words(t.domain), class: 'wide-cell' },
            { label: 'State', cell: (t) => badge(t.state), sort: (t) => t.state },
            { label: 'Since', cell: (t) => el('span', { title: `${time(t.since)} UTC` }, age(t.since)) },
            { label: 'RTT', cell: (t) => (t.state === 'active' ? milliseconds(t.rtt_ms) : '–'), numeric: true, sort: (t) => t.rtt_ms ?? Infinity },
            { label: 'Reason', cell: (t) => words(t.reason), class: 'wide-cell' },
        ].filter(Boolean),
    });
}

function load(view) {
    return table({
        caption: 'What goes through them', key: (t) => `${name(view)(t)} ${number(t)}`, empty: 'Nothing.',
        columns: [
            { label: view.edge ? 'Core' : 'Edge', cell: name(view), sort: name(view) },
            { label: 'Tunnel', cell: (t) => words(number(t)), numeric: true },
            { label: 'Streams', cell: (t) => count(t.streams), numeric: true, sort: (t) => t.streams },
            { label: 'Requests', cell: (t) => count(t.requests), numeric: true, sort: (t) => t.requests },
            { label: 'Sent again', cell: (t) => count(t.retries), numeric: true, sort: (t) => t.retries },
            { label: 'Queue', cell: (t) => bytes(t.queue), numeric: true, sort: (t) => t.queue },
            { label: 'In', cell: (t) => bits(t.rate_in), numeric: true, sort: (t) => t.rate_in },
            { label: 'Out', cell: (t) => bits(t.rate_out), numeric: true, sort: (t) => t.rate_out },
            { label: 'Channels', cell: (t) => count(t.channels ?? t.data_channels), numeric: true },
            !view.edge && { label: 'Cipher', cell: (t) => words(t.cipher), class: 'wide-cell' },
        ].filter(Boolean),
    });
}

export function tunnels(view) {
    const first = ends(view), second = load(view);
    view.add(first.element, second.element);
    view.on('status', (status) => {
        first.update(status.tunnels || []);
        second.update((status.tunnels || []).filter((t) => t.state === 'active'));
    });
}
