// The graphs' figures, ten minutes of them: what the box has kept (GET /history), then each status compared with the one before it.

export const SECONDS = 600;

const sum = (list, pick) => (list || []).reduce((all, one) => all + (pick(one) || 0), 0);

function traffic(turn, way) {
    return sum(turn, (worker) => sum(Object.values(worker.counters?.[way] || {}), (one) => one.bytes));
}

// What counts up since the start of the box.
function counters(status) {
    const edge = status.box === 'edge';
    return {
        requests: edge ? sum(status.web, (w) => w.requests) : sum(status.tunnels, (t) => t.requests),
        web_in: edge ? sum(status.web, (w) => w.bytes_in) : sum(status.tunnels, (t) => t.tunnel_bytes_in),
        web_out: edge ? sum(status.web, (w) => w.bytes_out) : sum(status.tunnels, (t) => t.tunnel_bytes_out),
        turn_in: traffic(status.turn, 'from_clients'),
        turn_out: traffic(status.turn, 'to_clients'),
    };
}

// What is so at this moment.
export function levels(status) {
    const edge = status.box === 'edge';
    return {
        relays: status.usage?.relays || 0,
        websockets: edge ? sum(status.web, (w) => w.open_websockets) : sum(status.tunnels, (t) => t.egress?.open_websockets),
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

    // The box's own steps, where there was no status from it: before the page was opened, while the connection was lost.
    fill({ step_s: step, items }, now = performance.now()) {
        for (const { time, age, ...values } of items)
            for (const [name, value] of Object.entries(values)) {
                const list = (this.series[name] ||= []), at = now - age * 1000;
                if (!list.some((point) => Math.abs(point.at - at) < step * 1000))
                    list.push({ at, value });
            }
        for (const list of Object.values(this.series))
            list.sort((a, b) => a.at - b.at);
    }

    last(name) {
        return this.series[name]?.at(-1)?.value;
    }

    #keep(name, at, value) {
        const list = (this.series[name] ||= []);
        list.push({ at, value });
        while (list[0].at < at - SECONDS * 1000)
            list.shift();
    }
}
