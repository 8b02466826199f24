// What the box tells by itself, by server-sent events: "status" each second, "event", "alarm"; and "state": whether they come.

const BASE = '/api/v1/live';
const SILENCE = 5000; // the box says something each second
const AGAIN = 2000;

export class Live extends EventTarget {
    #source = null;
    #timer = 0;
    #watch = 0;
    state = 'new';
    #last = new Map();

    start() {
        this.stop();
        if (this.state === 'new')
            this.#setState('connecting');
        this.#source = new EventSource(BASE);
        for (const name of ['status', 'event', 'alarm'])
            this.#source.addEventListener(name, (message) => this.#heard(name, message));
        this.#source.addEventListener('error', () => this.#lost());
        this.#alive();
    }

    stop() {
        clearTimeout(this.#timer);
        clearTimeout(this.#watch);
        this.#source?.close();
        this.#source = null;
    }

    // Calls listener(detail) at each; ends with signal. One that comes late is told at once how things are.
    on(name, listener, signal) {
        this.addEventListener(name, (event) => listener(event.detail), { signal });
        if (this.#last.has(name))
            listener(this.#last.get(name));
    }

    // Tells all who listen; of what is a state rather than an event, also those who come later.
    tell(name, detail) {
        if (name !== 'event' && name !== 'alarm')
            this.#last.set(name, detail);
        this.dispatchEvent(new CustomEvent(name, { detail }));
    }

    #heard(name, message) {
        this.#alive();
        this.#setState('live');
        this.tell(name, JSON.parse(message.data));
    }

    #alive() {
        clearTimeout(this.#watch);
        this.#watch = setTimeout(() => this.#lost(), SILENCE);
    }

    // A new connection rather than the browser's own next try: that one gives up after an answer that is no stream.
    #lost() {
        this.stop();
        this.#setState('lost');
        this.#timer = setTimeout(() => this.start(), AGAIN);
    }

    #setState(state) {
        if (this.state === state)
            return;
        this.state = state;
        this.tell('state', state);
    }
}
