// Every relay in use, the busiest first as one likes; each leads to its own page.

import { code } from '../badge.js';
import { el, setText } from '../dom.js';
import { bytes, count, span, words } from '../format.js';
import { address } from '../router.js';
import { table } from '../table.js';

// A relayed address belongs to one relay while that lives; the box finds it by that.
export const relayKey = (r) => r.relayed?.[0] ?? `${r.protocol} ${r.client} ${r.server}`;

export function peerTotal(r) {
    return new Set([...(r.peers || []).map((p) => p.address ?? p), ...(r.channels || []).map((c) => c.peer ?? c.address)]).size;
}

const SHOWN = 200;

export function relays(view) {
    const left = el('p', { class: 'quiet' });
    const list = table({
        caption: 'Relays', key: relayKey, empty: 'No relay is in use.',
        columns: [
            { label: 'Client', cell: (r) => el('a', { href: address('turn', 'relay', relayKey(r)) }, code(r.client)), sort: (r) => r.client, stays: true },
            { label: 'Protocol', cell: (r) => r.protocol, sort: (r) => r.protocol },
            { label: 'User', cell: (r) => words(r.user), sort: (r) => r.user },
            { label: 'Relayed address', cell: (r) => (r.relayed || []).map((one) => code(one)), class: 'wide-cell' },
            { label: 'Peers', cell: (r) => count(peerTotal(r)), numeric: true, sort: peerTotal },
            { label: 'From client', cell: (r) => bytes(r.from_client?.bytes), numeric: true, sort: (r) => r.from_client?.bytes },
            { label: 'To client', cell: (r) => bytes(r.to_client?.bytes), numeric: true, sort: (r) => r.to_client?.bytes },
            { label: 'Dropped', cell: (r) => count(r.dropped), numeric: true, sort: (r) => r.dropped },
            { label: 'Age', cell: (r) => span(r.age), numeric: true, sort: (r) => r.age },
        ],
    });
    view.on('status', (status) => {
        const all = status.relays || [];
        const hidden = Math.max(0, all.length - SHOWN) + (status.usage?.relays_left_out || 0);
        list.update(all.slice(0, SHOWN));
        setText(left, hidden ? `and ${count(hidden)} more, not listed` : '');
    });
    return el('div', {}, list.element, left);
}
