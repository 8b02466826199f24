// The graphs' figures: each status is compared with the one before it; five minutes of rates are kept.

const KEPT = 300;

const sum = (list, pick) => (list || []).reduce((all, one) => all + (pick(one) || 0), 0);

function traffic(turn, way) {
    return sum(turn, (worker) => sum(Object.values(worker.counters?.[way] || {}), (one) => one.bytes));
}

// What counts up since the start of the box.
function counters(status) {
    const edge = status.box === 'edge';
    return {
        requests: edge ? sum(status.web, (w) => w.requests) : sum(status.tunnels, (t) => t.requests),
        webIn: edge ? sum(status.web, (w) => w.bytes_in) : sum(status.tunnels, (t) => t.tunnel_bytes_in),
        webOut: edge ? sum(status.web, (w) => w.bytes_out) : sum(status.tunnels, (t) => t.tunnel_bytes_out),
        turnIn: traffic(status.turn, 'from_clients'),
        turnOut: traffic(status.turn, 'to_clients'),
    };
}

// What is so at this moment.
export function levels(status) {
    const edge = status.box === 'edge';
    return {
        relays: status.usage?.relays || 0,
        websockets: edge ? sum(status.web, (w) => w.open_websockets) : sum(status.tunnels, (t) => t.egress?.websockets),
        connections: sum(status.web, (w) => w.connections),
        running: sum(status.tunnels, (t) => t.streams),
    };
}

export class Figures {
    #before = null;
    series = {};

    add(status, now = performance.now()) {
        const after = { at: now, values: counters(status), uptime: status.uptime_s };
        const before = this.#before;
        this.#before = after;
        for (const [name, value] of Object.entries(levels(status)))
            this.#keep(name, now, value);
        if (!before || after.uptime < before.uptime || now <= before.at)
            return;
        for (const [name, value] of Object.entries(after.values))
            this.#keep(name, now, Math.max(0, value - before.values[name]) / ((now - before.at) / 1000));
    }

    last(name) {
        return this.series[name]?.at(-1)?.value;
    }

    #keep(name, at, value) {
        const list = (this.series[name] ||= []);
        list.push({ at, value });
        if (list.length > KEPT)
            list.shift();
    }
}
