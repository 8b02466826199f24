// How TURN is set, and the addresses to give to a bridge or client.

import { get } from '../api.js';
import { code } from '../badge.js';
import { el } from '../dom.js';
import { words } from '../format.js';
import { facts } from '../table.js';

const host = (address) => (address.includes(':') ? `[${address}]` : address);

function uris(status, edge) {
    const place = edge?.public_address || new URL(status.join_url).hostname;
    const ports = (status.services || []).filter((s) => s.service.startsWith('TURN'));
    const found = ports.flatMap((s) => {
        const tls = /over (TLS|DTLS)$/.test(s.service);
        return tls ? [`turns:${host(place)}:${s.port}?transport=${s.protocol}`] : [`turn:${host(place)}:${s.port}?transport=${s.protocol}`];
    });
    if ((status.services || []).some((s) => /TURN/.test(s.service) && s.service.startsWith('HTTPS')))
        found.push(`turn:${host(place)}:443?transport=tcp`, `turns:${host(place)}:443?transport=tcp`);
    return found;
}

async function readConfig(view) {
    if (!view.has('GET /config'))
        return {};
    try {
        const answer = await get('/config');
        return answer.config || JSON.parse(answer.text);
    } catch {
        return {}; // the status alone has to do
    }
}

export function turnSettings(view) {
    const list = facts('Settings');
    let config = {}, status = null;

    function draw() {
        if (!status)
            return;
        const edge = (config.edges || []).find((one) => one.name === view.session.name);
        const turn = config.turn || {};
        list.update([
            ['Realm', turn.realm || new URL(status.join_url).hostname],
            ['For clients', uris(status, edge).map((uri) => el('div', {}, code(uri)))],
            ['Relay ports', turn.relay_ports?.join(' to ')],
            ['Public address', edge?.public_address && code(edge.public_address)],
            ['Internal address', edge?.internal_address && code(edge.internal_address)],
            ['Peers allowed', turn.allow_peers && words(turn.allow_peers.join(', '))],
        ]);
    }

    readConfig(view).then((read) => {
        config = read;
        draw();
    });
    view.on('status', (now) => {
        const first = !status;
        status = now;
        if (first)
            draw();
    });
    return list.element;
}
