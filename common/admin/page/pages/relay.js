// One relay: who uses it, whom it reaches, and how much goes each way.

import { ApiError, get, part } from '../api.js';
import { badge, code } from '../badge.js';
import { chart } from '../chart.js';
import { el, setText } from '../dom.js';
import { SECONDS } from '../figures.js';
import { bits, bytes, count, span, words } from '../format.js';
import { facts, table } from '../table.js';
import { relayKey } from './relays.js';

// Rates of this relay alone, from when the page was opened.
function rates() {
    const series = { up: [], down: [] };
    let before = null;
    return (relay, now = performance.now()) => {
        if (before && now > before.now)
            for (const [name, side] of [['up', 'from_client'], ['down', 'to_client']]) {
                series[name].push({ at: now, value: Math.max(0, relay[side].bytes - before.relay[side].bytes) / ((now - before.now) / 1000) });
                while (series[name][0].at < now - SECONDS * 1000)
                    series[name].shift();
            }
        before = { relay, now };
        return series;
    };
}

function peerTable() {
    return table({
        caption: 'Peers that it may reach', key: (p) => p.address, empty: 'None yet.',
        columns: [{ label: 'Address', cell: (p) => code(p.address), sort: (p) => p.address }, { label: 'Permission ends', cell: (p) => `in ${span(p.expires_in)}`, numeric: true }],
    });
}

function channelTable() {
    return table({
        caption: 'Channels', key: (c) => String(c.number ?? c.channel), empty: 'None: data goes by indications.',
        columns: [
            { label: 'Number', cell: (c) => code(typeof (c.number ?? c.channel) === 'number' ? `0x${(c.number ?? c.channel).toString(16)}` : c.channel) },
            { label: 'Peer', cell: (c) => code(c.peer ?? c.address) },
            { label: 'Ends', cell: (c) => `in ${span(c.expires_in)}`, numeric: true },
        ],
    });
}

// The relay with this key: from the status, or asked for by itself where the list there leaves it out. null: there is none.
async function find(status, key) {
    const listed = (status.relays || []).find((r) => relayKey(r) === key);
    if (listed)
        return listed;
    try {
        return await get(`/turn/relays/${part(key)}`);
    } catch (error) {
        if (error instanceof ApiError && error.status === 404)
            return null;
        throw error;
    }
}

export function relay(view, key) {
    const state = el('p', { class: 'lead', role: 'status' }), about = facts('Relay'), peers = peerTable(), channels = channelTable();
    const graph = chart({ title: 'Through this relay', unit: bits, factor: 8, lines: [{ name: 'up', label: 'from client' }, { name: 'down', label: 'to client' }] });
    const next = rates();
    view.heading.textContent = 'Relay';
    view.add(el('p', {}, el('a', { href: '#/turn' }, 'All relays')), state, el('section', { class: 'charts' }, graph.element), about.element,
        el('div', { class: 'columns' }, peers.element, channels.element));
    let seen = null, busy = false, gone = false;

    function draw(one) {
        graph.draw(next(one));
        about.update([
            ['Client', code(one.client)], ['Server', code(one.server)], ['Protocol', one.protocol], ['User', words(one.user)],
            ['Relayed address', (one.relayed || []).map((a) => code(a))], ['To peers', one.transport],
            ['Age', span(one.age)], ['Expires', `in ${span(one.expires_in)} unless refreshed`],
            ['From client', `${bytes(one.from_client.bytes)}, ${count(one.from_client.packets)} packets`],
            ['To client', `${bytes(one.to_client.bytes)}, ${count(one.to_client.packets)} packets`],
            ['Dropped', [count(one.dropped), one.dropped > 0 && [' ', badge('packets', 'warn')]]],
        ]);
        peers.update(one.peers || []);
        channels.update(one.channels || []);
    }

    // Somebody else may have the address by now.
    const same = (one) => !seen || (one.client === seen.client && one.age >= seen.age);

    view.on('status', async (status) => {
        if (busy || gone)
            return;
        busy = true;
        try {
            const one = await find(status, key);
            gone = !one || !same(one);
            setText(state, !gone ? 'In use' : seen ? 'This relay is gone: what is below is the last that was seen of it.' : 'This relay is gone.');
            if (!gone)
                draw(seen = one);
        } catch (error) {
            setText(state, `How it is now is not known: ${error.message}`);
        } finally {
            busy = false;
        }
    });
}
